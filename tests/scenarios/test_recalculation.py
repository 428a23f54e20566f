"""What is learned late puts closed months right, at once or at the next close, and only once."""

import random
from datetime import date, timedelta

import numpy as np
import pytest
from sqlalchemy import update

from billing.models import AccountRow, CorrectionReason, LineKind
from billing.recalculation.service import corrections, suspected_months
from billing.store import retailer
from invoices.numbering import DocumentKind
from invoices.payment_document import PaymentDocument
from invoices.recalculation import RecalculationDocument
from invoices.service import verify
from invoices.store import documents_of
from kilokassa.app.correcting import CorrectingOrder, write_corrections
from kilokassa.app.month_documents import Issuer
from kilokassa.app.recalculating import NothingClosed, Wish, preview, recalculate
from kilokassa.core.calendar import Month, intervals_in_day, local_midnight
from kilokassa.core.clock import FixedClock
from metering.days import whole_days
from metering.events.kinds import QualityBasis, QualityEventKind, QualityEventState
from metering.events.service import (
    DecideOrder,
    EndOrder,
    QualityOrder,
    decide_quality,
    end_quality,
    record_quality,
)
from metering.registry.places import Commodity
from metering.store import write_days
from notices.notice import NoticeKind
from notices.store import notices_of
from tariffs.lines import ChargeKind
from tariffs.service import PublishOrder, publish_version
from tests.scenarios.by_hand_town import SCOPE, ZONE, Town, tariff
from wallet.store import closings

TODAY = date(2026, 3, 12)
DEARER = tariff("single", [("2017-01-01", 5), ("2026-01-24", 6)])


def at(month, day):
    return local_midnight(date(2026, month, day), ZONE)


def put_right(town, when, **wish):
    return recalculate(town.application(when), Wish(**wish), scope=SCOPE)


def look(town, when, **wish):
    with town.database.reading() as session:
        return preview(session, SCOPE, Wish(**wish), at=when)


def publish(town, text, when):
    with town.database.writing() as session:
        publish_version(session, PublishOrder(SCOPE, text, replaces=True), FixedClock(when))


def outage(town, start, hours, when, flat=""):
    with town.database.writing() as session:
        recorded = record_quality(
            session,
            QualityOrder(
                scope=SCOPE,
                building_code="B1",
                premises_number=flat,
                commodity=Commodity.ELECTRICITY,
                kind=QualityEventKind.NO_SUPPLY,
                basis=QualityBasis.ACT,
                starts_at=start,
                ends_at=start + timedelta(hours=hours),
                document="A-1",
            ),
            FixedClock(when),
        )
        decide_quality(
            session,
            DecideOrder(recorded.event.id, QualityEventState.CONFIRMED, "", SCOPE),
            FixedClock(when),
        )


def documents(town, point, kind):
    with town.database.reading() as session:
        found = documents_of(session, SCOPE, town.accounts[point], kind=kind)
        assert list(verify(session)) == []
    return list(reversed(found))


def differences(town, point="P1"):
    return [
        RecalculationDocument.from_snapshot(one.snapshot, one.number)
        for one in documents(town, point, DocumentKind.RECALCULATION)
    ]


def read_and_close(town, first, last, kwh=100):
    for number in range(first, last + 1):
        for point in town.accounts:
            town.read(point, date(2026, number, 24), 1000 + kwh * number, hour=0)
        town.close(2026, number)


@pytest.fixture
def town(database, tmp_path):
    return Town(database, tmp_path)


def test_a_version_published_for_closed_months_is_charged_by_at_once(town):
    read_and_close(town, 1, 3)
    before_minor = town.billed_minor("P1")
    publish(town, DEARER, at(4, 10))

    shown = look(town, at(4, 12))
    report = put_right(town, at(4, 12))

    assert [(str(one.month), one.reason) for one in shown.pending] == [
        ("2026-02", CorrectionReason.TARIFF),
        ("2026-03", CorrectionReason.TARIFF),
    ]
    assert shown.difference_minor == report.difference_minor == 200_00
    assert town.billed_minor("P1") - before_minor == 200_00
    (document,) = differences(town)
    assert document.number == "D-2026-000001"
    assert report.documents == (document.number,)
    assert [(str(m.month), m.difference_minor) for m in document.months] == [
        ("2026-02", 100_00),
        ("2026-03", 100_00),
    ]


def test_the_next_payment_document_shows_what_was_put_right_before_it(town):
    read_and_close(town, 1, 2)
    publish(town, DEARER, at(3, 10))
    put_right(town, at(3, 12))

    read_and_close(town, 3, 3)

    shown = PaymentDocument.from_snapshot(
        documents(town, "P1", DocumentKind.PAYMENT_DOCUMENT)[-1].snapshot
    )
    assert [line.kind for line in shown.lines] == [
        LineKind.REVERSAL,
        LineKind.CORRECTION,
        LineKind.ORIGINAL,
    ]
    assert shown.total_minor == 100_00 + 600_00
    assert len(differences(town)) == 1


def test_the_close_issues_the_document_of_the_difference_itself(town):
    read_and_close(town, 1, 2)
    publish(town, DEARER, at(3, 10))

    read_and_close(town, 3, 3)

    (document,) = differences(town)
    assert document.difference_minor == 100_00
    assert document.shown_in == Month(2026, 3)


def test_a_recalculation_again_changes_nothing(town):
    read_and_close(town, 1, 2)
    publish(town, DEARER, at(3, 10))
    put_right(town, at(3, 12))

    again = put_right(town, at(3, 13))

    assert (again.corrected, again.difference_minor, again.documents) == (0, 0, ())
    assert look(town, at(3, 13)).pending == ()


def test_a_look_posts_nothing(town):
    read_and_close(town, 1, 2)
    publish(town, DEARER, at(3, 10))
    lines = town.lines("P1")

    look(town, at(3, 12))

    assert len(town.lines("P1")) == len(lines)
    assert differences(town) == []


def test_only_the_month_or_account_that_is_named_is_put_right(database, tmp_path):
    town = Town(database, tmp_path, flats=2)
    read_and_close(town, 1, 3)
    publish(town, DEARER, at(4, 10))

    first = put_right(town, at(4, 12), month=Month(2026, 2), account_number="1000000002")

    assert (first.corrected, first.months, first.difference_minor) == (1, 1, 100_00)
    assert differences(town, "P1") == []
    assert put_right(town, at(4, 13)).difference_minor == 300_00


def test_before_the_first_close_there_is_nothing_to_put_right(town):
    with pytest.raises(NothingClosed):
        put_right(town, at(2, 1))


def test_a_late_reading_is_charged_without_waiting_for_the_close(town):
    read_and_close(town, 1, 2)
    town.read("P1", date(2026, 1, 24), 1090, hour=0, came=date(2026, 3, 10))

    put_right(town, at(3, 12))

    assert [town.billed_wh("P1", 2026, n) for n in (1, 2)] == [90_000, 110_000]
    assert {m.reason for m in differences(town)[0].months} == {CorrectionReason.READINGS}


def test_an_outage_of_thirty_hours_takes_nine_thousandths_of_the_month_off(town):
    read_and_close(town, 1, 1)
    outage(town, at(1, 10), 30, at(2, 5))

    put_right(town, at(2, 6))

    (line,) = [n for n in town.lines("P1") if n.charge is ChargeKind.DEDUCTION]
    # 100 kWh at 5 roubles; 6 hours beyond the 24 that are allowed, 0.15 % each.
    assert (line.quantity, line.rate_scaled, line.amount_minor) == (500_00, 9_000, -4_50)
    (document,) = differences(town)
    assert document.months[0].reason is CorrectionReason.QUALITY
    assert document.difference_minor == -4_50
    assert document.warnings


def test_an_outage_that_is_known_at_the_close_is_on_the_bill(town):
    outage(town, at(1, 10), 30, at(1, 20), flat="1")

    read_and_close(town, 1, 1)

    assert [n.amount_minor for n in town.lines("P1")] == [500_00, -4_50]
    assert differences(town) == []


def test_a_deduction_follows_the_charge_that_it_is_a_share_of(town):
    outage(town, at(1, 10), 30, at(1, 20))
    read_and_close(town, 1, 1)
    publish(town, tariff("single", [("2017-01-01", 10)]), at(2, 5))

    put_right(town, at(2, 6))

    assert town.billed_minor("P1") == 1_000_00 - 9_00


def test_what_lies_beyond_the_limit_is_listed_and_left(database, tmp_path):
    town = Town(database, tmp_path)
    read_and_close(town, 1, 12)
    for number in (1, 2):
        month = Month(2027, number)
        town.read("P1", month.first_day.replace(day=24), 2200 + 100 * number, hour=0)
        town.close(2027, number)
    publish(town, tariff("single", [("2017-01-01", 6)]), local_midnight(date(2027, 3, 5), ZONE))

    report = put_right(town, local_midnight(date(2027, 3, 6), ZONE))

    assert [str(one.month) for one in report.beyond] == ["2026-01", "2026-02"]
    assert report.months == 12
    assert {m.month for m in differences(town)[0].months} == {
        Month(2026, 3).plus(n) for n in range(12)
    }


NEWS = ("reading", "later_reading", "outage", "long_outage")


def tell(town, point, news, when):
    """Let one thing about January or February of a flat become known."""
    if news == "reading":
        town.read(point, date(2026, 1, 24), 1090, hour=0, came=when)
    elif news == "later_reading":
        town.read(point, date(2026, 2, 24), 1230, hour=0, came=when)
    elif news == "outage":
        outage(town, at(1, 10), 30, local_midnight(when, ZONE), flat=point[1:])
    else:
        outage(town, at(2, 3), 200, local_midnight(when, ZONE), flat=point[1:])


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_arrival_ends_in_the_same_bill(database, tmp_path, seed):
    """Six flats learn the same in six orders, with closes and recalculations in between."""
    chance = random.Random(seed)
    town = Town(database, tmp_path, flats=6)
    read_and_close(town, 1, 2)
    orders = {point: chance.sample(NEWS, len(NEWS)) for point in town.accounts}
    version_after = chance.randrange(len(NEWS))
    for step in range(len(NEWS)):
        month = 3 + step
        for point, order in orders.items():
            tell(town, point, order[step], date(2026, month, chance.randint(2, 20)))
            if chance.random() < 0.3:
                put_right(town, at(month, 21), account_number=f"100000000{point[1:]}")
        if step == version_after:
            publish(town, tariff("single", [("2017-01-01", 7)]), at(month, 22))
        if chance.random() < 0.5:
            put_right(town, at(month, 23))
        read_and_close(town, month, month, kwh=120)

    again = put_right(town, at(7, 20))

    assert again.corrected == 0
    with database.reading() as session:
        owed = closings(session, list(town.accounts.values()), Month(2026, 12).ordinal)
    for point, account_id in town.accounts.items():
        standing = [
            sum(n.amount_minor for n in town.lines(point, charged=(2026, number)))
            for number in range(1, 7)
        ]
        # January: 90 kWh at 7, 6 hours beyond at 0.15 %; February: 140 kWh, 176 hours beyond.
        assert standing[:2] == [630_00 - 5_67, 980_00 - 258_72]
        assert -owed[account_id] == sum(standing)


YEARLY = """
plan: single
name: {ru: Тест}
valid_from: 2017-01-01
currency: RUB
vat: included
ranges: {order: time, basis: total, period: year, borders_kwh: [2000]}
prices:
  - {from: 2017-01-01, per_kwh: [5, 10]}
source: a test
confidence: high
"""


def measure(town, month, kwh_an_hour, came):
    """Let all hours of a month of the first flat become known at an instant."""
    hours = [intervals_in_day(day, ZONE, 60) for day in month.days]
    blocks = [
        whole_days(60, [town.channels["P1"]], [day], np.full((1, count), kwh_an_hour * 1000))
        for day, count in zip(month.days, hours, strict=True)
    ]
    with town.database.writing() as session:
        write_days(session, blocks, FixedClock(came), source="test")


def test_what_comes_late_for_january_moves_the_yearly_range_of_later_months(database, tmp_path):
    town = Town(database, tmp_path, interval_min=60, plan=YEARLY, norm=False)
    for number in (1, 2, 3):
        month = Month(2026, number)
        measure(town, month, 1, local_midnight(month.plus(1).first_day, ZONE))
        town.close(2026, number)
    # 744, 672 and 744 kWh: the last 160 of them are beyond 2000 a year.
    assert town.billed_minor("P1") == 2_000 * 500 + 160 * 1000

    measure(town, Month(2026, 1), 2, at(4, 10))
    put_right(town, at(4, 12))

    assert town.billed_minor("P1") == 2_000 * 500 + (160 + 744) * 1000
    assert [str(m.month) for m in differences(town)[0].months] == ["2026-01", "2026-02", "2026-03"]
    assert put_right(town, at(4, 13)).corrected == 0


def test_who_gave_an_address_is_sent_the_document_once(town):
    read_and_close(town, 1, 2)
    publish(town, DEARER, at(3, 10))
    with town.database.writing() as session:
        session.execute(update(AccountRow).values(email="anna@town.example"))

    put_right(town, at(3, 12))
    put_right(town, at(3, 13))

    with town.database.reading() as session:
        found = notices_of(session, SCOPE, town.accounts["P1"])
    assert [(one.kind, one.document_number) for one in found] == [
        (NoticeKind.RECALCULATION, "D-2026-000001")
    ]


def test_of_two_who_computed_the_same_correction_one_writes_it(town):
    read_and_close(town, 1, 2)
    publish(town, DEARER, at(3, 10))
    with town.database.reading() as session:
        ids = list(town.accounts.values())
        found = suspected_months(session, ids, Month(2026, 3), learned_on=TODAY)
        stale = corrections(session, found.months)
        issuer = Issuer.of(retailer(session), Month(2026, 3), TODAY)
    put_right(town, at(3, 12))
    before_minor = town.billed_minor("P1")

    with town.database.writing() as session:
        order = CorrectingOrder(stale, issuer, run_id=1, known_at=at(3, 12))
        written = write_corrections(session, order, FixedClock(at(3, 12)))

    assert written == {}
    assert town.billed_minor("P1") == before_minor


def test_who_has_moved_out_gets_a_document_of_the_difference_too(town):
    read_and_close(town, 1, 2)
    with town.database.writing() as session:
        session.execute(update(AccountRow).values(closed_on=date(2026, 3, 1)))
    publish(town, DEARER, at(3, 10))

    report = put_right(town, at(3, 12))

    assert report.difference_minor == 100_00
    assert differences(town)[0].payer.name == "Иванова Анна"


def test_an_end_that_is_told_later_gives_back_what_was_taken_off_too_much(town):
    with town.database.writing() as session:
        recorded = record_quality(
            session,
            QualityOrder(
                scope=SCOPE,
                building_code="B1",
                commodity=Commodity.ELECTRICITY,
                kind=QualityEventKind.NO_SUPPLY,
                basis=QualityBasis.ACT,
                starts_at=at(1, 30),
                document="A-1",
            ),
            FixedClock(at(1, 31)),
        )
        decision = DecideOrder(recorded.event.id, QualityEventState.CONFIRMED, "", SCOPE)
        decide_quality(session, decision, FixedClock(at(1, 31)))
    read_and_close(town, 1, 1)
    # Two days to the end of the month: 24 hours beyond the day that is allowed, 3.6 %.
    assert town.billed_minor("P1") == 500_00 - 18_00

    with town.database.writing() as session:
        end = EndOrder(recorded.event.id, at(1, 31) + timedelta(hours=2), SCOPE)
        end_quality(session, end, FixedClock(at(2, 10)))
    put_right(town, at(2, 11))

    # It lasted 26 hours: two hours beyond.
    assert town.billed_minor("P1") == 500_00 - 1_50
