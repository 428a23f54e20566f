from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.text import Language
from notices.mail import NotAnAddress, build_mail, plain_address
from notices.notice import Attachment, Message, Notice, NoticeKind, Way

NOON = datetime(2026, 11, 24, 9, tzinfo=UTC)


def notice(**changes):
    values = {
        "id": 7,
        "kind": NoticeKind.MONEY_LOW,
        "account_id": 1,
        "language": Language.RUSSIAN,
        "way": Way.EMAIL,
        "recipient": "anna@example.org",
        "message": Message("Осталось 248,37 ₽", "Текст\n", "<p>Текст</p>"),
        "message_id": "0123456789abcdef",
        "document_number": None,
        "attempt": 1,
        "attempted_at": NOON,
        "leased_until": NOON + timedelta(minutes=15),
    }
    return Notice(**(values | changes))


def as_received(mail):
    return message_from_bytes(mail.as_bytes(), policy=SMTP)


def decoded(header):
    """Read a header by RFC 2047; Python 3.11's own `display_name` keeps the space of a fold."""
    return str(make_header(decode_header(header.fold(policy=SMTP).partition(": ")[2].strip())))


def test_a_mail_arrives_as_it_was_written():
    mail = as_received(
        build_mail(
            notice(),
            sender="kassa@example.org",
            sender_name="АО «Энергосбыт», Хабаровск",
            attachment=Attachment("2026-000123.pdf", b"%PDF-1.7 \x00\xff"),
        )
    )

    assert mail["Subject"] == "Осталось 248,37 ₽"
    assert decoded(mail["From"]) == "АО «Энергосбыт», Хабаровск <kassa@example.org>"
    assert mail["From"].addresses[0].addr_spec == "kassa@example.org"
    assert mail["To"].addresses[0].addr_spec == "anna@example.org"
    assert mail["Message-ID"] == "<0123456789abcdef@example.org>"
    assert mail["Date"].datetime == NOON
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_body(("plain",)).get_content().strip() == "Текст"
    assert mail.get_body(("html",)).get_content().strip() == "<p>Текст</p>"
    (pdf,) = mail.iter_attachments()
    assert pdf.get_filename() == "2026-000123.pdf"
    assert pdf.get_content_type() == "application/pdf"
    assert pdf.get_content() == b"%PDF-1.7 \x00\xff"


def test_a_mail_passes_servers_that_take_seven_bits():
    mail = build_mail(notice(), sender="kassa@example.org", sender_name="Ж")

    assert mail.as_bytes().isascii()


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "anna",
        "anna@",
        "@example.org",
        "anna@example.org, boris@example.org",
        "anna@example.org\r\nBcc: boris@example.org",
        "Anna <anna@example.org>",
        "anna@example.org>",
        "анна@example.org",
        "anna@exa mple.org",
        "anna@-.org..",
        "anna..b@example.org",
        "anna@[127.0.0.1]",
        "a" * 65 + "@example.org",
    ],
)
def test_what_is_not_one_plain_address_is_refused(recipient):
    with pytest.raises(NotAnAddress):
        build_mail(notice(recipient=recipient), sender="kassa@example.org")


def test_a_domain_in_cyrillic_letters_is_encoded():
    assert plain_address(" anna.b+kassa@почта.рф ") == "anna.b+kassa@xn--80a1acny.xn--p1ai"


@given(st.text(), st.text(), st.text())
def test_no_text_can_forge_a_header(subject, name, file_name):
    mail = build_mail(
        notice(message=Message(subject, "x", "y")),
        sender="kassa@example.org",
        sender_name=name,
        attachment=Attachment(file_name or "x", b"%PDF"),
    )

    received = as_received(mail)
    assert received["To"].addresses[0].addr_spec == "anna@example.org"
    assert [address.addr_spec for address in received["From"].addresses] == ["kassa@example.org"]
    assert sorted(received.keys()) == sorted(
        [
            "Subject",
            "From",
            "To",
            "Date",
            "Message-ID",
            "Content-Language",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
        ]
    )


@given(st.text())
def test_a_text_is_an_address_or_refused(text):
    try:
        found = plain_address(text)
    except NotAnAddress:
        return
    assert found.isascii()
    assert found.count("@") == 1
    assert not any(char.isspace() for char in found)
