"""Queries about accounts, charge lines and runs; those that serve a person take their `Scope`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, and_, desc, func, or_, select
from sqlalchemy.orm import Session

from billing.accounts import BilledAccount, Stay
from billing.charges import ENERGY_KINDS, NewLine
from billing.facts.store import persons_on
from billing.models import (
    AccountRow,
    AccountTermRow,
    BillingPartRow,
    BillingRunRow,
    ChargeLineRow,
    LineKind,
    RetailerRow,
    RunKind,
    RunningChargeRow,
    RunState,
    Service,
)
from kilokassa.core.calendar import Month
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId, BuildingId, PremisesId, TariffPlanId, TariffVersionId
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from kilokassa.db.statements import stands
from metering.models import (
    BuildingRow,
    ChannelRow,
    ImportBatchRow,
    IntervalDayRow,
    MeteringPointRow,
    PremisesRow,
)
from metering.registry.store import areas_on
from wallet import store as wallet_store


def retailer(session: Session) -> RetailerRow:
    """Return the installation's retailer; refuse where `kilokassa init` was not run."""
    row = session.get(RetailerRow, 1)
    if row is None:
        raise NotFound(what=mark("retailer"), name="(kilokassa init)")
    return row


def account_id_range(session: Session, month: Month) -> list[AccountId]:
    """Return the ids of all accounts open at some time of `month`, in order."""
    query = (
        select(AccountRow.id)
        .where(
            AccountRow.opened_on < month.plus(1).first_day,
            or_(AccountRow.closed_on.is_(None), AccountRow.closed_on > month.first_day),
        )
        .order_by(AccountRow.id)
    )
    return [AccountId(account_id) for account_id in session.scalars(query)]


def billed_accounts(
    session: Session,
    account_ids: Sequence[AccountId],
    month: Month,
    *,
    known_at: datetime | None = None,
) -> tuple[BilledAccount, ...]:
    """Return those of the accounts that were open in `month`, with the terms that held then.

    Persons and area are those of the month's last day. With `known_at`, all is as it had been
    stated by then.
    """
    found: list[BilledAccount] = []
    for ids in in_slices(account_ids):
        changes = _plan_changes(session, ids, month, known_at)
        query = _billed_query(month, known_at).where(AccountRow.id.in_(ids)).order_by(AccountRow.id)
        rows = session.execute(query).all()
        on = month.days[-1]
        persons = persons_on(session, ids, on, known_at=known_at)
        areas = areas_on(session, [row.premises_id for row in rows], on, known_at=known_at)
        found.extend(
            replace(
                _billed(row, month, changes.get(row.id, ())),
                persons=persons[AccountId(row.id)],
                area_dm2=areas[row.premises_id],
            )
            for row in rows
        )
    return tuple(found)


def _plan_changes(
    session: Session, account_ids: Sequence[AccountId], month: Month, known_at: datetime | None
) -> dict[int, list[tuple[date, TariffPlanId]]]:
    """Return, for accounts whose plan changes inside a month, each day and the plan from it on.

    The first is the plan that the month begins with, where there is one.
    """
    inside = (
        select(AccountTermRow.account_id, AccountTermRow.valid_from, AccountTermRow.plan_id)
        .where(
            AccountTermRow.account_id.in_(account_ids),
            AccountTermRow.valid_from > month.first_day,
            AccountTermRow.valid_from < month.plus(1).first_day,
            stands(AccountTermRow, known_at),
        )
        .order_by(AccountTermRow.account_id, AccountTermRow.valid_from)
    )
    changes: dict[int, list[tuple[date, TariffPlanId]]] = {}
    for account_id, day, plan_id in session.execute(inside):
        changes.setdefault(account_id, []).append((day, TariffPlanId(plan_id)))
    if not changes:
        return {}
    before = (
        select(AccountTermRow.account_id, AccountTermRow.valid_from, AccountTermRow.plan_id)
        .where(
            AccountTermRow.account_id.in_(list(changes)),
            AccountTermRow.valid_from <= month.first_day,
            stands(AccountTermRow, known_at),
        )
        .order_by(AccountTermRow.account_id, AccountTermRow.valid_from)
    )
    begins_with: dict[int, tuple[date, TariffPlanId]] = {}
    for account_id, day, plan_id in session.execute(before):
        begins_with[account_id] = day, TariffPlanId(plan_id)
    for account_id, first in begins_with.items():
        changes[account_id].insert(0, first)
    return changes


def _stays(
    opened_on: date,
    closed_on: date | None,
    plan_id: TariffPlanId,
    month: Month,
    changes: Sequence[tuple[date, TariffPlanId]],
) -> tuple[Stay, ...]:
    """Cut the days on which an account is open in a month where its plan changes."""
    first = max(month.first_day, opened_on)
    end = min(month.plus(1).first_day, closed_on or date.max)
    plans: list[tuple[date, TariffPlanId]] = []
    for day, plan in changes or [(first, plan_id)]:
        if not plans or plans[-1][1] != plan:
            plans.append((day, plan))
    # The first plan holds from the opening, however late it was stated.
    starts = [date.min, *(day for day, _ in plans[1:])]
    ends = [*starts[1:], date.max]
    parts = (
        Stay(start, until, plan).within(first, end)
        for start, until, (_, plan) in zip(starts, ends, plans, strict=True)
    )
    return tuple(part for part in parts if part is not None)


def _billed_query(month: Month, known_at: datetime | None) -> Select[*tuple[Any, ...]]:
    end = month.plus(1).first_day
    newest = (
        select(AccountTermRow.account_id, func.max(AccountTermRow.valid_from).label("valid_from"))
        .where(AccountTermRow.valid_from < end, stands(AccountTermRow, known_at))
        .group_by(AccountTermRow.account_id)
        .subquery()
    )
    return (
        select(
            AccountRow.id,
            AccountRow.number,
            AccountRow.payer_name,
            AccountRow.email,
            AccountRow.language,
            AccountRow.persons,
            AccountRow.opened_on,
            AccountRow.closed_on,
            AccountRow.note,
            PremisesRow.id.label("premises_id"),
            PremisesRow.number.label("premises_number"),
            PremisesRow.area_dm2,
            BuildingRow.id.label("building_id"),
            BuildingRow.address,
            BuildingRow.zone,
            AccountTermRow.plan_id,
            AccountTermRow.settlement,
            AccountTermRow.measurement,
        )
        .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
        .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
        .join(newest, newest.c.account_id == AccountRow.id)
        .join(
            AccountTermRow,
            and_(
                AccountTermRow.account_id == AccountRow.id,
                AccountTermRow.valid_from == newest.c.valid_from,
                stands(AccountTermRow, known_at),
            ),
        )
        .where(
            AccountRow.opened_on < end,
            or_(AccountRow.closed_on.is_(None), AccountRow.closed_on > month.first_day),
        )
    )


def _billed(
    row: Row[Any], month: Month, changes: Sequence[tuple[date, TariffPlanId]]
) -> BilledAccount:
    return BilledAccount(
        id=AccountId(row.id),
        number=row.number,
        payer_name=row.payer_name,
        email=row.email,
        language=row.language,
        persons=row.persons,
        opened_on=row.opened_on,
        closed_on=row.closed_on,
        premises_id=PremisesId(row.premises_id),
        premises_number=row.premises_number,
        area_dm2=row.area_dm2,
        building_id=BuildingId(row.building_id),
        address=row.address,
        zone=ZoneInfo(row.zone),
        plan_id=TariffPlanId(row.plan_id),
        settlement=row.settlement,
        measurement=row.measurement,
        note=row.note,
        stays=_stays(row.opened_on, row.closed_on, TariffPlanId(row.plan_id), month, changes),
    )


def accounts_by_numbers(session: Session, numbers: Sequence[str]) -> dict[str, AccountId]:
    """Return the ids of the accounts that exist, by number."""
    found: dict[str, AccountId] = {}
    for part in in_slices(numbers):
        query = select(AccountRow.number, AccountRow.id).where(AccountRow.number.in_(part))
        found.update({number: AccountId(row_id) for number, row_id in session.execute(query)})
    return found


def account_numbers(session: Session, premises_ids: Iterable[int]) -> dict[int, str]:
    """Return the numbers of the accounts that are open at premises; the caller may see them."""
    found: dict[int, str] = {}
    for part in in_slices(sorted(premises_ids)):
        query = (
            select(AccountRow.premises_id, AccountRow.number)
            .where(AccountRow.premises_id.in_(part), AccountRow.closed_on.is_(None))
            .order_by(AccountRow.id)
        )
        rows: Sequence[Any] = session.execute(query).all()
        found.update(dict(rows))
    return found


def account_by_number(session: Session, scope: Scope, number: str) -> AccountRow:
    """Return an account that `scope` reaches; one that it does not is not found."""
    query = select(AccountRow).where(
        AccountRow.number == number, account_in_scope(AccountRow.__table__.c.id, scope)
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        raise NotFound(what=mark("account"), name=number)
    return row


def account_in_reach(session: Session, scope: Scope, account_id: AccountId) -> AccountRow:
    """Return the account with this id, if `scope` reaches it."""
    query = select(AccountRow).where(
        AccountRow.id == account_id, account_in_scope(AccountRow.__table__.c.id, scope)
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        raise NotFound(what=mark("account"), name=str(account_id))
    return row


def charge_lines_of(
    session: Session, scope: Scope, account_id: AccountId, month: Month | None = None
) -> tuple[ChargeLineRow, ...]:
    """Return an account's charge lines, of one document month or all, newest month first."""
    query = select(ChargeLineRow).where(
        ChargeLineRow.account_id == account_id,
        account_in_scope(ChargeLineRow.__table__.c.account_id, scope),
    )
    if month is not None:
        query = query.where(ChargeLineRow.document_month == month.ordinal)
    query = query.order_by(
        desc(ChargeLineRow.document_month), ChargeLineRow.service, ChargeLineRow.id
    )
    return tuple(session.scalars(query))


def standing_lines(
    session: Session, account_ids: Sequence[AccountId], month: Month
) -> dict[AccountId, tuple[NewLine, ...]]:
    """Return the lines that now stand for `month`: reversed ones and their reversals left out."""
    lines: dict[AccountId, list[ChargeLineRow]] = {}
    for ids in in_slices(account_ids):
        query = (
            select(ChargeLineRow)
            .where(ChargeLineRow.account_id.in_(ids), ChargeLineRow.charge_month == month.ordinal)
            .order_by(ChargeLineRow.id)
        )
        for row in session.scalars(query):
            lines.setdefault(AccountId(row.account_id), []).append(row)
    return {account_id: _without_reversed(rows) for account_id, rows in lines.items()}


def last_line_ids(
    session: Session, account_ids: Sequence[AccountId], month: Month
) -> dict[AccountId, int]:
    """Return the id of the last line that was written for `month`, by account."""
    found: dict[AccountId, int] = {}
    for ids in in_slices(account_ids):
        query = (
            select(ChargeLineRow.account_id, func.max(ChargeLineRow.id))
            .where(ChargeLineRow.account_id.in_(ids), ChargeLineRow.charge_month == month.ordinal)
            .group_by(ChargeLineRow.account_id)
        )
        for account_id, line_id in session.execute(query):
            found[AccountId(account_id)] = line_id
    return found


def _without_reversed(rows: Sequence[ChargeLineRow]) -> tuple[NewLine, ...]:
    standing: dict[tuple[str, str], ChargeLineRow] = {}
    for row in rows:
        key = (row.service, row.line_key)
        if row.kind is LineKind.REVERSAL:
            standing.pop(key, None)
        else:
            standing[key] = row
    return tuple(line_of(row) for row in standing.values())


def line_of(row: ChargeLineRow) -> NewLine:
    """Return a stored charge line as the value it was written from."""
    version_id = row.tariff_version_id
    return NewLine(
        service=row.service,
        key=row.line_key,
        quantity=row.quantity,
        rate_scaled=row.rate_scaled,
        amount_minor=row.amount_minor,
        estimated=row.estimated,
        period_start=row.period_start,
        period_end=row.period_end,
        input_digest=row.input_digest,
        tariff_version_id=None if version_id is None else TariffVersionId(version_id),
        detail=row.detail,
        kind=row.kind,
        charge=row.charge,
        code=row.code,
        unit=row.unit,
        factor=row.factor,
        divisor=row.divisor,
        reason=row.reason,
    )


def accounts_with_days(session: Session, batch_id: int, since: date) -> list[AccountId]:
    """Return the accounts of whose meters an import brought or changed days from `since` on."""
    started_at = (
        select(ImportBatchRow.started_at).where(ImportBatchRow.id == batch_id).scalar_subquery()
    )
    channels = (
        select(IntervalDayRow.channel_id)
        .where(
            IntervalDayRow.recorded_at >= started_at,
            IntervalDayRow.source.in_((f"file:{batch_id}", "retry")),
            IntervalDayRow.day >= since,
        )
        .distinct()
    )
    query = (
        select(AccountRow.id)
        .join(MeteringPointRow, MeteringPointRow.premises_id == AccountRow.premises_id)
        .join(ChannelRow, ChannelRow.point_id == MeteringPointRow.id)
        .where(
            ChannelRow.id.in_(channels),
            or_(AccountRow.closed_on.is_(None), AccountRow.closed_on > since),
        )
        .distinct()
        .order_by(AccountRow.id)
    )
    return [AccountId(found) for found in session.scalars(query)]


def running_charges(
    session: Session, account_ids: Sequence[AccountId], month: Month
) -> dict[tuple[AccountId, str], RunningChargeRow]:
    """Return what prepaid accounts have paid of the running month, by account and service."""
    found: dict[tuple[AccountId, str], RunningChargeRow] = {}
    for ids in in_slices(account_ids):
        query = select(RunningChargeRow).where(
            RunningChargeRow.account_id.in_(ids), RunningChargeRow.charge_month == month.ordinal
        )
        for row in session.scalars(query):
            found[AccountId(row.account_id), str(row.service)] = row
    return found


def counts_energy(line: Any) -> ColumnElement[bool]:  # noqa: ANN401 - columns of `charge_line`
    """Return the condition that the quantity of a charge line is Wh which no other line has."""
    return and_(
        line.service == Service.ELECTRICITY, line.charge.in_(sorted(ENERGY_KINDS)), line.factor != 0
    )


def consumption_by_month(
    session: Session, account_ids: Sequence[AccountId], first: Month, last: Month
) -> dict[AccountId, dict[Month, dict[str, int]]]:
    """Return the billed Wh by charge month and line key, corrections netted."""
    found: dict[AccountId, dict[Month, dict[str, int]]] = {}
    for ids in in_slices(account_ids):
        query = (
            select(
                ChargeLineRow.account_id,
                ChargeLineRow.charge_month,
                ChargeLineRow.line_key,
                func.sum(ChargeLineRow.quantity),
            )
            .where(
                ChargeLineRow.account_id.in_(ids),
                ChargeLineRow.charge_month.between(first.ordinal, last.ordinal),
                counts_energy(ChargeLineRow.__table__.c),
            )
            .group_by(ChargeLineRow.account_id, ChargeLineRow.charge_month, ChargeLineRow.line_key)
        )
        for account_id, ordinal, key, quantity in session.execute(query):
            months = found.setdefault(AccountId(account_id), {})
            months.setdefault(Month.from_ordinal(ordinal), {})[key] = int(quantity)
    return found


def closing_debts(
    session: Session, account_ids: Sequence[AccountId], month: Month
) -> dict[AccountId, int]:
    """Return what accounts were asked to pay for `month`, by their payment documents' figures."""
    debts = wallet_store.closings(session, account_ids, month.ordinal)
    return {account_id: -net for account_id, net in debts.items() if net < 0}


def runs(session: Session, limit: int = 24) -> tuple[BillingRunRow, ...]:
    """Return the latest closes, newest first."""
    query = select(BillingRunRow).where(BillingRunRow.kind == RunKind.CLOSE)
    return tuple(session.scalars(query.order_by(desc(BillingRunRow.id)).limit(limit)))


def open_run(session: Session, month: Month) -> BillingRunRow | None:
    """Return the unfinished run of `month`, if one was interrupted."""
    query = select(BillingRunRow).where(
        BillingRunRow.kind == RunKind.CLOSE,
        BillingRunRow.charge_month == month.ordinal,
        BillingRunRow.state == RunState.OPEN,
        BillingRunRow.whole,
    )
    return session.scalars(query.order_by(BillingRunRow.id)).first()


def parts_of(session: Session, run_id: int) -> tuple[BillingPartRow, ...]:
    """Return the parts of a run that are done."""
    query = select(BillingPartRow).where(BillingPartRow.run_id == run_id)
    return tuple(session.scalars(query.order_by(BillingPartRow.part)))


def areas_of_buildings(
    session: Session,
    building_ids: Iterable[int],
    on: date | None = None,
    *,
    known_at: datetime | None = None,
) -> dict[int, list[tuple[PremisesId, int]]]:
    """Return every premises of the buildings with its area, billed or not.

    The area is that of the day `on`, where one is given, as it was known at an instant.
    """
    found: dict[int, list[tuple[PremisesId, int]]] = {}
    query = (
        select(PremisesRow.building_id, PremisesRow.id, PremisesRow.area_dm2)
        .where(PremisesRow.building_id.in_(sorted(set(building_ids))))
        .order_by(PremisesRow.building_id, PremisesRow.id)
    )
    rows = session.execute(query).all()
    dated = {} if on is None else areas_on(session, [row.id for row in rows], on, known_at=known_at)
    for building_id, premises_id, area_dm2 in rows:
        area = dated.get(premises_id, area_dm2)
        found.setdefault(building_id, []).append((PremisesId(premises_id), area))
    return found


def retailer_zone(session: Session) -> ZoneInfo:
    """Return the zone of the retailer: what its billing month is."""
    return ZoneInfo(retailer(session).zone)


def buildings(session: Session, scope: Scope) -> tuple[tuple[str, str], ...]:
    """Return code and address of the buildings in which the scope reaches an account."""
    query = (
        select(BuildingRow.code, BuildingRow.address)
        .join(PremisesRow, PremisesRow.building_id == BuildingRow.id)
        .join(AccountRow, AccountRow.premises_id == PremisesRow.id)
        .where(account_in_scope(AccountRow.__table__.c.id, scope))
        .distinct()
        .order_by(BuildingRow.code)
    )
    return tuple((code, address) for code, address in session.execute(query))
