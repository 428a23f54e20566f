"""Delivery through a mail server."""

import contextlib
import smtplib
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from notices.mail import NotAnAddress, build_mail, one_line, plain_address
from notices.notice import Attachment, Delivery, Notice, Outcome

TIMEOUT_S: Final = 20.0
"""For each answer of the server; a lease lasts far longer."""

_GO_AHEAD: Final = 250
_CLOSING: Final = 421


class Security(StrEnum):
    """How the connection is kept from listeners."""

    NONE = "none"
    STARTTLS = "starttls"
    """Encrypted after the greeting; refused where the server does not offer it."""
    SSL = "ssl"
    """Encrypted from the start."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The mail server that notices go through, and who they come from."""

    host: str
    port: int
    sender: str
    sender_name: str = ""
    security: Security = Security.STARTTLS
    user: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = TIMEOUT_S


class SmtpChannel:
    """Hands notices to a mail server over one connection that is kept until `close`.

    The proof of a delivery is what the server answered to the mail itself: from then on it has it.
    """

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext | None = None) -> None:
        self.server = server
        self._tls = tls
        self._connection: smtplib.SMTP | None = None

    def deliver(self, notice: Notice, attachment: Attachment | None = None) -> Delivery:
        """Offer one mail to the server and return its answer."""
        try:
            mail = build_mail(
                notice,
                sender=self.server.sender,
                sender_name=self.server.sender_name,
                attachment=attachment,
            )
            recipient = plain_address(notice.recipient)
        except NotAnAddress as error:
            return Delivery(Outcome.REFUSED, str(error))
        try:
            delivery = self._hand_over(self._connected(), recipient, mail.as_bytes())
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Delivery(Outcome.UNREACHABLE, one_line(f"{type(error).__name__}: {error}"))
        if delivery.outcome is not Outcome.ACCEPTED:
            # A refusal leaves the dialogue half-way; the next notice starts on a fresh connection.
            self.close()
        return delivery

    def close(self) -> None:
        """Say goodbye to the server, if it still listens."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(OSError, smtplib.SMTPException):
            connection.quit()
        connection.close()

    def _connected(self) -> smtplib.SMTP:
        """Return the kept connection, if the server still answers on it, else a new one."""
        if self._connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                if self._connection.noop()[0] == _GO_AHEAD:
                    return self._connection
            self.close()
        connection = self._open()
        try:
            if self.server.security is Security.STARTTLS:
                connection.starttls(context=self._context())
            if self.server.user:
                connection.login(self.server.user, self.server.password)
            connection.ehlo_or_helo_if_needed()
        except (OSError, smtplib.SMTPException):
            connection.close()
            raise
        self._connection = connection
        return connection

    def _open(self) -> smtplib.SMTP:
        server = self.server
        if server.security is Security.SSL:
            return smtplib.SMTP_SSL(
                server.host, server.port, timeout=server.timeout_s, context=self._context()
            )
        return smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)

    def _context(self) -> ssl.SSLContext:
        return self._tls or ssl.create_default_context()

    def _hand_over(self, connection: smtplib.SMTP, recipient: str, mail: bytes) -> Delivery:
        """Speak the three steps ourselves: `sendmail` keeps the server's last answer to itself."""
        code, answer = connection.mail(plain_address(self.server.sender))
        if code != _GO_AHEAD:  # our own sender is not welcome: no other notice would fare better
            return Delivery(Outcome.UNREACHABLE, _answer(code, answer))
        code, answer = connection.rcpt(recipient)
        if code not in {250, 251}:
            return Delivery(_refusal(code), _answer(code, answer))
        try:
            code, answer = connection.data(mail)
        except smtplib.SMTPDataError as error:
            return Delivery(_refusal(error.smtp_code), _answer(error.smtp_code, error.smtp_error))
        if code != _GO_AHEAD:
            return Delivery(_refusal(code), _answer(code, answer))
        return Delivery(Outcome.ACCEPTED, _answer(code, answer))


def _refusal(code: int) -> Outcome:
    """Return what a code of RFC 5321 means: 5xx for ever, 421 the server itself, 4xx for now."""
    if code >= 500:
        return Outcome.REFUSED
    return Outcome.UNREACHABLE if code == _CLOSING or code < 400 else Outcome.DEFERRED


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return one_line(f"{code} {words}")[:500]
