"""Use cases of dated facts: state them, withdraw them; a former statement is kept, never changed.

Every use case takes the day from which something holds, the document that says so and who acts.
The same statement again changes nothing; another one for the same day takes its place, and the
former stays readable as what was known then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.facts.store import stands
from billing.models import (
    AbsenceRow,
    AccountFactRow,
    AccountRow,
    AccountTermRow,
    EntitlementRow,
    FactKind,
    Measurement,
    Settlement,
)
from billing.store import account_in_reach
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from metering.models import PremisesAreaRow, PremisesRow
from tariffs.models import TariffPlanRow, TariffVersionRow

PERSONS_MOST = 99
WATTS_MOST = 1_000_000_000
AREA_MOST_DM2 = 10**8
TEXT_MOST = 200


@dataclass(frozen=True, slots=True)
class TermsOrder:
    """Terms that shall hold for an account from a day on."""

    account_id: AccountId
    valid_from: date
    plan_id: TariffPlanId
    settlement: Settlement
    measurement: Measurement
    actor: str = ""


@dataclass(frozen=True, slots=True)
class FactOrder:
    """A fact of an account from a day on, and the document that says so."""

    scope: Scope
    account_id: AccountId
    kind: FactKind
    valid_from: date
    value: int
    document: str = ""


@dataclass(frozen=True, slots=True)
class AreaOrder:
    """The area of the premises of an account from a day on, such as an extract of ЕГРН."""

    scope: Scope
    account_id: AccountId
    valid_from: date
    area_dm2: int
    document: str = ""


@dataclass(frozen=True, slots=True)
class AbsenceOrder:
    """Persons who were away; the days of leaving and coming back are not among them."""

    scope: Scope
    account_id: AccountId
    first_on: date
    last_on: date
    persons: int
    document: str


@dataclass(frozen=True, slots=True)
class EntitlementOrder:
    """A right to a concession of the tariff, by its code."""

    scope: Scope
    account_id: AccountId
    code: str
    valid_from: date
    document: str
    valid_until: date | None = None


def change_terms(session: Session, order: TermsOrder, clock: Clock) -> bool:
    """Let other terms hold for an account from a day on; say whether anything changed.

    The plan may change on any day; how an account settles and is measured, with a month only. The
    actor's right is judged by the caller: staff change terms, a resident chooses a plan.
    """
    account = session.get(AccountRow, order.account_id)
    if account is None:
        raise NotFound(what=mark("account"), name=str(order.account_id))
    _within_life(account, order.valid_from)
    plan = session.get(TariffPlanRow, order.plan_id)
    if plan is None:
        raise NotFound(what=mark("tariff plan"), name=str(order.plan_id))
    first = session.scalar(
        select(TariffVersionRow.valid_from)
        .where(TariffVersionRow.plan_id == plan.id)
        .order_by(TariffVersionRow.valid_from)
        .limit(1)
    )
    if first is None or first > order.valid_from:
        raise Invalid(
            where=mark("plan"),
            problem=mark("the plan %(plan)s has no version in force on %(day)s"),
            plan=plan.code,
            day=str(order.valid_from),
        )
    before = session.scalars(
        select(AccountTermRow)
        .where(
            AccountTermRow.account_id == order.account_id,
            AccountTermRow.valid_from < order.valid_from,
            stands(AccountTermRow, None),
        )
        .order_by(AccountTermRow.valid_from.desc())
        .limit(1)
    ).first()
    with_month = order.valid_from.day == 1 or order.valid_from == account.opened_on
    if not with_month and before is not None:
        for name, words in (
            ("settlement", mark("settlement")),
            ("measurement", mark("measurement")),
        ):
            if getattr(before, name) is not getattr(order, name):
                raise Invalid(
                    where=words,
                    problem=mark("it changes with the first day of a month, and %(day)s is none"),
                    day=str(order.valid_from),
                )
    return _state(
        session,
        AccountTermRow,
        {"account_id": order.account_id, "valid_from": order.valid_from},
        {
            "plan_id": order.plan_id,
            "settlement": order.settlement,
            "measurement": order.measurement,
        },
        {"actor": order.actor},
        clock.now(),
    )


def record_fact(session: Session, order: FactOrder, clock: Clock) -> bool:
    """State a fact of an account from a day on; say whether anything changed."""
    account = _account(session, order.scope, order.account_id)
    most = PERSONS_MOST if order.kind is FactKind.PERSONS else WATTS_MOST
    _between(mark("value"), order.value, 0, most)
    _short(order.document)
    _within_life(account, order.valid_from)
    return _state(
        session,
        AccountFactRow,
        {"account_id": account.id, "kind": order.kind, "valid_from": order.valid_from},
        {"value": order.value},
        {"document": order.document.strip(), "actor": order.scope.actor},
        clock.now(),
    )


def withdraw_fact(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    kind: FactKind,
    valid_from: date,
    clock: Clock,
) -> bool:
    """Withdraw what was stated from a day on; what was stated before it holds again."""
    account = _account(session, scope, account_id)
    return _withdraw(
        session,
        AccountFactRow,
        {"account_id": account.id, "kind": kind, "valid_from": valid_from},
        clock.now(),
    )


def record_area(session: Session, order: AreaOrder, clock: Clock) -> bool:
    """State the area of an account's premises from the first day of a month on.

    An extract of the register holds from the month it was handed in (ПП РФ 1176 of 29.08.2024):
    what is shared over a house by area is shared by whole months.
    """
    account = _account(session, order.scope, order.account_id)
    _between(mark("area"), order.area_dm2, 1, AREA_MOST_DM2)
    _short(order.document)
    if order.valid_from.day != 1:
        raise Invalid(
            where=mark("valid from"),
            problem=mark("%(day)s is not the first day of a month"),
            day=str(order.valid_from),
        )
    premises = session.get(PremisesRow, account.premises_id)
    assert premises is not None, "an account is of premises"
    return _state(
        session,
        PremisesAreaRow,
        {"premises_id": premises.id, "valid_from": order.valid_from},
        {"area_dm2": order.area_dm2},
        {"document": order.document.strip(), "actor": order.scope.actor},
        clock.now(),
    )


def record_absence(session: Session, order: AbsenceOrder, clock: Clock) -> bool:
    """Write an absence down; one that overlaps another is refused."""
    account = _account(session, order.scope, order.account_id)
    _between(mark("persons"), order.persons, 1, PERSONS_MOST)
    _documented(order.document)
    if order.last_on < order.first_on:
        raise Invalid(where=mark("absence"), problem=mark("it ends before it begins"))
    _within_life(account, order.first_on)
    overlapping = session.scalars(
        select(AbsenceRow).where(
            AbsenceRow.account_id == account.id,
            AbsenceRow.first_on <= order.last_on,
            AbsenceRow.last_on >= order.first_on,
            stands(AbsenceRow, None),
        )
    ).all()
    wanted = (order.first_on, order.last_on, order.persons)
    for row in overlapping:
        if (row.first_on, row.last_on, row.persons) == wanted:
            return False
        raise Invalid(
            where=mark("absence"),
            problem=mark("another one from %(first)s to %(last)s is written down already"),
            first=str(row.first_on),
            last=str(row.last_on),
        )
    session.add(
        AbsenceRow(
            account_id=account.id,
            first_on=order.first_on,
            last_on=order.last_on,
            persons=order.persons,
            document=order.document.strip(),
            actor=order.scope.actor,
            recorded_at=clock.now(),
        )
    )
    session.flush()
    return True


def withdraw_absence(
    session: Session, scope: Scope, account_id: AccountId, first_on: date, clock: Clock
) -> bool:
    """Withdraw the absence that begins on a day."""
    account = _account(session, scope, account_id)
    key = {"account_id": account.id, "first_on": first_on}
    return _withdraw(session, AbsenceRow, key, clock.now())


def grant_concession(session: Session, order: EntitlementOrder, clock: Clock) -> bool:
    """Give an account the right to a concession; another term of the same one takes its place."""
    account = _account(session, order.scope, order.account_id)
    _documented(order.document)
    code = order.code.strip()
    if not code or len(code) > TEXT_MOST:
        raise Invalid(where=mark("concession"), problem=mark("name the code of the tariff's one"))
    if order.valid_until is not None and order.valid_until < order.valid_from:
        raise Invalid(where=mark("concession"), problem=mark("it ends before it begins"))
    return _state(
        session,
        EntitlementRow,
        {"account_id": account.id, "code": code, "valid_from": order.valid_from},
        {"valid_until": order.valid_until},
        {"document": order.document.strip(), "actor": order.scope.actor},
        clock.now(),
    )


def withdraw_concession(
    session: Session, scope: Scope, account_id: AccountId, code: str, valid_from: date, clock: Clock
) -> bool:
    """Withdraw the right to a concession that was given from a day on."""
    account = _account(session, scope, account_id)
    key = {"account_id": account.id, "code": code, "valid_from": valid_from}
    return _withdraw(session, EntitlementRow, key, clock.now())


def _account(session: Session, scope: Scope, account_id: AccountId) -> AccountRow:
    scope.demand(Right.MANAGE_ACCOUNTS)
    account_in_reach(session, scope, account_id)
    # Two who state something of one account come one after the other.
    return session.scalars(
        select(AccountRow).where(AccountRow.id == account_id).with_for_update()
    ).one()


def _state(
    session: Session,
    table: Any,  # noqa: ANN401 - a mapped class
    key: dict[str, Any],
    said: dict[str, Any],
    told: dict[str, Any],
    now: datetime,
) -> bool:
    """Let a statement stand; the one of the same key that stood is kept as superseded."""
    standing = _standing(session, table, key)
    for row in standing:
        if all(getattr(row, name) == value for name, value in said.items()):
            return False
        row.superseded_at = now
    session.flush()
    session.add(table(**key, **said, **told, recorded_at=now))
    session.flush()
    return True


def _withdraw(session: Session, table: Any, key: dict[str, Any], now: datetime) -> bool:  # noqa: ANN401
    standing = _standing(session, table, key)
    for row in standing:
        row.superseded_at = now
    session.flush()
    return bool(standing)


def _standing(session: Session, table: Any, key: dict[str, Any]) -> Sequence[Any]:  # noqa: ANN401
    conditions = [getattr(table, name) == value for name, value in key.items()]
    return session.scalars(select(table).where(*conditions, stands(table, None))).all()


def _within_life(account: AccountRow, day: date) -> None:
    if day < account.opened_on:
        raise Invalid(
            where=mark("valid from"),
            problem=mark("the account was opened on %(day)s"),
            day=str(account.opened_on),
        )
    if account.closed_on is not None and day >= account.closed_on:
        raise Invalid(
            where=mark("valid from"),
            problem=mark("the account was closed on %(day)s"),
            day=str(account.closed_on),
        )


def _between(where: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Invalid(
            where=where,
            problem=mark("it lies between %(least)s and %(most)s, and %(value)s does not"),
            least=least,
            most=most,
            value=value,
        )


def _short(document: str) -> None:
    if len(document) > TEXT_MOST:
        raise Invalid(
            where=mark("document"), problem=mark("at most %(most)s characters"), most=TEXT_MOST
        )


def _documented(document: str) -> None:
    _short(document)
    if not document.strip():
        raise Invalid(where=mark("document"), problem=mark("name the document that says so"))
