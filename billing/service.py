"""Use cases of billing: open accounts, charge a month, correct a closed one, take as it runs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from billing.accounts import AccountOrder, BilledAccount
from billing.charges import (
    AccountCharge,
    MeterFact,
    NewLine,
    UsedEstimate,
    correcting_lines,
    estimates_detail,
)
from billing.law import ESTIMATE_UNCERTAIN, VERIFICATION_EXPIRED
from billing.models import (
    AccountRow,
    AccountTermRow,
    ChargeLineRow,
    LineUnit,
    Measurement,
    PriceSplit,
    RetailerRow,
    RunningChargeRow,
    Service,
)
from billing.register_service import rate_registers
from billing.store import (
    accounts_by_numbers,
    accounts_with_later_readings,
    accounts_with_replaced_estimates,
    areas_of_buildings,
    billed_accounts,
    first_close_at,
    last_line_ids,
    retailer,
    standing_lines,
)
from heating import store as heating_store
from heating.allocation import HeatedFlat, HouseMonth, share_building_month
from kilokassa.core.calendar import Month, intervals_in_day, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json, digest_text
from kilokassa.core.errors import Invalid, RequestConflict
from kilokassa.core.ids import AccountId, PremisesId, TariffPlanId
from kilokassa.core.period import Period
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.db.slices import in_slices
from metering import store as metering_store
from metering.days import IntervalMatrix
from metering.estimation import store as estimate_store
from metering.estimation.gaps import spread_by_profile
from metering.registers import register_differences
from metering.registry.places import Commodity
from metering.store import PremisesChannel, PremisesMeter
from tariffs.lines import ChargeKind
from tariffs.models import TariffPlanRow
from tariffs.rating import VersionInForce, rate_population
from tariffs.store import versions_in_force

NO_CHANNEL: Final = mark("The premises has no metering channel: electricity was not charged.")
INTERVALS_MISSING: Final = mark("Some intervals of the month have no value; they were not charged.")
HEAT_UNKNOWN: Final = mark("The house's heat of the month is not known: it was not charged yet.")


@dataclass(frozen=True, slots=True)
class RetailerOrder:
    """The retailer of a new installation, with the requisites that documents print."""

    name: str
    inn: str
    bank_name: str
    bic: str
    bank_account: str
    correspondent_account: str
    zone: str
    languages: tuple[str, ...]
    kpp: str = ""
    address: str = ""
    phone: str = ""
    email: str = ""
    page_url: str = ""
    demo: bool = False
    price_split: PriceSplit = PriceSplit.READING


@dataclass(frozen=True, slots=True)
class OpenedAccounts:
    """What opening a batch of accounts did, each account in one of the three."""

    ids: dict[str, AccountId]
    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def establish_retailer(session: Session, order: RetailerOrder, clock: Clock) -> RetailerRow:
    """Write down the one retailer; refuse where another is established already."""
    if session.get(RetailerRow, 1) is not None:
        raise RequestConflict(key="retailer")
    fields = asdict(order) | {"languages": ",".join(order.languages)}
    row = RetailerRow(id=1, created_at=clock.now(), **fields)
    session.add(row)
    session.flush()
    return row


_ACCOUNT_FIELDS = ("payer_name", "email", "phone", "premises_id", "persons", "language", "note")


def open_accounts(session: Session, orders: Sequence[AccountOrder], clock: Clock) -> OpenedAccounts:
    """Open the accounts that do not exist, change what differs in those that do.

    Terms of an existing account are left alone: they change by `change_terms`, from a month on.
    """
    numbers = [order.number for order in orders]
    if len(set(numbers)) != len(numbers):
        twice = Counter(numbers).most_common(1)[0][0]
        raise Invalid(where=mark("account number"), problem="%(number)s comes twice", number=twice)
    plans = _plans(session, orders)
    known = accounts_by_numbers(session, numbers)
    existing = _existing(session, list(known.values()))
    fresh = [order for order in orders if order.number not in known]
    changed: list[AccountOrder] = []
    for order in orders:
        if order.number in known:
            row = existing[known[order.number]]
            if any(getattr(order, name) != row[name] for name in _ACCOUNT_FIELDS):
                changed.append(order)
    if fresh:
        session.execute(insert(AccountRow), [_account_values(order) for order in fresh])
        ids = accounts_by_numbers(session, [order.number for order in fresh])
        now = clock.now()
        session.execute(
            insert(AccountTermRow),
            [
                {
                    "account_id": ids[order.number],
                    "valid_from": order.opened_on,
                    "plan_id": plans[order.plan_code],
                    "settlement": order.settlement,
                    "measurement": order.measurement,
                    "recorded_at": now,
                }
                for order in fresh
            ],
        )
        known |= ids
    if changed:
        table = AccountRow.__table__
        statement = (
            update(AccountRow)
            .where(table.c.number == bindparam("key_number"))
            .values({name: bindparam(f"new_{name}") for name in _ACCOUNT_FIELDS})
            .execution_options(synchronize_session=None)
        )
        session.connection().execute(
            statement,
            [
                {"key_number": order.number}
                | {f"new_{name}": getattr(order, name) for name in _ACCOUNT_FIELDS}
                for order in changed
            ],
        )
    touched = {order.number for order in changed}
    new = {order.number for order in fresh}
    return OpenedAccounts(
        ids=known,
        new=tuple(sorted(new)),
        changed=tuple(sorted(touched)),
        unchanged=tuple(sorted(set(numbers) - touched - new)),
    )


def change_terms(session: Session, order: "TermsOrder", clock: Clock) -> None:
    """Let other terms hold for an account from the first day of a month on."""
    if order.valid_from.day != 1:
        raise Invalid(
            where=mark("valid from"),
            problem="%(day)s is not the first day of a month",
            day=str(order.valid_from),
        )
    key = (AccountTermRow.account_id == order.account_id) & (
        AccountTermRow.valid_from == order.valid_from
    )
    row = session.scalars(select(AccountTermRow).where(key)).one_or_none()
    if row is None:
        row = AccountTermRow(account_id=order.account_id, valid_from=order.valid_from)
        session.add(row)
    row.plan_id = order.plan_id
    row.settlement = order.settlement
    row.measurement = order.measurement
    row.recorded_at = clock.now()
    session.flush()


@dataclass(frozen=True, slots=True)
class TermsOrder:
    """Terms that shall hold for an account from a day on."""

    account_id: AccountId
    valid_from: date
    plan_id: TariffPlanId
    settlement: Any
    measurement: Any


@dataclass(frozen=True, slots=True)
class LinesOrder:
    """Charge lines to write down, with the journal entry that carried their amounts."""

    charge: AccountCharge
    charge_month: Month
    document_month: Month
    entry_id: int | None
    run_id: int | None


def record_lines(session: Session, orders: Sequence[LinesOrder], clock: Clock) -> int:
    """Write down charge lines in one statement a batch; return how many there were."""
    now = clock.now()
    rows = [
        _line_values(line, position, order, now)
        for order in orders
        for position, line in enumerate(order.charge.lines, start=1)
    ]
    if rows:
        session.connection().execute(insert(ChargeLineRow.__table__), rows)  # type: ignore[arg-type]
    return len(rows)


def _line_values(line: NewLine, position: int, order: LinesOrder, now: datetime) -> dict[str, Any]:
    return {
        "account_id": order.charge.account_id,
        "charge_month": order.charge_month.ordinal,
        "document_month": order.document_month.ordinal,
        "service": line.service,
        "kind": line.kind,
        "position": position,
        "line_key": line.key,
        "quantity": line.quantity,
        "rate_scaled": line.rate_scaled,
        "amount_minor": line.amount_minor,
        "charge": line.charge,
        "code": line.code,
        "unit": line.unit,
        "factor": line.factor,
        "divisor": line.divisor,
        "reason": line.reason,
        "estimated": line.estimated,
        "period_start": line.period_start,
        "period_end": line.period_end,
        "tariff_version_id": line.tariff_version_id,
        "input_digest": line.input_digest,
        "detail": line.detail,
        "entry_id": order.entry_id,
        "run_id": order.run_id,
        "recorded_at": now,
    }


def _plans(session: Session, orders: Sequence[AccountOrder]) -> dict[str, TariffPlanId]:
    codes = sorted({order.plan_code for order in orders})
    query = select(TariffPlanRow.code, TariffPlanRow.id).where(TariffPlanRow.code.in_(codes))
    plans = {code: TariffPlanId(plan_id) for code, plan_id in session.execute(query)}
    for order in orders:
        if order.plan_code not in plans:
            raise Invalid(
                where=mark("account %(account)s") % {"account": order.number},
                problem="there is no tariff plan %(plan)s",
                plan=order.plan_code,
            )
    return plans


def _existing(session: Session, ids: Sequence[AccountId]) -> dict[AccountId, dict[str, Any]]:
    columns = [getattr(AccountRow, name) for name in _ACCOUNT_FIELDS]
    found: dict[AccountId, dict[str, Any]] = {}
    for part in in_slices(ids):
        for row in session.execute(select(AccountRow.id, *columns).where(AccountRow.id.in_(part))):
            found[AccountId(row.id)] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return found


def _account_values(order: AccountOrder) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(order, name) for name in _ACCOUNT_FIELDS}
    return values | {"number": order.number, "opened_on": order.opened_on}


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """What a month's charge was computed from, for the documents that show it."""

    charges: dict[AccountId, AccountCharge]
    meters: dict[AccountId, tuple[MeterFact, ...]]


def rate_month(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    *,
    until: date | None = None,
) -> MonthFacts:
    """Compute what `accounts` owe for `month`, from what is known now; write nothing.

    With `until`, the month is rated up to that local day (exclusive): the same function serves the
    running month and the close, so their kopecks agree. Heat is shared for whole months only.
    """
    lines: dict[AccountId, list[NewLine]] = {account.id: [] for account in accounts}
    warnings: dict[AccountId, list[str]] = {account.id: [] for account in accounts}
    meters: dict[AccountId, list[MeterFact]] = {account.id: [] for account in accounts}
    gathered = _Gathered(lines, warnings, meters)
    _rate_intervals(session, accounts, month, until, gathered)
    if until is None:
        _rate_registers(session, accounts, month, gathered)
        _share_heat(session, accounts, month, gathered)
    return MonthFacts(
        charges={
            account.id: AccountCharge(
                account.id, tuple(lines[account.id]), tuple(dict.fromkeys(warnings[account.id]))
            )
            for account in accounts
        },
        meters={account_id: tuple(facts) for account_id, facts in meters.items()},
    )


def suspects(
    session: Session,
    account_ids: Sequence[AccountId],
    month: Month,
    *,
    look_back: int,
    estimates_back: int = 0,
) -> dict[Month, frozenset[AccountId]]:
    """Return, by closed month, the accounts with readings recorded after its first close.

    Months further back than `look_back` stay as they are, but for those up to `estimates_back` that
    were charged by an estimate which a reading has replaced since: what is charged must in the end
    be what the meter counted.
    """
    found: dict[Month, frozenset[AccountId]] = {}
    for back in range(1, max(look_back, estimates_back) + 1):
        charged = month.plus(-back)
        closed_at = first_close_at(session, charged)
        if closed_at is None:
            continue
        asked = (
            account_ids
            if back <= look_back
            else accounts_with_replaced_estimates(session, account_ids, charged)
        )
        later = accounts_with_later_readings(session, asked, charged, closed_at)
        if later:
            found[charged] = frozenset(later)
    return found


def corrections(
    session: Session, suspected: Mapping[Month, Sequence[AccountId]]
) -> dict[Month, dict[AccountId, AccountCharge]]:
    """Return the reversing and right lines of closed months, for accounts that `suspects` named.

    They are rated again; where the amounts come out the same, nothing is said.
    """
    found: dict[Month, dict[AccountId, AccountCharge]] = {}
    for charged, account_ids in suspected.items():
        standing = standing_lines(session, account_ids, charged)
        last = last_line_ids(session, account_ids, charged)
        accounts = billed_accounts(session, account_ids, charged)
        right = rate_month(session, accounts, charged).charges
        for account in accounts:
            lines = correcting_lines(standing.get(account.id, ()), right[account.id].lines)
            if lines:
                by_account = found.setdefault(charged, {})
                by_account[account.id] = AccountCharge(
                    account.id, lines, follows=last.get(account.id, 0)
                )
    return found


@dataclass(frozen=True, slots=True)
class _Gathered:
    lines: dict[AccountId, list[NewLine]]
    warnings: dict[AccountId, list[str]]
    meters: dict[AccountId, list[MeterFact]]


def _rate_intervals(
    session: Session,
    accounts: Sequence[BilledAccount],
    month: Month,
    until: date | None,
    gathered: _Gathered,
) -> None:
    """Rate the interval accounts: one matrix for a zone and interval, one product for a plan."""
    end = month.plus(1).first_day if until is None else min(until, month.plus(1).first_day)
    if end <= month.first_day:
        return
    interval_accounts = [a for a in accounts if a.measurement is Measurement.INTERVALS]
    serials = {
        meter.point_id: meter
        for meter in metering_store.meters_of_premises(
            session, [account.premises_id for account in interval_accounts]
        )
        if meter.removed_on is None
    }
    with_channel: set[AccountId] = set()
    for zone, group, owners, matrix in _matrices(session, accounts, month.first_day, end):
        with_channel.update(owner.id for owner in owners)
        _mask_before_opening(matrix, owners, month, zone)
        period = Period(matrix.start, local_midnight(end, zone))
        aside = _set_aside(session, matrix, period, zone)
        guessed = _guessed(matrix)
        used = _used_estimates(session, group, guessed, period)
        for versions, rows in _by_plan(session, owners, period, zone):
            _rate_rows(matrix, guessed, rows, owners, versions, zone, used, aside, gathered)
        _gather_meters(matrix, group, owners, serials, until is None, aside, gathered)
    for account in interval_accounts:
        if account.id not in with_channel:
            gathered.warnings[account.id].append(NO_CHANNEL)


def _by_plan(
    session: Session, owners: Sequence[BilledAccount], period: Period, zone: ZoneInfo
) -> Iterator[tuple[Sequence[VersionInForce], list[int]]]:
    """Yield for each plan the versions in force in `period`, and the rows of its accounts."""
    rows_of: dict[TariffPlanId, list[int]] = {}
    for row, owner in enumerate(owners):
        rows_of.setdefault(owner.plan_id, []).append(row)
    versions = versions_in_force(session, sorted(rows_of), period, zone)
    for plan_id, rows in rows_of.items():
        yield versions.get(plan_id, ()), rows


def _set_aside(
    session: Session, matrix: IntervalMatrix, period: Period, zone: ZoneInfo
) -> dict[int, str]:
    """Put estimates where the meter's verification did not hold; return, by row, which.

    What was measured there stays stored, but does not count: the estimate's quantity is spread over
    the intervals by a standard profile, so that zones and ranges have something to go by.
    """
    found = estimate_store.setting_aside(session, matrix.channel_ids, period)
    step = timedelta(minutes=matrix.interval_min)
    intervals = matrix.energy_wh.shape[1]
    aside: dict[int, str] = {}
    for row, channel_id in enumerate(matrix.channel_ids):
        for one in found.get(channel_id, ()):
            values = spread_by_profile(one.quantity, one.period, matrix.interval_min, zone)
            first = (one.period.start - matrix.start) // step
            begin, end = max(first, 0), min(first + len(values), intervals)
            matrix.energy_wh[row, begin:end] = values[begin - first : end - first]
            matrix.quality[row, begin:end] = Quality.ESTIMATED
            aside[row] = f"{aside.get(row, '')}{one.id}:{one.quantity};"
    return aside


def _guessed(matrix: IntervalMatrix) -> npt.NDArray[np.bool_]:
    """Say of which intervals the value was not measured."""
    guessed: npt.NDArray[np.bool_] = np.asarray(
        (matrix.quality == Quality.ESTIMATED) | (matrix.quality == Quality.SUBSTITUTED)
    )
    return guessed


def _used_estimates(
    session: Session,
    group: Sequence[PremisesChannel],
    guessed: npt.NDArray[np.bool_],
    period: Period,
) -> dict[int, tuple[UsedEstimate, ...]]:
    """Return, by row, the methods by which a channel's values of `period` were estimated."""
    rows = np.flatnonzero(guessed.any(axis=1)).tolist()
    if not rows:
        return {}
    kept = estimate_store.kept_estimates(session, [group[row].point_id for row in rows])
    return {
        row: tuple(
            dict.fromkeys(
                UsedEstimate.of(one.method, one.basis)
                for one in kept.get(group[row].point_id, ())
                if one.channel_id == group[row].channel_id and one.period.intersect(period)
            )
        )
        for row in rows
    }


def _rate_rows(
    matrix: IntervalMatrix,
    guessed: npt.NDArray[np.bool_],
    rows: Sequence[int],
    owners: Sequence[BilledAccount],
    versions: Sequence[VersionInForce],
    zone: ZoneInfo,
    used: Mapping[int, tuple[UsedEstimate, ...]],
    aside: Mapping[int, str],
    gathered: _Gathered,
) -> None:
    whole = len(rows) == len(matrix.energy_wh)
    energy = matrix.energy_wh if whole else matrix.energy_wh[list(rows)]
    columns = rate_population(versions, energy, matrix.start, matrix.interval_min, zone)
    estimated = None
    here = guessed if whole else guessed[list(rows)]
    if here.any():
        estimated = rate_population(
            versions, np.where(here, energy, 0), matrix.start, matrix.interval_min, zone
        ).energy_wh
    for place, row in enumerate(rows):
        digest = matrix.digests[row]
        if row in aside:
            digest = digest_text(f"{digest}|{aside[row]}")
        account_lines = gathered.lines[owners[row].id]
        energies = columns.energy_wh[place].tolist()
        amounts = columns.amount_minor[place].tolist()
        methods = used.get(row, ())
        detail = estimates_detail(methods) if methods else ""
        if any(not one.certain for one in methods):
            gathered.warnings[owners[row].id].append(ESTIMATE_UNCERTAIN)
        for column, spec in enumerate(columns.specs):
            if energies[column]:
                account_lines.append(
                    NewLine(
                        service=Service.ELECTRICITY,
                        key=spec.key,
                        quantity=energies[column],
                        rate_scaled=spec.rate_scaled,
                        amount_minor=amounts[column],
                        period_start=spec.period.start,
                        period_end=spec.period.end,
                        input_digest=digest,
                        tariff_version_id=spec.version_id,
                        estimated=0 if estimated is None else int(estimated[place, column]),
                        detail=detail if estimated is not None and estimated[place, column] else "",
                    )
                )


def _mask_before_opening(
    matrix: IntervalMatrix, owners: Sequence[BilledAccount], month: Month, zone: ZoneInfo
) -> None:
    """Leave out what was used before an account opened or from the day it closed."""
    step = timedelta(minutes=matrix.interval_min)
    for row, owner in enumerate(owners):
        if owner.opened_on > month.first_day:
            first = (local_midnight(owner.opened_on, zone) - matrix.start) // step
            matrix.energy_wh[row, :first] = 0
        if owner.closed_on is not None:
            last = max(0, (local_midnight(owner.closed_on, zone) - matrix.start) // step)
            matrix.energy_wh[row, last:] = 0


def _gather_meters(
    matrix: IntervalMatrix,
    group: Sequence[PremisesChannel],
    owners: Sequence[BilledAccount],
    serials: dict[int, PremisesMeter],
    whole_month: bool,
    aside: Mapping[int, str],
    gathered: _Gathered,
) -> None:
    totals = matrix.energy_wh.sum(axis=1, dtype=np.int64).tolist()
    guessed = _guessed(matrix)
    estimated = (
        np.where(guessed, matrix.energy_wh, 0).sum(axis=1, dtype=np.int64).tolist()
        if guessed.any()
        else [0] * len(totals)
    )
    missing = (matrix.quality == Quality.MISSING).any(axis=1).tolist()
    for row, channel in enumerate(group):
        account = owners[row]
        meter = serials.get(channel.point_id)
        gathered.meters[account.id].append(
            MeterFact(
                serial=meter.serial if meter else "",
                point_code=channel.point_code,
                service=Service.ELECTRICITY,
                measured=totals[row] - estimated[row],
                estimated=estimated[row],
                verified_until=None if meter is None else meter.verified_until,
            )
        )
        if whole_month and missing[row] and account.opened_on <= matrix.start.date():
            gathered.warnings[account.id].append(INTERVALS_MISSING)
        if whole_month and row not in aside and _expired(meter, matrix.start):
            gathered.warnings[account.id].append(VERIFICATION_EXPIRED)


def _expired(meter: PremisesMeter | None, month_start: datetime) -> bool:
    """Say whether a meter's verification had run out before the month began."""
    if meter is None or meter.verified_until is None:
        return False
    return meter.verified_until < month_start.date()


def _rate_registers(
    session: Session, accounts: Sequence[BilledAccount], month: Month, gathered: _Gathered
) -> None:
    by_hand = [a for a in accounts if a.measurement is Measurement.REGISTERS]
    if not by_hand:
        return
    split = retailer(session).price_split
    for account_id, charge in rate_registers(session, by_hand, month, split).items():
        gathered.lines[account_id].extend(charge.lines)
        gathered.meters[account_id].extend(charge.meters)
        gathered.warnings[account_id].extend(charge.warnings)


def _share_heat(
    session: Session, accounts: Sequence[BilledAccount], month: Month, gathered: _Gathered
) -> None:
    """Share the heat of each house that has a house meter, by area, over all of its premises."""
    building_ids = {account.building_id for account in accounts}
    houses = heating_store.heated_houses(session, building_ids, month.first_day)
    if not houses:
        return
    meters = [
        meter
        for meter in metering_store.meters_of_buildings(session, houses)
        if meter.commodity is Commodity.HEAT
    ]
    areas = areas_of_buildings(session, houses)
    for meter in meters:
        house = houses[meter.building_id]
        mine = [a for a in accounts if a.building_id == meter.building_id]
        zone = mine[0].zone
        period = month.period(zone)
        readings = metering_store.load_registers(session, [meter.meter_id], last=period.end)
        used = [
            difference
            for difference in register_differences(
                readings, digits=meter.digits, commodity=Commodity.HEAT
            )
            if period.start < difference.period.end <= period.end
        ]
        rate_scaled = heating_store.heat_rate(session, house.plan_code, month.first_day)
        if not used or rate_scaled is None:
            for account in mine:
                gathered.warnings[account.id].append(HEAT_UNKNOWN)
            continue
        heat_kcal = sum(difference.energy for difference in used)
        flats = tuple(
            HeatedFlat(premises_id, area) for premises_id, area in areas[meter.building_id]
        )
        shares = share_building_month(
            HouseMonth(heat_kcal, rate_scaled, flats, house.common_area_dm2)
        )
        by_premises = {share.premises_id: share for share in shares.shares}
        whole_dm2 = sum(flat.area_dm2 for flat in flats)
        for account in mine:
            share = by_premises[account.premises_id]
            if not share.heat_kcal and not share.amount_minor:
                continue
            gathered.lines[account.id].append(
                NewLine(
                    service=Service.HEAT,
                    key=f"heat/{house.plan_code}",
                    quantity=share.heat_kcal,
                    rate_scaled=rate_scaled,
                    amount_minor=share.amount_minor,
                    period_start=period.start,
                    period_end=period.end,
                    input_digest=shares.input_digest,
                    charge=ChargeKind.SERVICE,
                    unit=LineUnit.KCAL,
                    detail=canonical_json(
                        {
                            "house_kcal": heat_kcal,
                            "house_minor": shares.amount_minor,
                            "house_area_dm2": whole_dm2,
                            "area_dm2": account.area_dm2,
                        }
                    ),
                )
            )


@dataclass(frozen=True, slots=True)
class RunningOrder:
    """What of a running month is now taken from a wallet."""

    account_id: AccountId
    month: Month
    service: Service
    known_until: datetime
    posted_minor: int
    input_digest: str


def record_running(session: Session, orders: Sequence[RunningOrder], now: datetime) -> None:
    """Write down what is posted of the running month, in the transaction that posted it."""
    if not orders:
        return
    table = RunningChargeRow.__table__
    keys = {(order.account_id, order.month.ordinal, str(order.service)) for order in orders}
    for part in in_slices([order.account_id for order in orders]):
        session.execute(
            delete(RunningChargeRow).where(
                table.c.account_id.in_(part),
                table.c.charge_month.in_({month for _, month, _ in keys}),
                table.c.service.in_({service for _, _, service in keys}),
            )
        )
    session.connection().execute(
        insert(RunningChargeRow),
        [
            {
                "account_id": order.account_id,
                "charge_month": order.month.ordinal,
                "service": order.service,
                "known_until": order.known_until,
                "posted_minor": order.posted_minor,
                "input_digest": order.input_digest,
                "recorded_at": now,
            }
            for order in orders
        ],
    )


def rate_days(
    session: Session, accounts: Sequence[BilledAccount], first: date, end: date
) -> dict[AccountId, tuple[int, int]]:
    """Return what the electricity from `first` up to `end` cost, and of how many days it is known.

    The same rating as that of the bill, over days that need not be a month: ranges of consumption
    are reached later than in a whole month, so it is an estimate for accounts with a ladder.
    """
    found: dict[AccountId, tuple[int, int]] = {}
    for zone, _, owners, matrix in _matrices(session, accounts, first, end):
        per_day = [
            intervals_in_day(first + timedelta(days=n), zone, matrix.interval_min)
            for n in range((end - first).days)
        ]
        starts = np.concatenate([[0], np.cumsum(per_day)[:-1]])
        whole_days = np.add.reduceat(
            (matrix.quality != Quality.MISSING).astype(np.int64), starts, axis=1
        )
        known_days = (whole_days > 0).sum(axis=1).tolist()
        period = Period(local_midnight(first, zone), local_midnight(end, zone))
        for versions, rows in _by_plan(session, owners, period, zone):
            columns = rate_population(
                versions, matrix.energy_wh[rows], matrix.start, matrix.interval_min, zone
            )
            costs_minor = columns.amount_minor.sum(axis=1).tolist()
            for row, cost_minor in zip(rows, costs_minor, strict=True):
                found[owners[row].id] = (cost_minor, known_days[row])
    return found


def energy_by_day(
    session: Session, account: BilledAccount, first: date, end: date
) -> tuple[tuple[date, dict[str, int]], ...]:
    """Return the Wh of each local day by the zones of the account's plan."""
    shown: list[tuple[date, dict[str, int]]] = []
    for zone, _, owners, matrix in _matrices(session, [account], first, end):
        period = Period(local_midnight(first, zone), local_midnight(end, zone))
        versions = versions_in_force(session, [owners[0].plan_id], period, zone)
        known = versions.get(owners[0].plan_id, ())
        place = 0
        for number in range((end - first).days):
            day = first + timedelta(days=number)
            count = intervals_in_day(day, zone, matrix.interval_min)
            columns = rate_population(
                known,
                matrix.energy_wh[:1, place : place + count],
                local_midnight(day, zone),
                matrix.interval_min,
                zone,
            )
            zones: dict[str, int] = {}
            for spec, wh in zip(columns.specs, columns.energy_wh[0].tolist(), strict=True):
                zones[str(spec.zone)] = zones.get(str(spec.zone), 0) + wh
            shown.append((day, zones))
            place += count
    return tuple(shown)


def known_until(session: Session, accounts: Sequence[BilledAccount]) -> dict[AccountId, datetime]:
    """Return the end of the last local day of which each account's meter gave anything."""
    by_premises = {a.premises_id: a for a in accounts if a.measurement is Measurement.INTERVALS}
    channels = metering_store.channels_of_premises(session, by_premises)
    last = metering_store.last_days(session, [channel.channel_id for channel in channels])
    return {
        by_premises[PremisesId(c.premises_id)].id: local_midnight(
            last[c.channel_id] + timedelta(days=1), ZoneInfo(c.zone)
        )
        for c in channels
        if c.channel_id in last
    }


def _matrices(
    session: Session, accounts: Sequence[BilledAccount], first: date, end: date
) -> Iterator[tuple[ZoneInfo, list[PremisesChannel], list[BilledAccount], IntervalMatrix]]:
    """Yield the energy of the accounts from `first` up to `end`, one matrix a zone and interval."""
    by_premises = {a.premises_id: a for a in accounts if a.measurement is Measurement.INTERVALS}
    groups: dict[tuple[str, int], list[PremisesChannel]] = {}
    for channel in metering_store.channels_of_premises(session, by_premises):
        if channel.commodity is Commodity.ELECTRICITY:
            groups.setdefault((channel.zone, channel.interval_min), []).append(channel)
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    for (zone_name, interval_min), group in sorted(groups.items()):
        zone = ZoneInfo(zone_name)
        if days:
            ids = [channel.channel_id for channel in group]
            matrix = metering_store.load_matrix(session, ids, days, zone, interval_min)
            owners = [by_premises[PremisesId(channel.premises_id)] for channel in group]
            yield zone, group, owners, matrix
