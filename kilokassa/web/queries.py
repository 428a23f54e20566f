"""Look-ups that only pages need: lists joined over subjects; each takes the actor's `Scope`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    Table,
    and_,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session

from billing.charges import by_zone
from billing.models import (
    AccountRow,
    AccountTermRow,
    ChargeLineRow,
    Measurement,
    Settlement,
)
from billing.store import counts_energy
from invoices.models import DocumentRow
from invoices.numbering import DocumentKind
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope, system_scope
from kilokassa.core.text import Language
from kilokassa.db.rights import account_in_scope
from metering.models import BuildingRow, MeteringPointRow, MeterRow, PremisesRow
from metering.store import count_findings
from tariffs import store as tariffs_store
from tariffs.models import TariffPlanRow
from wallet.models import WalletRow

_ACCOUNT: Final[Table] = AccountRow.__table__  # type: ignore[assignment]
_DOCUMENT: Final[Table] = DocumentRow.__table__  # type: ignore[assignment]
_LINE: Final[Table] = ChargeLineRow.__table__  # type: ignore[assignment]
_POSTED = func.coalesce(WalletRow.lots_minor - WalletRow.uncovered_minor, 0)
_DEBT = func.coalesce(WalletRow.uncovered_minor, 0)


class Owing(StrEnum):
    """Which accounts a list is narrowed to, by what they owe."""

    ALL = ""
    DEBT = "debt"
    LOW = "low"
    """Prepaid, and below what the list calls low."""


LOW_MINOR: Final = 200_00
"""A prepaid account with less is worth a look; the figure sorts a list and decides nothing."""


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """What a list of accounts is narrowed to."""

    search: str = ""
    building: str = ""
    plan: str = ""
    settlement: Settlement | None = None
    owing: Owing = Owing.ALL


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """An account as the console lists it."""

    id: AccountId
    number: str
    payer_name: str
    address: str
    premises_number: str
    plan_code: str
    plan_name: str
    plan_name_en: str
    settlement: Settlement
    measurement: Measurement
    balance_minor: int
    debt_minor: int

    @property
    def place(self) -> str:
        """Address and number of the premises."""
        return f"{self.address}, {self.premises_number}"


ACCOUNT_SORTS: Final[dict[str, SQLColumnExpression[Any]]] = {
    "number": AccountRow.number,
    "payer": AccountRow.payer_name,
    "place": BuildingRow.address,
    "plan": TariffPlanRow.code,
    "balance": _POSTED,
    "debt": _DEBT,
}


def list_accounts(
    session: Session,
    scope: Scope,
    asked: AccountFilter,
    *,
    on: date,
    sort: str = "number",
    descending: bool = False,
    limit: int | None = 50,
    offset: int = 0,
) -> tuple[tuple[ListedAccount, ...], int]:
    """Return a page of the accounts in reach, and how many there are; terms as of `on`."""
    base = _accounts(on).where(*_conditions(scope, asked))
    total = session.scalar(select(func.count()).select_from(base.subquery())) or 0
    by = ACCOUNT_SORTS[sort]
    order: list[Any] = [by.desc() if descending else by.asc()]
    if sort == "place":
        order += [func.length(PremisesRow.number), PremisesRow.number]
    query = base.order_by(*order, AccountRow.id).offset(offset)
    rows = session.execute(query if limit is None else query.limit(limit))
    return tuple(_listed(row) for row in rows), total


def listed_account(
    session: Session, scope: Scope, account_id: AccountId, *, on: date
) -> ListedAccount | None:
    """Return one account as a list shows it, if `scope` reaches it."""
    query = _accounts(on).where(AccountRow.id == account_id, _in_reach(scope))
    row = session.execute(query).one_or_none()
    return None if row is None else _listed(row)


def _accounts(on: date) -> Select[*tuple[Any, ...]]:
    newest = (
        select(AccountTermRow.account_id, func.max(AccountTermRow.valid_from).label("valid_from"))
        .where(AccountTermRow.valid_from <= on, AccountTermRow.superseded_at.is_(None))
        .group_by(AccountTermRow.account_id)
        .subquery()
    )
    return (
        select(
            AccountRow.id,
            AccountRow.number,
            AccountRow.payer_name,
            BuildingRow.address,
            PremisesRow.number.label("premises_number"),
            TariffPlanRow.code.label("plan_code"),
            TariffPlanRow.name.label("plan_name"),
            TariffPlanRow.name_en.label("plan_name_en"),
            AccountTermRow.settlement,
            AccountTermRow.measurement,
            _POSTED.label("balance_minor"),
            _DEBT.label("debt_minor"),
        )
        .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
        .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
        .join(newest, newest.c.account_id == AccountRow.id)
        .join(
            AccountTermRow,
            and_(
                AccountTermRow.account_id == AccountRow.id,
                AccountTermRow.valid_from == newest.c.valid_from,
                AccountTermRow.superseded_at.is_(None),
            ),
        )
        .join(TariffPlanRow, TariffPlanRow.id == AccountTermRow.plan_id)
        .outerjoin(WalletRow, WalletRow.account_id == AccountRow.id)
    )


def _in_reach(scope: Scope) -> ColumnElement[bool]:
    return account_in_scope(_ACCOUNT.c.id, scope)


def _conditions(scope: Scope, asked: AccountFilter) -> list[ColumnElement[bool]]:
    conditions = [_in_reach(scope)]
    for word in asked.search.split():
        # SQLite folds case for Latin letters only, so a Russian name is tried in both ways.
        spellings = {word, word.lower(), word.capitalize()}
        conditions.append(
            or_(
                AccountRow.number.contains(word, autoescape=True),
                PremisesRow.number == word,
                *(AccountRow.payer_name.contains(one, autoescape=True) for one in spellings),
                *(BuildingRow.address.contains(one, autoescape=True) for one in spellings),
            )
        )
    if asked.building:
        conditions.append(BuildingRow.code == asked.building)
    if asked.plan:
        conditions.append(TariffPlanRow.code == asked.plan)
    if asked.settlement is not None:
        conditions.append(AccountTermRow.settlement == asked.settlement)
    if asked.owing is Owing.DEBT:
        conditions.append(_DEBT > 0)
    elif asked.owing is Owing.LOW:
        conditions += [AccountTermRow.settlement == Settlement.PREPAID, _POSTED < LOW_MINOR]
    return conditions


def _listed(row: Any) -> ListedAccount:  # noqa: ANN401 - a row
    return ListedAccount(
        id=AccountId(row.id),
        number=row.number,
        payer_name=row.payer_name,
        address=row.address,
        premises_number=row.premises_number,
        plan_code=row.plan_code,
        plan_name=row.plan_name,
        plan_name_en=row.plan_name_en or row.plan_name,
        settlement=row.settlement,
        measurement=row.measurement,
        balance_minor=int(row.balance_minor),
        debt_minor=int(row.debt_minor),
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """Figures of the whole installation, for its operator."""

    accounts: int
    findings: int
    debt_minor: int


def watched(session: Session) -> Watched:
    """Return the figures that monitoring reads; they name nobody."""
    return Watched(
        accounts=session.scalar(select(func.count()).select_from(AccountRow)) or 0,
        findings=count_findings(session, system_scope("metrics")),
        debt_minor=int(session.scalar(select(func.sum(WalletRow.uncovered_minor))) or 0),
    )


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of the console's first page."""

    accounts: int
    prepaid: int
    debtors: int
    debt_minor: int
    advance_minor: int
    low: int


def overview(session: Session, scope: Scope, on: date) -> Overview:
    """Return what the accounts in reach come to."""
    base = _accounts(on).where(_in_reach(scope)).subquery()
    prepaid = base.c.settlement == Settlement.PREPAID
    low = and_(prepaid, base.c.balance_minor < LOW_MINOR)
    balance = base.c.balance_minor
    row = session.execute(
        select(
            func.count(),
            func.count().filter(prepaid),
            func.count().filter(base.c.debt_minor > 0),
            func.coalesce(func.sum(base.c.debt_minor), 0),
            func.coalesce(func.sum(balance).filter(balance > 0), 0),
            func.count().filter(low),
        )
    ).one()
    return Overview(*(int(figure) for figure in row))


def energy_by_month(
    session: Session, scope: Scope, first: Month, last: Month
) -> dict[Month, dict[str, int]]:
    """Return the charged Wh of all accounts in reach by charge month and zone."""
    query = (
        select(_LINE.c.charge_month, _LINE.c.line_key, func.sum(_LINE.c.quantity))
        .where(
            counts_energy(_LINE.c),
            _LINE.c.charge_month.between(first.ordinal, last.ordinal),
            account_in_scope(_LINE.c.account_id, scope),
        )
        .group_by(_LINE.c.charge_month, _LINE.c.line_key)
    )
    found: dict[Month, list[tuple[str, int]]] = {}
    for ordinal, key, quantity in session.execute(query):
        found.setdefault(Month.from_ordinal(ordinal), []).append((key, int(quantity)))
    return {month: by_zone(quantities) for month, quantities in found.items()}


@dataclass(frozen=True, slots=True)
class ListedMeter:
    """A meter as the page of an account shows it."""

    point_code: str
    serial: str
    model: str
    commodity: str
    installed_on: date
    removed_on: date | None
    verified_until: date | None


def meters_of_account(
    session: Session, scope: Scope, account_id: AccountId
) -> tuple[ListedMeter, ...]:
    """Return the meters at the premises of an account in reach."""
    query = (
        select(
            MeteringPointRow.code,
            MeterRow.serial,
            MeterRow.model,
            MeteringPointRow.commodity,
            MeterRow.installed_on,
            MeterRow.removed_on,
            MeterRow.verified_until,
        )
        .join(MeteringPointRow, MeteringPointRow.id == MeterRow.point_id)
        .join(AccountRow, AccountRow.premises_id == MeteringPointRow.premises_id)
        .where(AccountRow.id == account_id, _in_reach(scope))
        .order_by(MeteringPointRow.code, MeterRow.installed_on)
    )
    return tuple(ListedMeter(*row) for row in session.execute(query))


def points_of_account(session: Session, scope: Scope, account_id: AccountId) -> tuple[str, ...]:
    """Return the codes of the metering points of an account in reach."""
    query = (
        select(MeteringPointRow.code)
        .join(AccountRow, AccountRow.premises_id == MeteringPointRow.premises_id)
        .where(AccountRow.id == account_id, _in_reach(scope))
    )
    return tuple(session.scalars(query))


@dataclass(frozen=True, slots=True)
class ListedTerm:
    """What held for an account from a day on."""

    valid_from: date
    plan_code: str
    plan_name: str
    plan_name_en: str
    settlement: Settlement
    measurement: Measurement


def terms_of(session: Session, scope: Scope, account_id: AccountId) -> tuple[ListedTerm, ...]:
    """Return the terms of an account in reach, the latest first."""
    query = (
        select(
            AccountTermRow.valid_from,
            TariffPlanRow.code,
            TariffPlanRow.name,
            TariffPlanRow.name_en,
            AccountTermRow.settlement,
            AccountTermRow.measurement,
        )
        .join(TariffPlanRow, TariffPlanRow.id == AccountTermRow.plan_id)
        .join(AccountRow, AccountRow.id == AccountTermRow.account_id)
        .where(
            AccountTermRow.account_id == account_id,
            AccountTermRow.superseded_at.is_(None),
            _in_reach(scope),
        )
        .order_by(AccountTermRow.valid_from.desc())
    )
    return tuple(
        ListedTerm(row[0], row[1], row[2], row[3] or row[2], row[4], row[5])
        for row in session.execute(query)
    )


def premises_of(session: Session, account: AccountRow) -> tuple[str, PremisesRow]:
    """Return the address and the premises of an account that was found in reach."""
    row = session.execute(
        select(BuildingRow.address, PremisesRow)
        .join(PremisesRow, PremisesRow.building_id == BuildingRow.id)
        .where(PremisesRow.id == account.premises_id)
    ).one()
    return row[0], row[1]


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """A document as a list shows it, without what it says."""

    number: str
    kind: DocumentKind
    account_number: str
    payer_name: str
    month: Month | None
    issued_on: date
    issued_at: datetime
    cancelled_by: str

    @property
    def live(self) -> bool:
        """Say whether the document still stands."""
        return not self.cancelled_by


def list_documents(
    session: Session,
    scope: Scope,
    *,
    account_id: AccountId | None = None,
    kind: DocumentKind | None = None,
    month: Month | None = None,
    search: str = "",
    limit: int | None = 50,
    offset: int = 0,
) -> tuple[tuple[ListedDocument, ...], int]:
    """Return a page of the documents of accounts in reach, the latest first, and their number."""
    base = _documents(scope)
    if account_id is not None:
        base = base.where(_DOCUMENT.c.account_id == account_id)
    if kind is not None:
        base = base.where(_DOCUMENT.c.kind == kind)
    if month is not None:
        base = base.where(_DOCUMENT.c.month == month.ordinal)
    for word in search.split():
        base = base.where(
            or_(
                _DOCUMENT.c.number.contains(word, autoescape=True),
                _ACCOUNT.c.number.contains(word, autoescape=True),
                _ACCOUNT.c.payer_name.contains(word, autoescape=True),
                _ACCOUNT.c.payer_name.contains(word.capitalize(), autoescape=True),
            )
        )
    total = session.scalar(select(func.count()).select_from(base.subquery())) or 0
    query = base.order_by(_DOCUMENT.c.id.desc()).offset(offset)
    rows = session.execute(query if limit is None else query.limit(limit))
    return tuple(_listed_document(row) for row in rows), total


def listed_document(
    session: Session, scope: Scope, number: str, *, account_id: AccountId | None = None
) -> ListedDocument | None:
    """Return one document as a list shows it, if `scope` reaches its account."""
    query = _documents(scope).where(_DOCUMENT.c.number == number)
    if account_id is not None:
        query = query.where(_DOCUMENT.c.account_id == account_id)
    row = session.execute(query).one_or_none()
    return None if row is None else _listed_document(row)


def _documents(scope: Scope) -> Select[*tuple[Any, ...]]:
    cancelling = _DOCUMENT.alias("cancelling")
    return (
        select(
            _DOCUMENT.c.id,
            _DOCUMENT.c.number,
            _DOCUMENT.c.kind,
            _ACCOUNT.c.number.label("account_number"),
            _ACCOUNT.c.payer_name,
            _DOCUMENT.c.month,
            _DOCUMENT.c.issued_on,
            _DOCUMENT.c.issued_at,
            cancelling.c.number.label("cancelled_by"),
        )
        .join(_ACCOUNT, _ACCOUNT.c.id == _DOCUMENT.c.account_id)
        .outerjoin(cancelling, cancelling.c.cancels_id == _DOCUMENT.c.id)
        .where(account_in_scope(_DOCUMENT.c.account_id, scope))
    )


def _listed_document(row: Any) -> ListedDocument:  # noqa: ANN401 - a row
    return ListedDocument(
        number=row.number,
        kind=row.kind,
        account_number=row.account_number,
        payer_name=row.payer_name,
        month=None if row.month is None else Month.from_ordinal(row.month),
        issued_on=row.issued_on,
        issued_at=row.issued_at,
        cancelled_by=row.cancelled_by or "",
    )


def document_months(session: Session, scope: Scope) -> tuple[Month, ...]:
    """Return the months that have documents of accounts in reach, the latest first."""
    query = (
        select(_DOCUMENT.c.month)
        .where(_DOCUMENT.c.month.is_not(None), account_in_scope(_DOCUMENT.c.account_id, scope))
        .distinct()
        .order_by(_DOCUMENT.c.month.desc())
    )
    return tuple(Month.from_ordinal(ordinal) for ordinal in session.scalars(query))


def accounts_of_points(
    session: Session, scope: Scope, codes: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Return the account number and payer behind metering points, where they are in reach."""
    query = (
        select(MeteringPointRow.code, AccountRow.number, AccountRow.payer_name)
        .join(AccountRow, AccountRow.premises_id == MeteringPointRow.premises_id)
        .where(MeteringPointRow.code.in_(sorted(set(codes))), _in_reach(scope))
        .order_by(AccountRow.opened_on)
    )
    return {code: (number, payer) for code, number, payer in session.execute(query)}


def plan_names(session: Session, language: Language) -> dict[str, str]:
    """Return what every plan is called, by its code."""
    russian = language is Language.RUSSIAN
    return {one.code: one.name if russian else one.name_en for one in tariffs_store.plans(session)}
