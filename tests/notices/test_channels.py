import socket
import threading
from email import message_from_bytes
from email.policy import SMTP

import pytest

from notices.channels.email import Security, SmtpChannel, SmtpServer
from notices.channels.files import FolderChannel
from notices.notice import Attachment, Outcome
from tests.notices.mail_server import client_context, mail_server
from tests.notices.test_mail import notice


def channel_to(inbox, **changes):
    values = {"host": "127.0.0.1", "port": inbox.port, "sender": "kassa@example.org"}
    values |= {"security": Security.NONE, "timeout_s": 5}
    return SmtpChannel(SmtpServer(**(values | changes)), client_context())


@pytest.fixture
def inbox():
    with mail_server() as inbox:
        yield inbox


def test_the_server_takes_the_mail_and_its_answer_is_the_proof(inbox):
    channel = channel_to(inbox, sender_name="Энергосбыт")

    delivery = channel.deliver(notice(), Attachment("7.pdf", b"%PDF"))
    channel.close()

    assert delivery.outcome is Outcome.ACCEPTED
    assert delivery.answer == "250 queued as 4711"
    assert inbox.recipients == ["anna@example.org"]
    assert inbox.mails[0]["Subject"] == "Осталось 248,37 ₽"
    assert next(inbox.mails[0].iter_attachments()).get_content() == b"%PDF"


def test_one_connection_carries_many_notices(inbox):
    channel = channel_to(inbox)

    for n in range(3):
        channel.deliver(notice(id=n))
    channel.close()

    assert len(inbox.mails) == 3
    assert len(inbox.connections) == 1


def test_a_closed_channel_opens_again(inbox):
    channel = channel_to(inbox)

    channel.deliver(notice())
    channel.close()
    channel.deliver(notice())
    channel.close()

    assert len(inbox.connections) == 2


@pytest.mark.parametrize(
    ("step", "answer", "outcome"),
    [
        ("rcpt_answers", "550 no such user", Outcome.REFUSED),
        ("rcpt_answers", "450 mailbox busy", Outcome.DEFERRED),
        ("rcpt_answers", "421 shutting down", Outcome.UNREACHABLE),
        ("data_answers", "554 looks like spam", Outcome.REFUSED),
        ("data_answers", "451 try later", Outcome.DEFERRED),
        ("data_answers", "421 shutting down", Outcome.UNREACHABLE),
    ],
)
def test_a_refusal_says_whether_to_try_again(inbox, step, answer, outcome):
    channel = channel_to(inbox)
    getattr(inbox, step).append(answer)

    refused = channel.deliver(notice())
    taken = channel.deliver(notice())
    channel.close()

    assert (refused.outcome, refused.answer) == (outcome, answer)
    assert taken.outcome is Outcome.ACCEPTED
    assert len(inbox.mails) == 1


def test_a_bad_address_never_reaches_the_server(inbox):
    channel = channel_to(inbox)

    delivery = channel.deliver(notice(recipient="a@example.org\r\nRCPT TO:<b@example.org>"))
    channel.close()

    assert delivery.outcome is Outcome.REFUSED
    assert not inbox.recipients


def test_a_dead_port_is_unreachable():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = SmtpServer("127.0.0.1", port, "kassa@example.org", security=Security.NONE)

    delivery = SmtpChannel(server).deliver(notice())

    assert delivery.outcome is Outcome.UNREACHABLE
    assert "ConnectionRefusedError" in delivery.answer


def test_a_silent_server_is_unreachable_after_the_time_out():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SmtpServer(
            "127.0.0.1",
            listener.getsockname()[1],
            "kassa@example.org",
            security=Security.NONE,
            timeout_s=0.2,
        )

        delivery = SmtpChannel(server).deliver(notice())

    assert delivery.outcome is Outcome.UNREACHABLE


def test_a_connection_that_the_server_dropped_is_opened_anew():
    """The first connection dies after one mail; the second notice must not notice."""
    served = []

    def serve(listener):
        for _ in range(2):
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"220 hi\r\n")
                in_mail = False
                for line in lines:
                    if in_mail:
                        if line == b".\r\n":
                            served.append(connection)
                            connection.sendall(b"250 taken\r\n")
                            break
                        continue
                    in_mail = line.startswith(b"data")
                    connection.sendall(b"354 go\r\n" if in_mail else b"250 ok\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        server = SmtpServer(
            "127.0.0.1",
            listener.getsockname()[1],
            "kassa@example.org",
            security=Security.NONE,
            timeout_s=5,
        )
        channel = SmtpChannel(server)
        outcomes = [channel.deliver(notice()).outcome for _ in range(2)]
        channel.close()
        thread.join()

    assert outcomes == [Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert len(served) == 2


def test_the_connection_is_encrypted_and_logged_in_on():
    with mail_server(tls=True, password="secret") as inbox:
        channel = channel_to(inbox, security=Security.STARTTLS, user="kk", password="secret")

        delivery = channel.deliver(notice())
        channel.close()

    assert delivery.outcome is Outcome.ACCEPTED, delivery.answer
    assert inbox.encrypted == [True]


def test_a_wrong_password_is_unreachable_and_stays_secret():
    with mail_server(tls=True, password="secret") as inbox:
        channel = channel_to(inbox, security=Security.STARTTLS, user="kk", password="wr0ng")

        delivery = channel.deliver(notice())
        channel.close()

    assert delivery.outcome is Outcome.UNREACHABLE
    assert "535" in delivery.answer
    assert "wr0ng" not in delivery.answer + repr(channel.server)


def test_a_server_without_encryption_gets_nothing_when_it_is_asked_for(inbox):
    channel = channel_to(inbox, security=Security.STARTTLS)

    delivery = channel.deliver(notice())

    assert delivery.outcome is Outcome.UNREACHABLE
    assert not inbox.mails


def test_a_certificate_that_nobody_vouches_for_is_refused():
    with mail_server(tls=True) as inbox:
        server = SmtpServer("127.0.0.1", inbox.port, "kassa@example.org", timeout_s=5)

        delivery = SmtpChannel(server).deliver(notice())

    assert delivery.outcome is Outcome.UNREACHABLE
    assert "CERTIFICATE_VERIFY_FAILED" in delivery.answer


def test_a_folder_takes_a_notice_as_one_file_and_a_second_attempt_replaces_it(tmp_path):
    channel = FolderChannel(tmp_path / "outbox", sender="outbox@localhost", sender_name="Ж")

    first = channel.deliver(notice(), Attachment("7.pdf", b"%PDF"))
    again = channel.deliver(notice(attempt=2), Attachment("7.pdf", b"%PDF"))

    (file,) = (tmp_path / "outbox").iterdir()
    assert first == again
    assert (first.outcome, first.answer) == (Outcome.ACCEPTED, file.name)
    mail = message_from_bytes(file.read_bytes(), policy=SMTP)
    assert mail["Subject"] == "Осталось 248,37 ₽"
    assert next(mail.iter_attachments()).get_content() == b"%PDF"


def test_a_folder_that_cannot_be_made_is_unreachable(tmp_path):
    (tmp_path / "outbox").write_text("a file in the way")

    delivery = FolderChannel(tmp_path / "outbox", sender="outbox@localhost").deliver(notice())

    assert delivery.outcome is Outcome.UNREACHABLE


def test_a_folder_refuses_a_bad_address_as_a_server_would(tmp_path):
    channel = FolderChannel(tmp_path, sender="outbox@localhost")

    assert channel.deliver(notice(recipient="nobody")).outcome is Outcome.REFUSED
    assert not list(tmp_path.iterdir())
