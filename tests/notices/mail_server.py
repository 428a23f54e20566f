"""A real mail server on the loopback, whose answers a test may script."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

CERTIFICATE = Path(__file__).parent / "localhost.pem"


@dataclass
class Inbox:
    """What the server took, and what it is to answer next (`250` once the scripts are used up)."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)
    encrypted: list[bool] = field(default_factory=list)
    rcpt_answers: list[str] = field(default_factory=list)
    data_answers: list[str] = field(default_factory=list)

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802
        answer = self.rcpt_answers.pop(0) if self.rcpt_answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        answer = self.data_answers.pop(0) if self.data_answers else "250 queued as 4711"
        if answer.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, policy=SMTP))
            self.recipients += envelope.rcpt_tos
            self.connections.add(session.peer)
            self.encrypted.append(session.ssl is not None)
        return answer


class _FreePort(Controller):
    """A controller on a port that the system chose; its own learns of the port too late."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(*, tls: bool = False, password: str = "") -> Iterator[Inbox]:
    """Run a server; with `tls` it offers STARTTLS, with `password` it wants user `kk` to log in."""
    inbox = Inbox()

    def authenticate(server, session, envelope, mechanism, data):
        good = data.login == b"kk" and data.password == password.encode()
        return AuthResult(success=good, handled=False)

    controller = _FreePort(
        inbox,
        hostname="127.0.0.1",
        port=0,
        tls_context=_server_context() if tls else None,
        require_starttls=tls,
        authenticator=authenticate if password else None,
        auth_required=bool(password),
        auth_require_tls=tls,
    )
    controller.start()
    try:
        inbox.port = controller.port
        yield inbox
    finally:
        controller.stop()


def client_context() -> ssl.SSLContext:
    """Return a context that trusts the test's certificate and nothing else."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context
