"""The life of a meter: what may follow what, and what is due when."""

from datetime import date, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.errors import Invalid
from kilokassa.core.text import Language, gettext
from metering.meters.life import (
    NEXT,
    Due,
    DueBand,
    DueReason,
    LifeEvent,
    LifeStage,
    MeterDates,
    MeterLifeConflict,
    add_years,
    due,
    life_of,
    live_on,
    retire_by,
)
from metering.registry.places import LifeEventKind

TODAY = date(2026, 11, 24)
KNOWN = MeterDates("S1", date(2012, 5, 10), verified_until=date(2028, 5, 9), made_on=None)


def event(kind: str, day: str, until: str | None = None) -> LifeEvent:
    return LifeEvent(
        LifeEventKind(kind),
        date.fromisoformat(day),
        None if until is None else date.fromisoformat(until),
    )


WHOLE_LIFE = (
    event("made", "2012-01-20"),
    event("verified", "2012-02-01", "2028-01-31"),
    event("installed", "2012-05-10"),
    event("commissioned", "2012-05-12"),
    event("sealed", "2012-05-12"),
    event("repaired", "2020-03-03"),
    event("verified", "2020-03-05", "2036-03-04"),
    event("commissioned", "2020-03-06"),
    event("replaced", "2024-08-01"),
    event("retired", "2024-08-02"),
    event("disposed", "2024-09-01"),
)


@pytest.mark.parametrize(
    ("steps", "stage", "verified_until"),
    [
        (3, "installed", "2028-01-31"),
        (4, "in_service", "2028-01-31"),
        (5, "in_service", "2028-01-31"),
        (6, "installed", "2028-01-31"),
        (7, "installed", "2036-03-04"),
        (8, "in_service", "2036-03-04"),
        (9, "removed", "2036-03-04"),
        (10, "retired", "2036-03-04"),
        (11, "disposed", "2036-03-04"),
    ],
)
def test_a_life_is_told_step_by_step(steps, stage, verified_until):
    life = life_of(KNOWN, WHOLE_LIFE[:steps])

    assert life.stage == LifeStage(stage)
    assert life.verified_until == date.fromisoformat(verified_until)


def test_the_order_of_writing_down_does_not_matter():
    whole = life_of(KNOWN, WHOLE_LIFE)

    lives = {life_of(KNOWN, [*some, *WHOLE_LIFE[4:]]) for some in permutations(WHOLE_LIFE[:4])}

    assert lives == {whole}
    assert whole.stage is LifeStage.DISPOSED


def test_a_meter_of_which_only_the_row_is_known_is_in_service():
    life = life_of(KNOWN, [])

    assert life.stage is LifeStage.IN_SERVICE
    assert [(e.kind, e.implied) for e in life.events] == [
        (LifeEventKind.INSTALLED, True),
        (LifeEventKind.COMMISSIONED, True),
    ]
    assert life.verified_until == date(2028, 5, 9)


def test_a_meter_whose_installation_was_written_down_waits_to_be_commissioned():
    life = life_of(KNOWN, [event("installed", "2012-05-10")])

    assert life.stage is LifeStage.INSTALLED
    assert LifeEventKind.COMMISSIONED in life.allowed


def test_a_removed_meter_is_one_that_was_replaced():
    dates = MeterDates("S1", date(2012, 5, 10), removed_on=date(2020, 1, 1))

    life = life_of(dates, [])

    assert life.stage is LifeStage.REMOVED
    assert life.allowed == (
        LifeEventKind.VERIFIED,
        LifeEventKind.REPAIRED,
        LifeEventKind.RETIRED,
    )


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("", "disposed 2020-01-01"),
        ("", "made 2013-01-01"),
        ("", "sealed 2012-01-01"),
        ("replaced 2020-01-01", "replaced 2021-01-01"),
        ("replaced 2020-01-01", "sealed 2021-01-01"),
        ("replaced 2020-01-01", "commissioned 2021-01-01"),
        ("replaced 2020-01-01", "disposed 2021-01-01"),
        ("retired 2020-01-01", "verified 2021-01-01"),
        ("retired 2020-01-01", "repaired 2021-01-01"),
        ("repaired 2020-01-01", "disposed 2021-01-01"),
    ],
)
def test_what_cannot_follow_is_refused(first, then):
    known = [event(*first.split())] if first else []
    kind, day = then.split()
    until = "2030-01-01" if kind == "verified" else None

    with pytest.raises(MeterLifeConflict):
        live_on(KNOWN, known, event(kind, day, until), today=TODAY)


def test_the_refusal_names_the_event_and_the_stage_in_the_readers_language():
    with pytest.raises(MeterLifeConflict) as caught:
        live_on(KNOWN, [], event("disposed", "2020-01-01"), today=TODAY)

    english = str(caught.value)
    russian = caught.value.sentence(lambda text: gettext(text, Language.RUSSIAN))

    assert english == (
        "Meter S1: disposal on 2020-01-01 is not possible: the meter was in service then."
    )
    assert "утилизация" in russian
    assert "в эксплуатации" in russian


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (event("sealed", "2026-11-25"), "in the future"),
        (event("sealed", "2020-01-01", "2021-01-01"), "only a verification"),
        (event("verified", "2020-01-01"), "until when it holds"),
        (event("verified", "2020-01-01", "2020-01-01"), "in the 20 years after"),
        (event("verified", "2020-01-01", "2040-01-02"), "in the 20 years after"),
    ],
)
def test_an_event_that_is_wrong_in_itself_is_refused(told, problem):
    with pytest.raises(Invalid, match=problem):
        live_on(KNOWN, [], told, today=TODAY)


def test_a_meter_past_its_service_life_is_not_commissioned():
    dates = MeterDates("S1", date(2010, 1, 1), made_on=date(2009, 6, 1), service_life_years=16)
    repaired = [event("repaired", "2025-07-01")]

    with pytest.raises(Invalid, match="2025-05-31"):
        live_on(dates, repaired, event("commissioned", "2025-07-02"), today=TODAY)


def test_what_only_a_row_tells_may_be_written_down_with_its_document():
    life = life_of(KNOWN, [])

    added = live_on(KNOWN, [], event("commissioned", "2012-05-11"), today=TODAY)

    assert LifeEventKind.MADE in life.recordable
    assert LifeEventKind.COMMISSIONED in life.recordable
    assert LifeEventKind.REPLACED not in life.recordable
    assert [e.implied for e in added.events] == [True, False]


@pytest.mark.parametrize(
    ("day", "held"),
    [
        ("2012-01-31", False),
        ("2012-02-01", True),
        ("2020-03-02", True),
        ("2020-03-03", False),
        ("2020-03-04", False),
        ("2020-03-05", True),
        ("2036-03-04", True),
        ("2036-03-05", False),
    ],
)
def test_a_verification_holds_from_its_day_to_its_last_and_ends_with_a_repair(day, held):
    life = life_of(KNOWN, WHOLE_LIFE)

    assert life.verified_on(date.fromisoformat(day)) is held


def test_a_later_verification_does_not_make_good_the_gap_before_it():
    dates = MeterDates("S1", date(2002, 1, 1), verified_until=date(2018, 1, 1))
    told = [
        event("verified", "2002-01-01", "2017-10-02"),
        event("verified", "2018-06-01", "2034-05-31"),
    ]

    life = life_of(dates, told)

    assert life.verified_on(date(2017, 10, 2))
    assert not life.verified_on(date(2017, 10, 3))
    assert not life.verified_on(date(2018, 5, 31))
    assert life.verified_on(date(2018, 6, 1))


@given(
    st.lists(
        st.tuples(st.sampled_from(list(LifeEventKind)), st.integers(0, 5000)),
        max_size=8,
    )
)
def test_a_life_is_only_ever_what_the_table_allows(steps):
    first = date(2012, 5, 10)
    told: list[LifeEvent] = []
    for kind, days in steps:
        day = first + timedelta(days=days)
        until = add_years(day, 10) if kind is LifeEventKind.VERIFIED else None
        step = LifeEvent(kind, day, until)
        try:
            live_on(KNOWN, told, step, today=TODAY)
        except (MeterLifeConflict, Invalid):
            continue
        told.append(step)

    life = life_of(KNOWN, told)

    stage = LifeStage.UNKNOWN
    for one in life.events:
        stage = NEXT[stage][one.kind]
    assert stage is life.stage
    verified = [e for e in life.events if e.kind is LifeEventKind.VERIFIED]
    assert life.verified_until == (verified[-1].valid_until if verified else KNOWN.verified_until)


def verification(on: date, band: DueBand) -> Due:
    return Due(DueReason.VERIFICATION, on, band)


def repaired(on):
    return Due(DueReason.REPAIRED, on, DueBand.EXPIRED)


def service_life(on: date, band: DueBand) -> Due:
    return Due(DueReason.SERVICE_LIFE, on, band)


@pytest.mark.parametrize(
    ("verified_until", "repaired", "retire_on", "expected"),
    [
        ("2026-11-23", None, None, verification(date(2026, 11, 23), DueBand.EXPIRED)),
        ("2026-11-24", None, None, verification(TODAY, DueBand.WITHIN_30)),
        ("2026-12-24", None, None, verification(date(2026, 12, 24), DueBand.WITHIN_30)),
        ("2026-12-25", None, None, verification(date(2026, 12, 25), DueBand.WITHIN_90)),
        ("2027-02-22", None, None, verification(date(2027, 2, 22), DueBand.WITHIN_90)),
        ("2027-02-23", None, None, verification(date(2027, 2, 23), DueBand.WITHIN_180)),
        ("2027-05-24", None, None, verification(date(2027, 5, 24), DueBand.LATER)),
        (None, None, None, Due(DueReason.UNKNOWN, None, DueBand.UNKNOWN)),
        (None, None, "2030-01-01", Due(DueReason.UNKNOWN, None, DueBand.UNKNOWN)),
        (None, None, "2026-11-01", service_life(date(2026, 11, 1), DueBand.EXPIRED)),
        ("2030-01-01", None, "2026-12-01", service_life(date(2026, 12, 1), DueBand.WITHIN_30)),
        ("2030-01-01", "2026-11-24", None, repaired(TODAY)),
        (None, "2026-11-01", "2026-10-01", repaired(date(2026, 11, 1))),
    ],
)  # fmt: skip
def test_what_is_due_first_is_told(verified_until, repaired, retire_on, expected):
    days = [
        None if day is None else date.fromisoformat(day)
        for day in (verified_until, repaired, retire_on)
    ]

    found = due(verified_until=days[0], unverified_since=days[1], retire_on=days[2], today=TODAY)

    assert found == expected


def test_a_service_life_ends_the_day_before_its_last_birthday():
    assert retire_by(date(2010, 3, 15), 30) == date(2040, 3, 14)
    assert retire_by(None, 30) is None
    assert retire_by(date(2010, 3, 15), None) is None
