"""Delivery into a folder of `.eml` files, where no mail server is set."""

import contextlib
import os
from pathlib import Path

from notices.mail import NotAnAddress, build_mail, one_line
from notices.notice import Attachment, Delivery, Notice, Outcome


class FolderChannel:
    """Writes each notice as one file that a mail program opens; a second attempt replaces it."""

    def __init__(self, folder: Path, *, sender: str, sender_name: str = "") -> None:
        self.folder = folder
        self.sender = sender
        self.sender_name = sender_name

    def deliver(self, notice: Notice, attachment: Attachment | None = None) -> Delivery:
        """Write the notice's file whole or not at all; the proof is its name."""
        try:
            mail = build_mail(
                notice, sender=self.sender, sender_name=self.sender_name, attachment=attachment
            )
        except NotAnAddress as error:
            return Delivery(Outcome.REFUSED, str(error))
        file = self.folder / f"{notice.id:08d}-{notice.kind}-{notice.message_id[:8]}.eml"
        fresh = file.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as handle:
                handle.write(mail.as_bytes())
                handle.flush()
                os.fsync(handle.fileno())
            fresh.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            return Delivery(Outcome.UNREACHABLE, one_line(str(error)))
        return Delivery(Outcome.ACCEPTED, file.name)

    def close(self) -> None:
        """Nothing stays open between deliveries."""
