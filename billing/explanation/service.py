"""The use case: explain a charge line to who may see it, and compute it again on the way.

The month is rated again as it was known when the line was written, by the function that rated it
then; that rating hands over what it read, and the chain is built from it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing.charges import NewLine, name_of, plan_key
from billing.explanation import store
from billing.explanation.details import steps_of_detail
from billing.explanation.explanation import (
    LineExplanation,
    LineLink,
    ReadingDay,
    Replay,
    Step,
    StepKind,
    StepUnit,
    Verdict,
    changes,
    replayed,
    sum_of,
)
from billing.explanation.inputs import (
    CountedStretch,
    Inputs,
    RatedIntervals,
    RatedRegisters,
    ReadChannel,
    UsedValue,
)
from billing.models import AccountRow, ChargeLineRow, LineKind, Service
from billing.month.alternatives import PlanCost
from billing.month.service import rate_month
from billing.store import billed_accounts, line_of, retailer_zone
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.errors import DomainError, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.period import Period
from kilokassa.core.scope import Scope
from metering.registers import RegisterReading
from metering.registry.places import PPM
from tariffs import explain as tariff_explain
from tariffs.explain import Explanation, IntervalPart, explain_line, explain_readings
from tariffs.extras import MINUTES_PER_HOUR
from tariffs.lines import ChargeKind, ChargeLine

_OF_TARIFF: Final = {
    tariff_explain.StepKind.EXPORTED: (StepKind.EXPORTED, StepUnit.WH),
    tariff_explain.StepKind.RANGE: (StepKind.RANGE, StepUnit.WH),
    tariff_explain.StepKind.LINE: (StepKind.LINE, StepUnit.MINOR),
}

_FACTS: Final = {
    "area_dm2": (StepKind.AREA, StepUnit.DM2),
    "persons": (StepKind.PERSONS, StepUnit.PERSON),
    "contracted_w": (StepKind.CONTRACTED, StepUnit.W),
    "common_area_wh": (StepKind.COMMON_AREA, StepUnit.WH),
    "opening_wh": (StepKind.OPENING, StepUnit.WH),
}


@dataclass(frozen=True, slots=True)
class _Chain:
    """What a line was computed from."""

    steps: tuple[Step, ...] = ()
    days: tuple[ReadingDay, ...] = ()
    intervals: tuple[IntervalPart, ...] = ()


def explain_charge_line(
    session: Session, scope: Scope, line_id: int, *, account_number: str | None = None
) -> LineExplanation:
    """Explain a charge line that `scope` reaches: the same whenever it is asked for.

    A reversing line is explained by the line it takes back, a right one also by what differs from
    the one it stands in place of. A line out of reach, or of another account than `account_number`
    where that is given, is not found.
    """
    row, account = store.line_in_reach(session, scope, line_id, account_number=account_number)
    return _explained(session, row, account)


def _explained(session: Session, row: ChargeLineRow, account: AccountRow) -> LineExplanation:
    before, after = store.neighbours(row, store.lines_of_key(session, row))
    origin = before if row.kind is LineKind.REVERSAL and before is not None else row
    month = Month.from_ordinal(row.charge_month)
    line, charged = line_of(row), line_of(origin)
    accounts = billed_accounts(
        session, [AccountId(row.account_id)], month, known_at=origin.known_at
    )
    zone = accounts[0].zone if accounts else retailer_zone(session)
    inputs = Inputs()
    again: tuple[NewLine, ...] = ()
    costs: tuple[PlanCost, ...] = ()
    problem: DomainError | None = None
    try:
        rated = rate_month(session, accounts, month, known_at=origin.known_at, inputs=inputs)
        if accounts:
            again = rated.charges[accounts[0].id].lines
            costs = rated.alternatives.get(accounts[0].id, ())
            if charged.service is Service.ELECTRICITY:
                problem = rated.refused.get(accounts[0].id)
    except DomainError as refusal:
        problem = refusal
    chain = _chain(session, charged, again, inputs, origin.known_at)
    if charged.charge is ChargeKind.GUARANTEE:
        chain = replace(chain, steps=(*chain.steps, *_compared(costs)))
    if row.kind is LineKind.REVERSAL and before is not None:
        taken: dict[str, str | int] = {
            "line": before.id,
            "month": str(Month.from_ordinal(before.document_month)),
        }
        step = Step(StepKind.REVERSED, before.amount_minor, StepUnit.MINOR, taken)
        chain = replace(chain, steps=(*chain.steps, step))
    own_sum = sum_of(charged, chain.intervals)
    explained = LineExplanation(
        line_id=row.id,
        account_number=account.number,
        zone=zone.key,
        charge_month=month,
        document_month=Month.from_ordinal(row.document_month),
        line=line,
        known_at=origin.known_at,
        recorded_at=row.recorded_at,
        version=store.used_version(session, line.tariff_version_id),
        sum=own_sum if row is origin else own_sum.reversed(),
        steps=chain.steps,
        days=chain.days,
        intervals=chain.intervals,
        replay=_replay(origin, charged, again, problem),
        before=_link(before),
        after=_link(after),
    )
    if row.kind is LineKind.CORRECTION and before is not None:
        was = _explained(session, before, account)
        return replace(explained, changes=changes(was, explained))
    return explained


def _replay(
    origin: ChargeLineRow,
    charged: NewLine,
    again: Sequence[NewLine],
    problem: DomainError | None,
) -> Replay:
    if problem is not None:
        return Replay(Verdict.REFUSED, refusal=problem)
    if origin.known_at is None:
        return Replay(Verdict.NOT_RECORDED)
    of_key = [one for one in again if (one.service, one.key) == (charged.service, charged.key)]
    compared = [replayed(charged, one) for one in of_key]
    return next((one for one in compared if one.verdict is Verdict.SAME), None) or (
        compared[0] if compared else replayed(charged, None)
    )


def _compared(costs: Iterable[PlanCost]) -> Iterator[Step]:
    """Yield what a month cost on the plan itself and on the one that it promises to stay under."""
    for cost in costs:
        if cost.own or cost.guaranteed:
            about: dict[str, str | int] = {"plan": cost.code, "ru": cost.name, "en": cost.name_en}
            yield Step(StepKind.ALTERNATIVE, cost.cost_minor, StepUnit.MINOR, about)


def _link(row: ChargeLineRow | None) -> LineLink | None:
    if row is None:
        return None
    return LineLink(row.id, row.kind, Month.from_ordinal(row.document_month), row.amount_minor)


# --- the chain ---


def _chain(
    session: Session,
    charged: NewLine,
    again: Sequence[NewLine],
    inputs: Inputs,
    known_at: datetime | None,
) -> _Chain:
    """Return what a line was computed from: by intervals, by registers, else by its detail."""
    if charged.service is Service.ELECTRICITY:
        for rated in inputs.intervals:
            found = _of_intervals(rated, charged)
            if found is not None:
                return _interval_chain(session, rated, found, again, charged, known_at)
        for registers in inputs.registers:
            steps = _of_registers(registers, charged, again)
            if steps is not None:
                return _Chain(steps=steps)
    return _Chain(steps=steps_of_detail(charged))


def _of_intervals(rated: RatedIntervals, charged: NewLine) -> Explanation | None:
    """Return the explanation of the line by one channel's energy, if it came from there."""
    try:
        found = explain_line(
            rated.versions,
            rated.energy_wh,
            rated.start,
            rated.interval_min,
            rated.zone,
            plan_key(charged.key),
            billings=rated.billings,
            facts=rated.facts,
            readings=rated.readings,
        )
    except NotFound:
        return None
    return found if _is_same(found.line, charged) else None


def _is_same(line: ChargeLine, charged: NewLine) -> bool:
    """Say whether a line of a rating is the charged one: two stays may have a line of one key."""
    period = line.spec.period
    return (line.quantity_wh, line.amount_minor, period.start, period.end) == (
        charged.quantity,
        charged.amount_minor,
        charged.period_start,
        charged.period_end,
    )


def _interval_chain(
    session: Session,
    rated: RatedIntervals,
    found: Explanation,
    again: Sequence[NewLine],
    charged: NewLine,
    known_at: datetime | None,
) -> _Chain:
    zone = rated.zone
    by_day: dict[date, int] = {}
    for part in found.intervals:
        day = local_date(part.start, zone)
        by_day[day] = by_day.get(day, 0) + part.energy_wh
    days = _days(session, rated.channels, by_day, known_at)
    steps = [_step(step, found, rated, len(by_day), again) for step in found.steps]
    steps.extend(_beside(found, rated, charged))
    if found.price_revision:
        about: dict[str, str | int] = {"series": found.line.spec.code}
        steps.append(Step(StepKind.PRICE_REVISION, found.price_revision, StepUnit.TIMES, about))
    return _Chain((*steps, *steps_of_detail(charged)), days, found.intervals)


def _days(
    session: Session,
    channels: Sequence[ReadChannel],
    by_day: Mapping[date, int],
    known_at: datetime | None,
) -> tuple[ReadingDay, ...]:
    """Return the days under a line; the energy of several points is told with the first."""
    if not by_day:
        return ()
    ids = [channel.channel_id for channel in channels]
    known = store.day_states(session, ids, min(by_day), max(by_day), known_at)
    return tuple(
        ReadingDay(
            point_code=channel.point_code,
            day=day,
            revision=state.revision,
            digest=state.digest.hex(),
            source=state.source,
            recorded_at=state.recorded_at,
            energy_wh=by_day.get(day, 0) if channel is channels[0] else 0,
        )
        for channel in channels
        for day, state in sorted(known.get(channel.channel_id, {}).items())
    )


def _beside(found: Explanation, rated: RatedIntervals, charged: NewLine) -> Iterator[Step]:
    """Yield what a standing or capacity charge is for: its days, and a demand of months before."""
    if charged.charge in {ChargeKind.FIXED, ChargeKind.CAPACITY}:
        ends = local_date(charged.period_end, rated.zone)
        days = (ends - local_date(charged.period_start, rated.zone)).days
        yield Step(StepKind.DAYS, days, StepUnit.DAY)
    if charged.charge is ChargeKind.CAPACITY and len(found.intervals) == 1:
        highest_w = found.intervals[0].energy_wh * MINUTES_PER_HOUR // rated.interval_min
        if charged.quantity > highest_w:
            yield Step(StepKind.RATCHET, charged.quantity, StepUnit.W)


def _step(
    step: tariff_explain.Step,
    found: Explanation,
    rated: RatedIntervals,
    days: int,
    again: Iterable[NewLine],
) -> Step:
    if step.kind is tariff_explain.StepKind.ENERGY and found.line.spec.kind is ChargeKind.CAPACITY:
        if len(found.intervals) == 1:
            at: dict[str, str | int] = {
                "at": found.intervals[0].start.isoformat(),
                "minutes": rated.interval_min,
            }
            return Step(StepKind.HIGHEST, step.value, StepUnit.WH, at)
        hours = len(found.intervals) * rated.interval_min // MINUTES_PER_HOUR
        return Step(StepKind.PEAK_HOURS, step.value, StepUnit.WH, {"count": hours})
    if step.kind is tariff_explain.StepKind.ENERGY:
        about: dict[str, str | int] = {
            "zone": step.about,
            "count": len(found.intervals),
            "days": days,
        }
        return Step(StepKind.INTERVALS, step.value, StepUnit.WH, about)
    return _tariff_step(step, again)


def _tariff_step(step: tariff_explain.Step, again: Iterable[NewLine]) -> Step:
    if step.kind is tariff_explain.StepKind.FACT:
        kind, unit = _FACTS[step.about]
        return Step(kind, step.value, unit)
    kind, unit = _OF_TARIFF[step.kind]
    if kind is StepKind.RANGE:
        return Step(kind, step.value, unit, {"range": step.about})
    if kind is StepKind.LINE:
        named = {plan_key(one.key): one.detail for one in again}.get(step.about, "")
        names = {language: name_of(named, language) for language in ("ru", "en")}
        return Step(kind, step.value, unit, {"line": step.about, **names})
    return Step(kind, step.value, unit)


# --- registers ---


def _of_registers(
    rated: RatedRegisters, charged: NewLine, again: Sequence[NewLine]
) -> tuple[Step, ...] | None:
    try:
        found = explain_readings(
            rated.versions,
            rated.quantities_wh,
            rated.zone,
            plan_key(charged.key),
            facts=rated.facts,
        )
    except NotFound:
        return None
    if not _is_same(found.line, charged):
        return None
    steps: list[Step] = []
    for part in found.parts:
        for stretch in rated.stretches:
            if stretch.zone is part.register and _holds(stretch.period, part.period):
                steps.extend(_counted(stretch, rated))
                steps.extend(_of_days(stretch.period, part.period, part.counted_wh, rated.zone))
        for one in rated.estimates:
            if one.zone in (None, part.register) and _holds(one.period, part.period):
                steps.append(_estimated(one, rated.zone))
                steps.extend(_of_days(one.period, part.period, part.counted_wh, rated.zone))
        if part.days != part.whole_days:
            about: dict[str, str | int] = {"days": part.days, "whole": part.whole_days}
            steps.append(Step(StepKind.BY_DAYS, part.share_wh, StepUnit.WH, about))
    steps.extend(_tariff_step(step, again) for step in found.steps)
    return tuple(steps)


def _holds(whole: Period, part: Period) -> bool:
    return whole.intersect(part) == part


def _of_days(whole: Period, part: Period, wh: int, zone: ZoneInfo) -> Iterator[Step]:
    """Yield what of a stretch falls to a stay that has only some of its days."""
    if part != whole:
        days, of = (
            (local_date(one.end, zone) - local_date(one.start, zone)).days for one in (part, whole)
        )
        yield Step(StepKind.OF_STAY, wh, StepUnit.WH, {"days": days, "whole": of})


def _counted(stretch: CountedStretch, rated: RatedRegisters) -> list[Step]:
    """Return the two readings of a register, what it counted, its multiplier and losses."""
    meter = rated.meters[stretch.meter_id]
    readings = rated.readings.get(meter.meter_id, ())
    ends = (
        (StepKind.EARLIER_READING, stretch.period.start),
        (StepKind.LATER_READING, stretch.period.end),
    )
    steps = [
        _reading_step(kind, reading, meter.serial)
        for kind, at in ends
        for reading in readings
        if (reading.zone, reading.taken_at) == (stretch.zone, at)
    ]
    multiplier, loss_ppm = rated.scaling.get(meter.point_id, (1, 0))
    steps.append(Step(StepKind.COUNTED, stretch.measured_wh // multiplier, StepUnit.WH))
    if multiplier != 1:
        about: dict[str, str | int] = {"multiplier": multiplier}
        steps.append(Step(StepKind.MULTIPLIED, stretch.measured_wh, StepUnit.WH, about))
    if stretch.energy_wh != stretch.measured_wh:
        lost = stretch.energy_wh - stretch.measured_wh
        steps.append(Step(StepKind.LOST, lost, StepUnit.WH, {"percent": loss_ppm}))
    assert loss_ppm < PPM
    return steps


def _reading_step(kind: StepKind, reading: RegisterReading, serial: str) -> Step:
    about: dict[str, str | int] = {
        "meter": serial,
        "register": str(reading.zone),
        "at": reading.taken_at.isoformat(),
        "revision": reading.revision,
    }
    return Step(kind, reading.value, StepUnit.WH, about)


def _estimated(one: UsedValue, zone: ZoneInfo) -> Step:
    about: dict[str, str | int] = {
        "first": local_date(one.period.start, zone).isoformat(),
        "last": local_date(one.period.end - timedelta(microseconds=1), zone).isoformat(),
        "method": str(one.method),
        "months": int(one.basis.get("months", 0)),
        "article": str(one.basis.get("article", "")),
    }
    return Step(StepKind.ESTIMATE, one.quantity, StepUnit.WH, about)
