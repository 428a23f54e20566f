"""A notice as a mail: built by the standard library's policy, which refuses a forged header.

Everything that comes from outside (names, addresses, subjects, file names) is put on one line
before it becomes a header, and the recipient must be one plain address: neither a list nor a name
with an address inside.
"""

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from kilokassa.core.text import Language
from notices.notice import Attachment, Notice

_ADDRESS: Final = re.compile(r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64})@([^@\s]{1,253})")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}")


_POLICY: Final = SMTP.clone(cte_type="7bit")
"""Bodies in seven bits: not every server on the way takes eight."""


class NotAnAddress(ValueError):
    """Text that is not one plain e-mail address."""


def plain_address(text: str) -> str:
    """Return `text` as an address in ASCII; a name of a domain in other letters is encoded.

    >>> plain_address("anna@почта.рф")
    'anna@xn--80a1acny.xn--p1ai'
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        raise NotAnAddress(f"not an e-mail address: {text[:80]!r}")
    local, host = found.groups()
    try:
        domain = host.encode("idna").decode("ascii")
        Address(addr_spec=f"{local}@{domain}")
    except (UnicodeError, ValueError, IndexError, MessageError) as error:
        raise NotAnAddress(f"not an e-mail address: {text[:80]!r}") from error
    if not _HOST.fullmatch(domain):
        raise NotAnAddress(f"not an e-mail address: {text[:80]!r}")
    return f"{local}@{domain}"


def build_mail(
    notice: Notice, *, sender: str, sender_name: str = "", attachment: Attachment | None = None
) -> EmailMessage:
    """Return `notice` as a mail from `sender`; raise `NotAnAddress` for a recipient that is none.

    The `Message-ID` is that of the notice: a mail that is delivered twice bears it twice.
    """
    from_address = plain_address(sender)
    mail = EmailMessage(policy=_POLICY)
    mail["Subject"] = one_line(notice.message.subject)
    mail["From"] = Address(one_line(sender_name), addr_spec=from_address)
    mail["To"] = Address(addr_spec=plain_address(notice.recipient))
    mail["Date"] = format_datetime(notice.attempted_at)
    mail["Message-ID"] = f"<{notice.message_id}@{from_address.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(notice.message.text)
    mail.add_alternative(notice.message.html, subtype="html")
    if attachment is not None:
        mail.add_attachment(
            attachment.content,
            maintype="application",
            subtype="pdf",
            filename=one_line(attachment.file_name),
        )
    # Last: content headers that are set before move into the first part.
    mail["Content-Language"] = str(Language(notice.language))
    return mail


def one_line(text: str) -> str:
    """Return `text` fit for a header: what cannot be printed is a space, and no run of them."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
