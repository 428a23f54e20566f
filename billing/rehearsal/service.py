"""Use cases of rehearsals: begin one, price a part of it, write a part down."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount
from billing.comparison.store import joint_uses, register_costs, register_facts, register_uses
from billing.models import Measurement, RehearsalPartRow, RehearsalRow, RunState, Settlement
from billing.rehearsal.order import Change, RehearsalOrder
from billing.rehearsal.report import Names, Refused, report_of
from billing.rehearsal.store import building_names, part_summaries
from billing.store import billed_accounts
from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Forbidden
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.period import Period
from kilokassa.core.scope import DEEDS, Right, Scope
from kilokassa.core.text import mark
from tariffs.charges import PPM
from tariffs.compare import costs
from tariffs.documents import parse_tariff
from tariffs.lines import CannotRate, Columns, VersionInForce
from tariffs.plans import TariffVersion
from tariffs.rehearsal import Outcome, PriceBasis, held_still, reaching_back, together
from tariffs.store import plan_by_code, plans, versions_in_force

NO_USE: Final = mark("nothing is known of its use in these months")
Versions = tuple[VersionInForce, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The versions that are set against each other in one time zone, and those they may name."""

    order: RehearsalOrder
    zone: ZoneInfo
    old: Mapping[TariffPlanId, Versions]
    new: Mapping[TariffPlanId, Versions]
    named: Mapping[str, Versions]

    @property
    def every_version(self) -> tuple[TariffVersion, ...]:
        """The versions of both sides."""
        held = (*self.old.values(), *self.new.values())
        return tuple(version for versions in held for _, version in versions)


def demand(scope: Scope) -> None:
    """Refuse who may not start a rehearsal: it is over all accounts of the retailer."""
    scope.demand(Right.PUBLISH_TARIFFS)
    if not scope.whole_retailer:
        raise Forbidden(action=DEEDS[Right.PUBLISH_TARIFFS])


def begin(
    session: Session, order: RehearsalOrder, scope: Scope, parts: int, clock: Clock
) -> RehearsalRow:
    """Write down that a rehearsal was asked for; refuse what could not be priced by anyone."""
    demand(scope)
    for change in order.changes:
        plan_by_code(session, change.plan_code)
        if change.to_plan:
            plan_by_code(session, change.to_plan)
        else:
            parse_tariff(change.document)
    row = RehearsalRow(
        name=order.name,
        order=order.to_json(),
        first_month=order.first.ordinal,
        last_month=order.last.ordinal,
        state=RunState.OPEN,
        parts=parts,
        actor=scope.actor,
        started_at=clock.now(),
    )
    session.add(row)
    session.flush()
    return row


def sides(session: Session, order: RehearsalOrder, known_at: datetime, zone: ZoneInfo) -> Sides:
    """Return the versions of both sides, of what was published when the rehearsal began."""
    period = Period(order.first.period(zone).start, order.last.period(zone).end)
    first, last_day = order.first.first_day, order.last.plus(1).first_day - timedelta(days=1)
    drafts = {c.plan_code: parse_tariff(c.document) for c in order.changes if c.document}
    newest = max([last_day, *(draft.valid_from for draft in drafts.values())])
    still = order.prices is PriceBasis.NEWEST
    asked = Period(local_midnight(newest, zone), local_midnight(newest + timedelta(days=1), zone))
    everyone = {plan.code: plan.id for plan in plans(session)}
    in_force = versions_in_force(
        session, list(everyone.values()), asked if still else period, zone, known_at=known_at
    )
    published: dict[str, Versions] = {}
    for code, plan_id in everyone.items():
        holding = in_force.get(plan_id, ())
        if still and holding:
            holding = ((period, held_still(holding[-1][1], first, newest)),)
        published[code] = holding

    def target(change: Change) -> Versions:
        if change.to_plan:
            return published[change.to_plan]
        draft = drafts[change.plan_code]
        version = held_still(draft, first, newest) if still else reaching_back(draft, first)
        return ((period, version),)

    return Sides(
        order,
        zone,
        {everyone[change.plan_code]: published[change.plan_code] for change in order.changes},
        {everyone[change.plan_code]: target(change) for change in order.changes},
        published,
    )


def price_part(
    session: Session,
    order: RehearsalOrder,
    account_ids: Sequence[AccountId],
    sides_in: Callable[[ZoneInfo], Sides],
) -> tuple[Outcome, tuple[Refused, ...]]:
    """Return what accounts paid and would have paid, and who could not be priced; write nothing.

    An account counts with the plan it has in the last month, over all months it was open in.
    """
    accounts = [
        account
        for account in billed_accounts(session, account_ids, order.last)
        if account.plan_id in sides_in(account.zone).old
    ]
    tally = _Tally(order, accounts)
    asking = [
        version
        for zone in {account.zone for account in accounts}
        for version in sides_in(zone).every_version
    ]
    for joint in joint_uses(session, accounts, order.first, order.last, asking):
        known = sides_in(joint.use.zone)
        place = [month.ordinal - order.first.ordinal for month in joint.months]
        rows_of: dict[TariffPlanId, list[int]] = {}
        for row, account in enumerate(joint.accounts):
            rows_of.setdefault(account.plan_id, []).append(row)
        for plan_id, rows in rows_of.items():
            use = joint.use if len(rows) == len(joint.accounts) else joint.use.of(rows)
            members = [joint.accounts[row] for row in rows]
            try:
                old = costs(known.old[plan_id], use, known.named)
                new = costs(known.new[plan_id], use, known.named)
            except CannotRate as refusal:
                tally.refuse(members, refusal)
                continue
            tally.add(members, place, old.paid_minor, new.paid_minor)
            tally.add_by_rates(members, old.by_rates_minor, new.by_rates_minor)
            tally.add_use(members, use.energy_wh.sum(axis=1), use.measured, use.intervals)
    _by_registers(session, order, accounts, sides_in, asking, tally)
    return tally.outcome()


def _by_registers(
    session: Session,
    order: RehearsalOrder,
    accounts: Sequence[BilledAccount],
    sides_in: Callable[[ZoneInfo], Sides],
    asking: Sequence[TariffVersion],
    tally: "_Tally",
) -> None:
    """Price the accounts that are read by registers, from what they were charged for."""
    members = [a for a in accounts if a.measurement is Measurement.REGISTERS]
    uses = register_uses(session, [a.id for a in members], order.first, order.last)
    facts_of = register_facts(session, members, order.months, asking)
    for account in members:
        use = uses.get(account.id)
        if use is None:
            continue
        known = sides_in(account.zone)
        try:
            old, new = (
                register_costs(
                    versions[account.plan_id],
                    use,
                    order.months,
                    account.zone,
                    facts_of[account.id],
                    known.named,
                )
                for versions in (known.old, known.new)
            )
        except CannotRate as refusal:
            tally.refuse([account], refusal)
            continue
        energy = np.array([sum(sum(zones.values()) for zones in use.values())], dtype=np.int64)
        tally.add([account], range(len(order.months)), old.paid_minor, new.paid_minor)
        tally.add_by_rates([account], old.by_rates_minor, new.by_rates_minor)
        tally.add_use([account], energy, np.array([len(use)]), len(order.months))


class _Tally:
    """Adds up what the points of accounts cost, an account a row."""

    def __init__(self, order: RehearsalOrder, accounts: Sequence[BilledAccount]) -> None:
        self._accounts = accounts
        self._row = {account.id: row for row, account in enumerate(accounts)}
        self._first, self._last = order.first, order.last
        shape = (len(accounts), len(order.months))
        self._old, self._new = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._rates = np.zeros((len(accounts), 2), np.int64)
        self._energy = np.zeros(len(accounts), np.int64)
        self._measured = np.zeros((len(accounts), 2), np.int64)
        self._priced = np.zeros(len(accounts), np.bool_)
        self._refused: dict[AccountId, Refused] = {}

    def _rows(self, members: Sequence[BilledAccount]) -> Any:  # noqa: ANN401 - an index
        return np.array([self._row[account.id] for account in members])

    def refuse(self, members: Sequence[BilledAccount], refusal: CannotRate) -> None:
        """Keep why accounts could not be priced: such an account counts nowhere."""
        values = {name: str(value) for name, value in refusal.values.items()}
        for account in members:
            self._refused[account.id] = Refused(account.id, values)

    def add(
        self,
        members: Sequence[BilledAccount],
        place: Sequence[int],
        old_minor: Columns,
        new_minor: Columns,
    ) -> None:
        """Add what points cost in the months that stand at `place`."""
        rows = self._rows(members)
        np.add.at(self._old, (rows[:, None], np.array(place)), old_minor)
        np.add.at(self._new, (rows[:, None], np.array(place)), new_minor)
        self._priced[rows] = True

    def add_by_rates(
        self, members: Sequence[BilledAccount], old_minor: Columns, new_minor: Columns
    ) -> None:
        """Add what points cost before discounts."""
        both = np.stack([old_minor.sum(axis=1), new_minor.sum(axis=1)], axis=1)
        np.add.at(self._rates, self._rows(members), both)

    def add_use(
        self,
        members: Sequence[BilledAccount],
        energy_wh: Columns,
        measured: Columns,
        asked: int,
    ) -> None:
        """Add the energy, and how much of what was asked for was measured."""
        rows = self._rows(members)
        np.add.at(self._energy, rows, energy_wh)
        np.add.at(self._measured[:, 0], rows, measured)
        np.add.at(self._measured[:, 1], rows, asked)

    def outcome(self) -> tuple[Outcome, tuple[Refused, ...]]:
        """Return the columns of who could be priced, and who could not be."""
        for account in self._accounts:
            if not self._priced[self._row[account.id]] and account.id not in self._refused:
                self.refuse([account], CannotRate(plan="-", problem=NO_USE))
        keep = [
            row for row, account in enumerate(self._accounts) if account.id not in self._refused
        ]
        kept = [self._accounts[row] for row in keep]
        segments = [
            (account.plan_id, account.building_id, account.settlement is Settlement.PREPAID)
            for account in kept
        ]
        first = self._first.ordinal
        months = [self._last.ordinal - max(first, _month_of(account)) + 1 for account in kept]
        measured = self._measured[keep]
        outcome = Outcome(
            account_ids=np.array([account.id for account in kept], np.int64),
            segments=np.array(segments, np.int64).reshape(len(kept), 3),
            energy_wh=self._energy[keep],
            months=np.array(months, np.int64),
            measured_ppm=measured[:, 0] * PPM // np.maximum(measured[:, 1], 1),
            old_minor=self._old[keep],
            new_minor=self._new[keep],
            old_by_rates_minor=self._rates[keep, 0],
            new_by_rates_minor=self._rates[keep, 1],
        )
        return outcome, tuple(self._refused.values())


def _month_of(account: BilledAccount) -> int:
    return account.opened_on.year * 12 + account.opened_on.month - 1


_HEAD: Final = 8
"""Bytes that say how long the refusals before the packed outcome are."""


def packed_part(outcome: Outcome, refused: Sequence[Refused]) -> bytes:
    """Return a part as one value: the refusals as JSON, then the outcome."""
    listed = [[one.account_id, dict(one.values)] for one in refused]
    text = json.dumps(listed, ensure_ascii=False).encode()
    return len(text).to_bytes(_HEAD, "little") + text + outcome.packed()


def unpacked_part(data: bytes) -> tuple[Outcome, tuple[Refused, ...]]:
    """Read what `packed_part` wrote."""
    end = _HEAD + int.from_bytes(data[:_HEAD], "little")
    listed = json.loads(data[_HEAD:end])
    return Outcome.unpacked(data[end:]), tuple(Refused(*one) for one in listed)


def record_part(
    session: Session, rehearsal_id: int, part: int, summary: bytes, now: datetime
) -> None:
    """Write a part down, once: one that is there already is left alone."""
    if session.get(RehearsalPartRow, (rehearsal_id, part)) is None:
        session.execute(
            insert(RehearsalPartRow),
            [
                {
                    "rehearsal_id": rehearsal_id,
                    "part": part,
                    "summary": summary,
                    "ended_at": now,
                }
            ],
        )


def finish(session: Session, row: RehearsalRow, clock: Clock) -> None:
    """Make the report from what the parts came to, and keep it."""
    parts = [unpacked_part(summary) for summary in part_summaries(session, row.id)]
    order = RehearsalOrder.from_json(row.order)
    outcome = together([outcome for outcome, _ in parts], len(order.months))
    refused = [one for _, some in parts for one in some]
    names = Names(
        plans={plan.id: (plan.name, plan.name_en) for plan in plans(session)},
        buildings=building_names(session, outcome.segments[:, 1].tolist()),
    )
    row.result = json.dumps(report_of(order, outcome, refused, names), ensure_ascii=False)
    row.state = RunState.DONE
    row.ended_at = clock.now()
    session.flush()


def outcome_of(session: Session, rehearsal_id: int, months: int) -> Outcome:
    """Return what every account came to, as the parts keep it."""
    summaries = part_summaries(session, rehearsal_id)
    return together([unpacked_part(summary)[0] for summary in summaries], months)
