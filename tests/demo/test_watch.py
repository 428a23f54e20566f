"""The demo's garages: every kind of finding, a power cut, cold rooms; made once."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from kilokassa.app.settings import Settings
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.demo.events import GARAGES, box_days, ensure_watch
from kilokassa.demo.founding import _places, establish
from kilokassa.demo.population import town
from metering.events.kinds import QualityBasis, QualityEventState
from metering.events.quality import deviation
from metering.events.store import EventFilter, QualityFilter, list_events, list_quality
from metering.findings.finding import FindingKind, FindingState
from metering.findings.store import FindingFilter, find_findings
from metering.service import register_places

TODAY = date(2026, 11, 24)
SCOPE = system_scope("demo")
CLOCK = FixedClock(datetime(2026, 11, 24, 9, tzinfo=UTC))


@pytest.fixture
def application(sqlite_database, tmp_path):
    plan = town(TODAY)
    settings = Settings.from_env({"KILOKASSA_VAR": str(tmp_path)})
    made = Application(settings, sqlite_database, CLOCK)
    with sqlite_database.writing() as session:
        establish(session, made)
        register_places(session, _places(plan, plan.accounts), CLOCK)
    return made


def test_every_kind_of_finding_waits_in_the_queue(application):
    made = ensure_watch(application, town(TODAY), SCOPE)

    with application.database.reading() as session:
        found = find_findings(session, SCOPE, FindingFilter(state=None), limit=None)
    assert made
    assert {one.finding.kind for one in found} == set(FindingKind)
    closed = [one for one in found if one.state is FindingState.ACCEPTED]
    assert {one.finding.kind for one in closed} == {
        FindingKind.DUPLICATE_SAME,
        FindingKind.REGISTER_ROLLOVER,
    }
    assert all(one.note for one in closed)
    assert all(one.building_code in (GARAGES, "") for one in found)


def test_a_power_cut_is_known_by_meters_and_confirmed_by_an_act(application):
    ensure_watch(application, town(TODAY), SCOPE)

    with application.database.reading() as session:
        events, total = list_events(session, SCOPE, EventFilter(building_code="KHV-1"), limit=100)
        told, _ = list_quality(session, SCOPE, QualityFilter(), limit=None)
    assert total == 72
    cut = next(one for one in told if one.building_code == "KHV-1")
    assert (cut.basis, cut.state, cut.premises_id) == (
        QualityBasis.METER,
        QualityEventState.CONFIRMED,
        None,
    )
    assert min(e.starts_at for e in events) <= cut.starts_at
    heat = [one.as_period(CLOCK.at) for one in told if one.building_code == "KHV-2"]
    counted = {d.rule.item: d for d in deviation(heat, Month(2026, 1), town(TODAY).zone)}
    assert counted["14"].counted_min == 5 * 60
    assert counted["15"].counted_min > 0


def test_a_second_call_changes_nothing(application):
    ensure_watch(application, town(TODAY), SCOPE)
    with application.database.reading() as session:
        before = find_findings(session, SCOPE, FindingFilter(state=None), limit=None)

    again = ensure_watch(application, town(TODAY), SCOPE)

    with application.database.reading() as session:
        after = find_findings(session, SCOPE, FindingFilter(state=None), limit=None)
    assert (again, after) == (False, before)


def test_a_box_uses_the_same_on_every_call():
    assert np.array_equal(box_days(1, 61), box_days(1, 61))
    assert box_days(1, 61).max() == 9_700
