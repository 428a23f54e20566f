"""Queries of dated facts of accounts, as they stand or as they were known at an instant."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from billing.facts.facts import (
    Absence,
    Dated,
    Entitlement,
    StatedFact,
    Subject,
    Term,
    value_on,
)
from billing.models import (
    AbsenceRow,
    AccountFactRow,
    AccountRow,
    AccountTermRow,
    ChargeLineRow,
    EntitlementRow,
    FactKind,
)
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.scope import Scope
from kilokassa.core.text import Language
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from kilokassa.db.statements import stands
from metering.models import BuildingRow, MeteringPointRow, PremisesRow
from metering.registry.areas import BEGINNING
from metering.registry.places import Commodity
from metering.registry.store import dated_areas
from tariffs.models import TariffPlanRow
from tariffs.store import plans, published_versions


def terms_of(
    session: Session,
    account_ids: Sequence[AccountId],
    month: Month,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, tuple[Term, ...]]:
    """Return the terms that hold within `month`, each with the day it began, the earliest first.

    The first may have begun long before; each holds until the next one's day.
    """
    found: dict[AccountId, list[Term]] = {}
    end = month.plus(1).first_day
    for ids in in_slices(account_ids):
        query = (
            select(AccountTermRow)
            .where(
                AccountTermRow.account_id.in_(ids),
                AccountTermRow.valid_from < end,
                stands(AccountTermRow, known_at),
            )
            .order_by(AccountTermRow.account_id, AccountTermRow.valid_from, AccountTermRow.id)
        )
        for row in session.scalars(query):
            term = term_of(row)
            of_account = found.setdefault(AccountId(row.account_id), [])
            if of_account and term.valid_from <= month.first_day:
                of_account.clear()
            of_account.append(term)
    return {account_id: tuple(terms) for account_id, terms in found.items()}


def standing_term_rows(session: Session, account_id: AccountId) -> list[AccountTermRow]:
    """Return all terms of an account that stand, the earliest first, those to come included."""
    query = (
        select(AccountTermRow)
        .where(AccountTermRow.account_id == account_id, stands(AccountTermRow, None))
        .order_by(AccountTermRow.valid_from)
    )
    return list(session.scalars(query))


def term_of(row: AccountTermRow) -> Term:
    """Return a stored term as a value."""
    return Term(row.valid_from, TariffPlanId(row.plan_id), row.settlement, row.measurement)


def standing_terms(session: Session, account_id: AccountId) -> tuple[Term, ...]:
    """Return the same as values."""
    return tuple(map(term_of, standing_term_rows(session, account_id)))


def persons_on(
    session: Session,
    account_ids: Sequence[AccountId],
    day: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, int]:
    """Return the persons registered on a day; where nothing was stated, what the account says."""
    dated = _dated(session, account_ids, FactKind.PERSONS, known_at)
    found: dict[AccountId, int] = {}
    for ids in in_slices(account_ids):
        query = select(AccountRow.id, AccountRow.persons).where(AccountRow.id.in_(ids))
        for row_id, persons in session.execute(query):
            account_id = AccountId(row_id)
            found[account_id] = value_on(dated.get(account_id, ()), day, persons)
    return found


def contracted_w_on(
    session: Session,
    account_ids: Sequence[AccountId],
    day: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, int]:
    """Return the contracted power in watts; else the capacity of the electricity points.

    An account of which neither is known is left out.
    """
    dated = _dated(session, account_ids, FactKind.CONTRACTED_W, known_at)
    found: dict[AccountId, int] = {}
    for ids in in_slices(account_ids):
        query = (
            select(AccountRow.id, func.sum(MeteringPointRow.capacity_w))
            .join(MeteringPointRow, MeteringPointRow.premises_id == AccountRow.premises_id)
            .where(AccountRow.id.in_(ids), MeteringPointRow.commodity == Commodity.ELECTRICITY)
            .group_by(AccountRow.id)
        )
        for row_id, capacity_w in session.execute(query):
            if capacity_w is not None:
                found[AccountId(row_id)] = int(capacity_w)
    for account_id, of_account in dated.items():
        value = value_on(of_account, day, -1)
        if value >= 0:
            found[account_id] = value
    return found


def entitled_on(
    session: Session,
    account_ids: Sequence[AccountId],
    day: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, frozenset[str]]:
    """Return the codes of the concessions that accounts have a right to on a day."""
    found: dict[AccountId, frozenset[str]] = {}
    for account_id, rights in entitlements_of(session, account_ids, known_at=known_at).items():
        codes = frozenset(right.code for right in rights if right.holds_on(day))
        if codes:
            found[account_id] = codes
    return found


def entitlements_of(
    session: Session, account_ids: Sequence[AccountId], *, known_at: datetime | None = None
) -> dict[AccountId, tuple[Entitlement, ...]]:
    """Return all rights to concessions that stand, by the day they began."""
    found: dict[AccountId, list[Entitlement]] = {}
    for ids in in_slices(account_ids):
        query = (
            select(EntitlementRow)
            .where(EntitlementRow.account_id.in_(ids), stands(EntitlementRow, known_at))
            .order_by(EntitlementRow.valid_from, EntitlementRow.id)
        )
        for row in session.scalars(query):
            found.setdefault(AccountId(row.account_id), []).append(
                Entitlement(row.code, row.valid_from, row.valid_until, row.document)
            )
    return {account_id: tuple(rights) for account_id, rights in found.items()}


def absences_of(
    session: Session,
    account_ids: Sequence[AccountId],
    first: date,
    last: date,
    *,
    known_at: datetime | None = None,
) -> dict[AccountId, tuple[Absence, ...]]:
    """Return the absences that touch the local days from `first` to `last`, both counted."""
    found: dict[AccountId, list[Absence]] = {}
    for ids in in_slices(account_ids):
        query = (
            select(AbsenceRow)
            .where(
                AbsenceRow.account_id.in_(ids),
                AbsenceRow.first_on <= last,
                AbsenceRow.last_on >= first,
                stands(AbsenceRow, known_at),
            )
            .order_by(AbsenceRow.first_on, AbsenceRow.id)
        )
        for row in session.scalars(query):
            found.setdefault(AccountId(row.account_id), []).append(
                Absence(row.first_on, row.last_on, row.persons, row.document)
            )
    return {account_id: tuple(absences) for account_id, absences in found.items()}


def charged_months_from(
    session: Session, account_id: AccountId, since: date, until: date | None = None
) -> tuple[Month, ...]:
    """Return the months from a day's on, or of these days, that an account was charged for."""
    month = ChargeLineRow.charge_month
    query = (
        select(month)
        .where(ChargeLineRow.account_id == account_id, month >= Month.of(since).ordinal)
        .distinct()
        .order_by(month)
    )
    if until is not None:
        query = query.where(month <= Month.of(until).ordinal)
    return tuple(Month.from_ordinal(ordinal) for ordinal in session.scalars(query))


def zone_of_account(session: Session, account_id: AccountId) -> ZoneInfo:
    """Return the zone that the days of an account are lived in: that of its building."""
    query = (
        select(BuildingRow.zone)
        .join(PremisesRow, PremisesRow.building_id == BuildingRow.id)
        .join(AccountRow, AccountRow.premises_id == PremisesRow.id)
        .where(AccountRow.id == account_id)
    )
    return ZoneInfo(session.scalars(query).one())


def concession_names(session: Session) -> dict[str, tuple[str, str]]:
    """Return the concessions that published plans give to entitled accounts: code to its names.

    The names are Russian and English, as the last version that knows the code has them.
    """
    found: dict[str, tuple[str, str]] = {}
    for plan in plans(session):
        for published in published_versions(session, plan.id):
            for one in published.version.charges.concessions:
                if not one.everyone:
                    found.setdefault(one.code, (one.name, one.name_en))
    return found


def facts_of(
    session: Session, scope: Scope, account_id: AccountId, *, known_at: datetime | None = None
) -> tuple[StatedFact, ...]:
    """Return all that was ever stated of an account in reach, the latest day first.

    What was replaced or taken back is there too. With `known_at` only what stood at that instant.
    """
    reach = account_in_scope(AccountRow.__table__.c.id, scope)
    account = session.scalars(
        select(AccountRow).where(AccountRow.id == account_id, reach)
    ).one_or_none()
    if account is None:
        return ()
    found = [
        *_term_statements(session, account_id, known_at),
        *_fact_statements(session, account_id, known_at),
        *_absence_statements(session, account_id, known_at),
        *_concession_statements(session, account_id, known_at),
        *_area_statements(session, account, known_at),
    ]
    order = {subject: place for place, subject in enumerate(Subject)}
    ever = datetime.max.replace(tzinfo=UTC)
    found.sort(key=lambda one: (one.superseded_at is None, one.superseded_at or ever), reverse=True)
    found.sort(key=lambda one: one.since, reverse=True)
    found.sort(key=lambda one: order[one.subject])
    return tuple(found)


def _known(table: Any, known_at: datetime | None) -> ColumnElement[bool]:  # noqa: ANN401 - mapped
    return true() if known_at is None else stands(table, known_at)


def _recorded(at: datetime) -> datetime | None:
    return None if at == BEGINNING else at


def _term_statements(
    session: Session, account_id: AccountId, known_at: datetime | None
) -> Iterator[StatedFact]:
    query = (
        select(AccountTermRow, TariffPlanRow.code)
        .join(TariffPlanRow, TariffPlanRow.id == AccountTermRow.plan_id)
        .where(AccountTermRow.account_id == account_id, _known(AccountTermRow, known_at))
    )
    for row, code in session.execute(query):
        yield StatedFact(
            row.id,
            Subject.PLAN,
            row.valid_from,
            None,
            0,
            code,
            "",
            row.actor,
            row.recorded_at,
            row.superseded_at,
            row.settlement,
            row.measurement,
        )


def _fact_statements(
    session: Session, account_id: AccountId, known_at: datetime | None
) -> Iterator[StatedFact]:
    query = select(AccountFactRow).where(
        AccountFactRow.account_id == account_id, _known(AccountFactRow, known_at)
    )
    for row in session.scalars(query):
        persons = row.kind is FactKind.PERSONS
        yield StatedFact(
            row.id,
            Subject.PERSONS if persons else Subject.CONTRACTED_POWER,
            row.valid_from,
            None,
            row.value,
            "",
            row.document,
            row.actor,
            _recorded(row.recorded_at),
            row.superseded_at,
        )


def _absence_statements(
    session: Session, account_id: AccountId, known_at: datetime | None
) -> Iterator[StatedFact]:
    query = select(AbsenceRow).where(
        AbsenceRow.account_id == account_id, _known(AbsenceRow, known_at)
    )
    for row in session.scalars(query):
        yield StatedFact(
            row.id,
            Subject.ABSENCE,
            row.first_on,
            row.last_on,
            row.persons,
            "",
            row.document,
            row.actor,
            row.recorded_at,
            row.superseded_at,
        )


def _concession_statements(
    session: Session, account_id: AccountId, known_at: datetime | None
) -> Iterator[StatedFact]:
    query = select(EntitlementRow).where(
        EntitlementRow.account_id == account_id, _known(EntitlementRow, known_at)
    )
    for row in session.scalars(query):
        yield StatedFact(
            row.id,
            Subject.CONCESSION,
            row.valid_from,
            row.valid_until,
            0,
            row.code,
            row.document,
            row.actor,
            row.recorded_at,
            row.superseded_at,
        )


def _area_statements(
    session: Session, account: AccountRow, known_at: datetime | None
) -> Iterator[StatedFact]:
    """Yield the areas of the account's premises that reach into the time it was open."""
    for one in dated_areas(session, account.premises_id, known_at=known_at):
        if account.closed_on is None or one.valid_from < account.closed_on:
            yield StatedFact(
                one.id,
                Subject.AREA,
                max(one.valid_from, account.opened_on),
                None,
                one.area_dm2,
                "",
                one.document,
                one.actor,
                _recorded(one.recorded_at),
                one.superseded_at,
            )


def _dated(
    session: Session,
    account_ids: Sequence[AccountId],
    kind: FactKind,
    known_at: datetime | None,
) -> dict[AccountId, list[Dated]]:
    found: dict[AccountId, list[Dated]] = {}
    for ids in in_slices(account_ids):
        query = select(AccountFactRow).where(
            AccountFactRow.account_id.in_(ids),
            AccountFactRow.kind == kind,
            stands(AccountFactRow, known_at),
        )
        for row in session.scalars(query):
            found.setdefault(AccountId(row.account_id), []).append(Dated(row.valid_from, row.value))
    return found


def names_of_codes(session: Session, language: Language) -> dict[str, str]:
    """Return the names of concessions and plans by their code, in a language."""
    russian = language is Language.RUSSIAN
    concessions = {
        code: name if russian else name_en or name
        for code, (name, name_en) in concession_names(session).items()
    }
    return concessions | {
        plan.code: plan.name if russian else plan.name_en for plan in plans(session)
    }
