"""Facts of an account as they are stated, replaced, taken back and read as they were known."""

from datetime import date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.facts.facts import FactOrder, Subject, TermsOrder
from billing.facts.service import change_terms, state, withdraw
from billing.facts.store import (
    absences_of,
    entitled_on,
    facts_of,
    persons_on,
    terms_of,
)
from billing.models import AccountRow, Measurement, Settlement
from billing.service import open_accounts
from kilokassa.core.calendar import Month, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope
from metering.registry.places import Building, PlacesOrder, Premises
from metering.registry.service import register_places
from metering.registry.store import areas_on
from tariffs.store import plan_by_code
from tests.scenarios.by_hand_town import SCOPE, ZONE, tariff
from tests.scenarios.plans_town import PlansTown

TODAY = date(2026, 10, 20)
BEFORE, AFTER = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
VETERANS = tariff("veterans", [("2017-01-01", 5)]) + (
    "concessions: [{code: veteran, name: {ru: Ветеран}, who: entitled, base: energy, "
    "percents: [{from: 2017-01-01, percent: 50}]}]\n"
)
LATE = tariff("late", [("2026-06-01", 5)]).replace(
    "valid_from: 2017-01-01", "valid_from: 2026-06-01"
)


def noon(day: date) -> datetime:
    return local_midnight(day, ZONE) + timedelta(hours=12)


class FactTown(PlansTown):
    """A flat whose facts a clerk states."""

    def __init__(self, database, folder):
        super().__init__(database, folder, VETERANS, LATE)

    def states(self, subject, since, value=0, *, at=TODAY, scope=SCOPE, **more):
        order = FactOrder(self.account, subject, since, value, **more)
        with self.database.writing() as session:
            return state(session, scope, order, FixedClock(noon(at)))

    def takes_back(self, subject, statement_id, *, at=TODAY):
        with self.database.writing() as session:
            return withdraw(
                session, SCOPE, self.account, subject, statement_id, FixedClock(noon(at))
            )

    def statements(self, subject, known_at=None):
        with self.database.reading() as session:
            found = facts_of(session, SCOPE, self.account, known_at=known_at)
        return [one for one in found if one.subject is subject]

    def persons(self, day, known_at=None):
        with self.database.reading() as session:
            return persons_on(session, [self.account], day, known_at=known_at)[self.account]

    def area(self, day, known_at=None):
        with self.database.reading() as session:
            premises_id = session.get(AccountRow, self.account).premises_id
            return areas_on(session, [premises_id], day, known_at=known_at)[premises_id]


@pytest.fixture
def town(database, tmp_path):
    return FactTown(database, tmp_path)


def test_a_family_that_grew_is_counted_from_its_day_and_what_was_known_before_stays(town):
    before = town.persons(TODAY)

    stated = town.states(Subject.PERSONS, date(2026, 9, 1), before + 1, document="свидетельство")

    assert stated.changed
    assert town.persons(date(2026, 8, 31)) == before
    assert town.persons(date(2026, 9, 1)) == before + 1
    assert town.persons(TODAY, known_at=noon(BEFORE)) == before


def test_the_same_statement_again_changes_nothing(town):
    town.states(Subject.PERSONS, date(2026, 9, 1), 4)

    again = town.states(Subject.PERSONS, date(2026, 9, 1), 4, at=AFTER)

    assert not again.changed
    assert len(town.statements(Subject.PERSONS)) == 2


def test_another_value_for_the_same_day_takes_its_place_and_the_former_is_kept(town):
    town.states(Subject.PERSONS, date(2026, 9, 1), 4)
    town.states(Subject.PERSONS, date(2026, 9, 1), 3, at=AFTER)

    assert town.persons(TODAY) == 3
    assert town.persons(TODAY, known_at=noon(TODAY)) == 4
    kept = [one for one in town.statements(Subject.PERSONS) if not one.stands]
    assert [(one.value, one.superseded_at) for one in kept] == [(4, noon(AFTER))]


def test_a_statement_taken_back_lets_the_former_hold_again(town):
    before = town.persons(TODAY)
    town.states(Subject.PERSONS, date(2026, 9, 1), before + 2)
    newest = town.statements(Subject.PERSONS)[0]

    assert town.takes_back(Subject.PERSONS, newest.id, at=AFTER).changed
    assert not town.takes_back(Subject.PERSONS, newest.id, at=AFTER).changed

    assert town.persons(TODAY) == before
    assert town.persons(TODAY, known_at=noon(TODAY)) == before + 2


def test_what_was_stated_first_is_not_taken_back(town):
    town.states(Subject.PERSONS, date(2026, 9, 1), 3)
    town.states(Subject.AREA, date(2026, 9, 1), 55_00, document="ЕГРН")

    for subject in (Subject.PERSONS, Subject.AREA, Subject.PLAN):
        first = town.statements(subject)[-1]
        with pytest.raises(Invalid, match="stated first"):
            town.takes_back(subject, first.id)


def test_an_extract_holds_from_the_month_it_was_handed_in(town):
    before = town.area(TODAY)

    town.states(Subject.AREA, date(2026, 9, 17), before + 120, document="ЕГРН 99/2026")

    assert town.area(date(2026, 8, 31)) == before
    assert town.area(date(2026, 9, 1)) == before + 120
    assert town.area(TODAY, known_at=noon(BEFORE)) == before


def test_an_area_that_a_file_tells_anew_holds_from_the_month_that_is_running(town):
    before = town.area(TODAY)
    with town.database.writing() as session:
        number, code = _place(session, town.account)
        order = PlacesOrder(
            buildings=(Building(code, "ул. Счётная, 1", ZONE.key),),
            premises=(Premises(code, number, before + 500),),
        )
        register_places(session, order, FixedClock(noon(TODAY)))
        register_places(session, order, FixedClock(noon(AFTER)))

    assert town.area(date(2026, 9, 30)) == before
    assert town.area(date(2026, 10, 1)) == before + 500
    assert town.area(TODAY, known_at=noon(BEFORE)) == before
    assert len(town.statements(Subject.AREA)) == 2


def _place(session, account_id):
    from metering.models import BuildingRow, PremisesRow

    premises = session.get(PremisesRow, session.get(AccountRow, account_id).premises_id)
    return premises.number, session.get(BuildingRow, premises.building_id).code


def test_persons_that_a_file_tells_anew_hold_from_the_month_that_is_running(town):
    before = town.persons(TODAY)
    with town.database.writing() as session:
        row = session.get(AccountRow, town.account)
        order = _as_in_a_file(row, persons=before + 1)
        open_accounts(session, [order], FixedClock(noon(TODAY)))

    assert town.persons(date(2026, 9, 30)) == before
    assert town.persons(date(2026, 10, 1)) == before + 1
    assert town.persons(TODAY, known_at=noon(BEFORE)) == before


def _as_in_a_file(row, persons):
    from billing.accounts import AccountOrder

    return AccountOrder(
        number=row.number,
        payer_name=row.payer_name,
        premises_id=row.premises_id,
        persons=persons,
        opened_on=row.opened_on,
        plan_code="single",
        settlement=Settlement.POSTPAID,
        measurement=Measurement.INTERVALS,
    )


def test_more_persons_away_than_are_registered_are_refused_by_their_day(town):
    town.states(Subject.PERSONS, date(2026, 1, 1), 2)
    town.states(Subject.ABSENCE, date(2026, 7, 1), 1, until=date(2026, 7, 20), document="справка 1")

    with pytest.raises(Invalid, match="on 2026-07-10 3 would be away together with"):
        town.states(
            Subject.ABSENCE, date(2026, 7, 10), 2, until=date(2026, 7, 30), document="справка 2"
        )

    town.states(
        Subject.ABSENCE, date(2026, 7, 10), 1, until=date(2026, 7, 30), document="справка 2"
    )
    with town.database.reading() as session:
        found = absences_of(session, [town.account], date(2026, 7, 1), date(2026, 7, 31))
    assert [one.document for one in found[town.account]] == ["справка 1", "справка 2"]


def test_a_concession_is_granted_for_a_plan_that_knows_it_and_ends_on_its_last_day(town):
    with pytest.raises(Invalid, match="no published plan has the concession nobility"):
        town.states(Subject.CONCESSION, date(2026, 9, 1), code="nobility", document="грамота")
    town.states(Subject.CONCESSION, date(2026, 9, 1), code="veteran", document="удостоверение")
    town.states(
        Subject.CONCESSION,
        date(2026, 9, 1),
        code="veteran",
        document="удостоверение",
        until=date(2026, 10, 10),
        at=AFTER,
    )

    with town.database.reading() as session:
        on = [
            bool(entitled_on(session, [town.account], date(2026, 10, day), known_at=known_at))
            for day, known_at in ((10, None), (11, None), (11, noon(TODAY)))
        ]
    assert on == [True, False, True]


def test_a_concession_that_holds_already_is_not_granted_twice(town):
    town.states(Subject.CONCESSION, date(2026, 9, 1), code="veteran", document="удостоверение")

    with pytest.raises(Invalid, match="granted already from 2026-09-01: удостоверение"):
        town.states(Subject.CONCESSION, date(2026, 10, 1), code="veteran", document="второе")


def test_a_plan_may_change_on_any_day_of_a_month(town):
    town.states(Subject.PLAN, date(2026, 9, 15), code="veterans")

    with town.database.reading() as session:
        terms = terms_of(session, [town.account], Month(2026, 9))[town.account]
    assert [one.valid_from.day for one in terms][-1] == 15
    assert len(terms) == 2


def test_settlement_changes_only_with_a_month(town):
    with town.database.writing() as session:
        plan_id = plan_by_code(session, "single").id
        order = TermsOrder(
            town.account,
            date(2026, 9, 15),
            plan_id,
            Settlement.PREPAID,
            Measurement.INTERVALS,
            "test",
        )
        with pytest.raises(Invalid, match="change with a month, not on 2026-09-15"):
            change_terms(session, order, FixedClock(noon(TODAY)))


@pytest.mark.parametrize(
    ("subject", "since", "value", "more", "words"),
    [
        (Subject.PERSONS, date(2024, 12, 31), 1, {}, "before the account was opened"),
        (Subject.PERSONS, AFTER, 1, {}, "still to come"),
        (Subject.PERSONS, TODAY, 101, {}, "not between 0 and 100"),
        (Subject.PERSONS, TODAY, -1, {}, "not between 0 and 100"),
        (Subject.CONTRACTED_POWER, TODAY, 0, {}, "more than zero"),
        (Subject.AREA, TODAY, 0, {"document": "ЕГРН"}, "more than zero"),
        (Subject.AREA, TODAY, 50_00, {}, "name the document"),
        (Subject.ABSENCE, TODAY, 1, {"document": "справка"}, "has a last day"),
        (
            Subject.ABSENCE,
            TODAY,
            1,
            {"document": "справка", "until": BEFORE},
            "before the first day",
        ),
        (Subject.ABSENCE, TODAY, 1, {"until": TODAY}, "name the document"),
        (Subject.PERSONS, TODAY, 2, {"document": "я" * 201}, "longer than 200"),
        (Subject.PLAN, date(2026, 5, 31), 0, {"code": "late"}, "no version of late is in force"),
    ],
)
def test_a_statement_that_cannot_be_is_refused_in_words(town, subject, since, value, more, words):
    with pytest.raises(Invalid, match=words):
        town.states(subject, since, value, **more)


def test_only_who_manages_accounts_in_reach_states_facts(town):
    with pytest.raises(Forbidden):
        town.states(Subject.PERSONS, TODAY, 2, scope=Scope(Role.AUDITOR, "a", whole_retailer=True))
    with pytest.raises(NotFound):
        town.states(Subject.PERSONS, TODAY, 2, scope=Scope(Role.OPERATOR, "o"))


def test_a_person_out_of_reach_reads_nothing(town):
    stranger = Scope(Role.RESIDENT, "r", account_ids=frozenset({AccountId(town.account + 1)}))

    with town.database.reading() as session:
        assert facts_of(session, stranger, town.account) == ()


CLOCK_DAYS = count(1)
"""Runs on from example to example: they share a town, whose past must stay what it was."""

DAYS = st.dates(date(2025, 1, 1), TODAY)


@given(
    stated=st.dictionaries(DAYS, st.integers(0, 9), min_size=1, max_size=6).flatmap(
        lambda said: st.tuples(st.just(said), st.permutations(list(said)))
    )
)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_order_of_stating_gives_the_same_timeline_and_every_moment_is_readable(
    database, tmp_path_factory, stated
):
    said, order = stated
    town = _reused(database, tmp_path_factory)
    before = {day: town.persons(day) for day in said}
    told = {}

    for day in order:
        at = TODAY + timedelta(days=next(CLOCK_DAYS))
        town.states(Subject.PERSONS, day, said[day], at=at)
        told[day] = at

    for day in said:
        begun = max(one for one in said if one <= day)
        assert town.persons(day) == said[begun]
        expected = said[order[0]] if order[0] <= day else before[day]
        assert town.persons(day, known_at=noon(told[order[0]])) == expected
    for one in town.statements(Subject.PERSONS):
        if one.stands and one.recorded_at is not None:
            town.takes_back(Subject.PERSONS, one.id, at=TODAY + timedelta(days=next(CLOCK_DAYS)))


_TOWNS: dict[int, FactTown] = {}


def _reused(database, tmp_path_factory):
    """Return one town a database: hypothesis runs many examples in one test."""
    if id(database) not in _TOWNS:
        _TOWNS[id(database)] = FactTown(database, tmp_path_factory.mktemp("facts"))
    return _TOWNS[id(database)]
