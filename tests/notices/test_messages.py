import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from kilokassa.core.calendar import Month
from kilokassa.core.text import Language
from notices.messages import (
    Addressee,
    DaysLeft,
    DocumentIssued,
    Letterhead,
    MeterDue,
    MoneyLow,
    RecalculationIssued,
    TopUpReceived,
    VerificationsDue,
    message_of,
)

HEAD = Letterhead("АО «Энергосбыт»", "+7 4212 00-00-00", "help@example.org", "https://e.example/")
ANNA = Addressee("4200012345", "Анна Каренина", "г. Хабаровск, ул. Счётная, д. 14, кв. 27")
MONEY_LOW = MoneyLow(248_37, 300_00, 3, date(2026, 11, 23))
DAYS_LEFT = DaysLeft(412_80, 2, date(2026, 11, 26), 165_12, date(2026, 11, 23))
TOP_UP = TopUpReceived(
    10_000_00,
    500_00,
    10_432_11,
    datetime(2026, 11, 24, 9, tzinfo=UTC),
    ZoneInfo("Asia/Vladivostok"),
    "R-2026-000012",
)
DOCUMENT = DocumentIssued("2026-000123", Month(2026, 10), 2345_67, -1200_05, date(2026, 11, 15))
RECALCULATION = RecalculationIssued(
    "D-2026-000001", Month(2026, 8), Month(2026, 9), -65_52, Month(2026, 11)
)
ALL = [MONEY_LOW, DAYS_LEFT, TOP_UP, DOCUMENT, RECALCULATION]


def russian(facts, addressee=ANNA, head=HEAD):
    return message_of(facts, addressee, head, Language.RUSSIAN)


def english(facts, addressee=ANNA, head=HEAD):
    return message_of(facts, addressee, head, Language.ENGLISH)


class Words(HTMLParser):
    """Collects what a reader of the page sees, and the tags."""

    def __init__(self, page):
        super().__init__()
        self.seen, self.tags = "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.seen += " "

    def handle_data(self, data):
        self.seen += data


@pytest.mark.parametrize(
    ("facts", "subject"),
    [
        (MONEY_LOW, "Лицевой счёт 4200012345: осталось 248,37\u00a0₽"),
        (
            MoneyLow(-17_05, 300_00, 0, date(2026, 11, 23)),
            "Лицевой счёт 4200012345: деньги закончились",
        ),
        (DAYS_LEFT, "Лицевой счёт 4200012345: денег на 2 дня"),
        (TOP_UP, "Лицевой счёт 4200012345: получено 10\u00a0000,00\u00a0₽"),
        (DOCUMENT, "Лицевой счёт 4200012345: платёжный документ за октябрь 2026"),
    ],
)
def test_the_subject_says_what_happened(facts, subject):
    assert russian(facts).subject == subject


@pytest.mark.parametrize(
    ("days", "time"), [(0, "неполный день"), (1, "1 день"), (3, "3 дня"), (5, "5 дней")]
)
def test_days_are_counted_in_russian(days, time):
    facts = DaysLeft(412_80, days, date(2026, 11, 26), 82_56, date(2026, 11, 23))

    assert russian(facts).subject.endswith(f"денег на {time}")


@pytest.mark.parametrize("facts", ALL, ids=lambda facts: type(facts).__name__)
@pytest.mark.parametrize("language", list(Language))
def test_both_bodies_hold_every_amount_to_the_kopeck(facts, language):
    message = message_of(facts, ANNA, HEAD, language)

    seen = re.sub(r"\s", " ", Words(message.html).seen)
    text = re.sub(r"\s", " ", message.text)
    for amount_minor in {
        MoneyLow: (248_37, 300_00),
        DaysLeft: (412_80, 165_12),
        TopUpReceived: (10_000_00, 500_00, 10_432_11),
        DocumentIssued: (2345_67, 1200_05),
        RecalculationIssued: (65_52,),
    }[type(facts)]:
        whole, kopecks = f"{amount_minor / 100:,.2f}".split(".")
        digits = (
            f"{whole}.{kopecks}"
            if language is Language.ENGLISH
            else f"{whole.replace(',', ' ')},{kopecks}"
        )
        assert digits in text
        assert digits in seen


DUE = VerificationsDue(
    (
        MeterDue("ул. Счётная, 14, 27, P-27", "S1", "verified until %(day)s", date(2026, 11, 20)),
        MeterDue("ул. Счётная, 14, 28, P-28", "S2", "verified until %(day)s", date(2026, 12, 1)),
    ),
    count=5,
    overdue=1,
    within_days=90,
)
SERVICE = Addressee("", "ООО «Метролог»", "")


def test_who_services_meters_is_told_which_are_due_and_of_no_account():
    message = russian(DUE, SERVICE)

    page = re.sub(r"\s", " ", Words(message.html).seen)
    assert message.subject == "Поверка приборов учёта: подходит срок — 5, просрочено — 1"
    for body in (message.text, page):
        assert "ул. Счётная, 14, 27, P-27, № S1" in body
        assert "поверен до 20.11.2026" in body
        assert "5 приборов" in body
        assert "первые 2" in body
        assert "ицевой счёт" not in body
        assert "ицевого счёта" not in body


def test_a_list_that_is_whole_promises_no_more():
    message = english(VerificationsDue(DUE.meters, 2, 1, 90), SERVICE)

    assert "2 meters (1 overdue, the rest within 90 days)" in message.text
    assert "whole list" not in message.text
    assert "verified until 1 Dec 2026" in message.text


def test_a_gone_balance_keeps_its_sign():
    message = english(MoneyLow(-17_05, 300_00, 0, date(2026, 11, 23)))

    assert message.subject.endswith("the money has run out")
    assert "−₽17.05" in message.text
    assert "lasts" not in message.text
    assert "before the money runs out" not in message.text


def test_an_advance_is_nothing_to_pay():
    message = english(DocumentIssued("7", Month(2026, 10), 5_00, 12_00, date(2026, 11, 15)))

    assert "₽12.00 (nothing to pay: this is your advance)" in message.text
    assert "15 Nov" not in message.text


def test_a_recalculation_says_what_is_given_back_for_which_months_and_where_it_is_shown():
    message = english(RECALCULATION)

    assert (
        message.subject
        == f"Account {ANNA.account_number}: recalculation for August 2026 – September 2026"
    )
    assert "₽65.52 (given back to your account)" in message.text
    assert "The payment document for November 2026 will show the same lines." in message.text


def test_a_top_up_without_receipt_promises_none():
    facts = TopUpReceived(5_00, 0, 6_00, TOP_UP.received_at, TOP_UP.zone)

    message = english(facts)

    assert "attached" not in message.text
    assert "Bonus" not in message.text


def test_a_demo_says_so_in_both_bodies():
    head = Letterhead("Demo", demo=True)

    message = english(TOP_UP, head=head)

    assert "DEMO" in message.text
    assert "DEMO" in message.html


@pytest.mark.parametrize("facts", ALL, ids=lambda facts: type(facts).__name__)
def test_a_hostile_name_stays_a_name(facts):
    hostile = '<script>alert(1)</script>"\r\nBcc: all@example.org\u202e{{ 7*7 }}\x00'
    addressee = Addressee(f"1\r\nBcc: x@y {hostile}", hostile, hostile)

    message = russian(facts, addressee, Letterhead(hostile, hostile, hostile))

    page = Words(message.html)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.seen
    assert "\n" not in message.subject
    assert "\r" not in message.subject
    for body in (message.subject, message.text, message.html):
        assert "\u202e" not in body
        assert "\x00" not in body
        assert "\nBcc" not in body
        assert "49" not in body


def test_a_long_name_is_cut():
    message = english(MONEY_LOW, Addressee("1", "я" * 10_000, ""))

    assert len(message.text) < 1000


def test_the_account_page_is_a_web_address():
    with pytest.raises(ValueError, match="web address"):
        Letterhead("x", page_url="javascript:alert(1)")


def test_an_html_letter_loads_nothing_from_elsewhere():
    page = Words(english(TOP_UP).html)

    assert not {"img", "link", "script", "iframe"} & set(page.tags)
