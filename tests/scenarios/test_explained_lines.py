"""A charge line explains itself the same for ever, whatever was learned after it was written."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.explanation.explanation import Verdict
from billing.explanation.service import explain_charge_line
from billing.models import ChargeLineRow, LineKind
from kilokassa.app.closing import close_month
from kilokassa.app.readings_import import import_readings
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from tariffs.service import PublishOrder, publish_version
from tests import frozen_town as town
from tests.scenarios.by_hand_town import Town
from tests.web.seed import NOW, PREPAID, build

SCOPE = system_scope("test")
NOVEMBER, DECEMBER, JANUARY = Month(2022, 11), Month(2022, 12), Month(2023, 1)


@pytest.fixture
def installation(tmp_path, database):
    return build(tmp_path, database=database)


def explained(application):
    """Return the explanation of every charge line, by its number."""
    with application.database.reading() as session:
        ids = session.scalars(select(ChargeLineRow.id).order_by(ChargeLineRow.id)).all()
        return {line_id: explain_charge_line(session, SCOPE, line_id) for line_id in ids}


def at(application, days):
    return replace(application, clock=FixedClock(NOW + timedelta(days=days)))


def correct_readings(application, folder, day, kwh, *, number=PREPAID):
    """Let another value come for the evening of a day that was charged."""
    point = next(account.point for account in town.ACCOUNTS if account.number == number)
    start = datetime(day.year, day.month, day.day, 19, tzinfo=town.ZONE)
    file = folder / f"late-{day}-{kwh}-{application.clock.now():%d%H%M}.csv"
    file.write_text(f"point;time;value\n{point};{start.isoformat()};{kwh}\n")
    import_readings(application.database, file, scope=SCOPE, clock=application.clock)


def publish_other_prices(application, rate="9.99"):
    """Replace what the two zones cost since December, as if it had been published wrong."""
    document = next(
        text
        for text in town.tariff_documents()
        if "plan: two_zone" in text and "2022-12-01" in text
    )
    with application.database.writing() as session:
        order = PublishOrder(SCOPE, document.replace("7.42", rate), replaces=True)
        publish_version(session, order, application.clock)


def test_every_line_of_a_town_is_computed_again_to_the_same_kopeck(installation):
    found = explained(installation)

    assert len(found) == 52
    assert {one.replay.verdict for one in found.values()} == {Verdict.SAME}
    assert all(one.sum.holds for one in found.values())
    assert all(
        sum(part.energy_wh for part in one.intervals) == one.line.quantity
        for one in found.values()
        if one.intervals
    )
    assert all(one.steps for one in found.values())


def test_a_line_explains_itself_the_same_after_readings_and_prices_were_put_right(
    installation, tmp_path
):
    before = explained(installation)
    later = at(installation, 20)
    correct_readings(later, tmp_path, date(2022, 12, 10), "1.5")
    publish_other_prices(later)
    close_month(at(installation, 25), JANUARY, scope=SCOPE)

    after = explained(at(installation, 400))

    assert {number: after[number].digest for number in before} == {
        number: one.digest for number, one in before.items()
    }
    assert {one.replay.verdict for one in after.values()} == {Verdict.SAME}


def test_a_right_line_says_what_differs_from_the_one_it_stands_in_place_of(installation, tmp_path):
    correct_readings(at(installation, 20), tmp_path, date(2022, 12, 10), "1.5")
    close_month(at(installation, 25), JANUARY, scope=SCOPE)

    found = explained(installation).values()

    (reversing,) = (one for one in found if one.line.kind is LineKind.REVERSAL)
    (right,) = (one for one in found if one.line.kind is LineKind.CORRECTION)
    taken_back = next(one for one in found if one.line_id == reversing.before.line_id)
    assert taken_back.after.line_id == reversing.line_id
    assert right.before.line_id == taken_back.line_id
    assert reversing.sum.exact_minor == -taken_back.sum.exact_minor
    assert reversing.intervals == taken_back.intervals
    whats = [change.what for change in right.changes]
    assert whats == ["quantity", "amount_minor", "intervals", "2022-12-10"]
    assert right.changes[-1].before.startswith("1 · ")
    assert right.changes[-1].after.startswith("2 · ")


def test_a_reading_by_hand_put_right_later_leaves_the_old_line_explained(database, tmp_path):
    by_hand = Town(database, tmp_path)
    by_hand.read("P1", date(2026, 1, 24), 1100, hour=12)
    by_hand.close(2026, 1)
    with database.reading() as session:
        line_id = session.scalars(select(ChargeLineRow.id)).first()
        was = explain_charge_line(session, SCOPE, line_id)

    by_hand.read("P1", date(2026, 1, 24), 1090, hour=12, came=date(2026, 2, 10))
    by_hand.read("P1", date(2026, 2, 24), 1200, hour=12)
    by_hand.close(2026, 2)

    with database.reading() as session:
        now = explain_charge_line(session, SCOPE, line_id)
        right = session.scalars(
            select(ChargeLineRow.id).where(ChargeLineRow.kind == LineKind.CORRECTION)
        ).first()
        corrected = explain_charge_line(session, SCOPE, right)
    assert (was.digest, was.replay.verdict) == (now.digest, Verdict.SAME)
    assert now.replay.verdict is Verdict.SAME
    assert [change.what for change in corrected.changes] == [
        "quantity",
        "amount_minor",
        "later_reading",
        "counted",
    ]


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("readings"), st.integers(1, 61), st.integers(0, 3000)),
        st.tuples(st.just("prices"), st.just(0), st.integers(100, 999)),
        st.tuples(st.just("close"), st.just(0), st.just(0)),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.slow
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=CHANGES)
def test_whatever_changes_in_whatever_order_old_lines_keep_their_digests(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("explained")
    application = build(folder)
    before = explained(application)
    try:
        for number, (what, day, value) in enumerate(changes, start=1):
            later = at(application, 17 + number)
            if what == "readings":
                of = town.FIRST_DAY + timedelta(days=day - 1)
                correct_readings(later, folder, of, str(Decimal(value).scaleb(-3)))
            elif what == "prices":
                publish_other_prices(later, str(Decimal(value).scaleb(-2)))
            else:
                close_month(later, JANUARY, scope=SCOPE)

        after = explained(application)
    finally:
        application.database.dispose()

    assert {number: after[number].digest for number in before} == {
        number: one.digest for number, one in before.items()
    }
    assert {one.replay.verdict for one in after.values()} == {Verdict.SAME}
