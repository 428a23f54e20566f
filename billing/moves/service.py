"""Use cases of moves: an account ends on a day, another begins; nothing is charged here."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import AccountOrder
from billing.facts.store import standing_term_rows
from billing.models import AccountMoveRow, AccountRow, AccountTermRow, Measurement, Settlement
from billing.moves import store
from billing.moves.moves import (
    TEXT_MAX,
    AlreadyEnded,
    MoveOrder,
    Newcomer,
    NumberTaken,
    PremisesTaken,
)
from billing.service import open_accounts
from billing.store import account_by_number, accounts_by_numbers, retailer_zone
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId, PremisesId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import building_in_scope
from metering.models import BuildingRow, PremisesRow
from tariffs.models import TariffPlanRow
from wallet.service import open_wallets
from wallet.store import closed_through

PERSONS_MAX = 100


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did."""

    id: int
    repeated: bool
    account_id: AccountId | None
    """Of the account that ended."""
    next_account_id: AccountId | None


def record_move(session: Session, scope: Scope, order: MoveOrder, clock: Clock) -> Moved:
    """Let an account end, another begin, or both; the same key and request again changes nothing.

    The caller settles what has ended (`kilokassa.app.moving`).
    """
    scope.demand(Right.MANAGE_ACCOUNTS)
    _refuse_texts(order)
    known = store.move_of_key(session, scope.actor, order.idempotency_key)
    if known is not None:
        if known.request != order.text:
            raise RequestConflict(key=order.idempotency_key)
        former, following = known.account_id, known.next_account_id
        return Moved(
            known.id,
            True,
            None if former is None else AccountId(former),
            None if following is None else AccountId(following),
        )
    today = local_date(clock.now(), retailer_zone(session))
    if order.on > today:
        problem = mark("%(day)s is still to come: a move is recorded when it has happened")
        raise Invalid(where=mark("day of the move"), problem=problem, day=str(order.on))
    ended = _end(session, scope, order) if order.account_number else None
    following = _begin(session, scope, order, ended, clock) if order.newcomer else None
    row = AccountMoveRow(
        kind=order.kind,
        on=order.on,
        account_id=None if ended is None else ended.id,
        next_account_id=following,
        request=order.text,
        note=order.note,
        actor=scope.actor,
        idempotency_key=order.idempotency_key,
        recorded_at=clock.now(),
    )
    session.add(row)
    session.flush()
    return Moved(row.id, False, None if ended is None else AccountId(ended.id), following)


def _refuse_texts(order: MoveOrder) -> None:
    newcomer = order.newcomer
    texts = {
        mark("note"): order.note,
        mark("requisites"): order.requisites,
        mark("who gets the refund"): order.refund_to,
        mark("idempotency key"): order.idempotency_key,
    }
    if newcomer is not None:
        texts |= {
            mark("payer"): newcomer.payer_name,
            mark("account number"): newcomer.number,
            mark("e-mail"): newcomer.email,
            mark("phone"): newcomer.phone,
        }
    for where, text in texts.items():
        if len(text) > TEXT_MAX:
            problem = mark("it is longer than %(most)s characters")
            raise Invalid(where=where, problem=problem, most=TEXT_MAX)
        if any(not c.isprintable() for c in text):
            raise Invalid(where=where, problem=mark("it holds characters that are no text"))
    if newcomer is not None:
        if not newcomer.payer_name.strip():
            raise Invalid(where=mark("payer"), problem=mark("name who pays"))
        if not newcomer.number.strip() or newcomer.number != newcomer.number.strip():
            raise Invalid(where=mark("account number"), problem=mark("an account has a number"))
        if not 0 <= newcomer.persons <= PERSONS_MAX:
            raise Invalid(
                where=mark("registered persons"),
                problem=mark("%(value)s is not between 0 and %(most)s"),
                value=newcomer.persons,
                most=PERSONS_MAX,
            )


def _end(session: Session, scope: Scope, order: MoveOrder) -> AccountRow:
    found = account_by_number(session, scope, order.account_number)
    row = session.scalars(
        select(AccountRow)
        .where(AccountRow.id == found.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if row.closed_on is not None:
        raise AlreadyEnded(account=row.number, day=str(row.closed_on))
    _refuse_day(session, row, order.on)
    row.closed_on = order.on
    session.flush()
    return row


def _refuse_day(session: Session, row: AccountRow, on: date) -> None:
    where = mark("day of the move")
    if on <= row.opened_on:
        problem = mark("%(day)s is not after the account was opened, on %(opened)s")
        raise Invalid(where=where, problem=problem, day=str(on), opened=str(row.opened_on))
    closed = closed_through(session, [AccountId(row.id)]).get(AccountId(row.id))
    if closed is not None and on < Month.from_ordinal(closed).plus(1).first_day:
        raise Invalid(
            where=where,
            problem=mark("%(month)s is closed already: the account may end on %(day)s or later"),
            month=str(Month.from_ordinal(closed)),
            day=str(Month.from_ordinal(closed).plus(1).first_day),
        )


def _begin(
    session: Session, scope: Scope, order: MoveOrder, former: AccountRow | None, clock: Clock
) -> AccountId:
    newcomer = order.newcomer
    assert newcomer is not None, order
    premises_id = former.premises_id if former else _premises(session, scope, order)
    for other in store.open_at(session, premises_id, order.on):
        raise PremisesTaken(account=other.number)
    if newcomer.number in accounts_by_numbers(session, [newcomer.number]):
        raise NumberTaken(account=newcomer.number)
    terms = _terms(session, former, newcomer)
    opened = open_accounts(
        session,
        [
            AccountOrder(
                number=newcomer.number,
                payer_name=newcomer.payer_name.strip(),
                premises_id=PremisesId(premises_id),
                persons=newcomer.persons,
                opened_on=order.on,
                plan_code=terms[0],
                settlement=terms[1],
                measurement=terms[2],
                email=newcomer.email,
                phone=newcomer.phone,
                language=newcomer.language,
            )
        ],
        clock,
    )
    account_id = opened.ids[newcomer.number]
    open_wallets(session, [account_id], clock)
    return account_id


def _terms(
    session: Session, former: AccountRow | None, newcomer: Newcomer
) -> tuple[str, Settlement, Measurement]:
    """Return plan, settlement, measurement: as asked for, else as the former account had them."""
    last: AccountTermRow | None = None
    if former is not None:
        rows = standing_term_rows(session, AccountId(former.id))
        last = max(rows, key=lambda row: row.valid_from)
    plan_code = newcomer.plan_code
    if not plan_code and last is not None:
        plan_code = session.get_one(TariffPlanRow, last.plan_id).code
    settlement = newcomer.settlement or (last.settlement if last else None)
    measurement = newcomer.measurement or (last.measurement if last else None)
    if not plan_code or settlement is None or measurement is None:
        problem = mark("name the plan, how it is settled and how it is metered")
        raise Invalid(where=mark("terms"), problem=problem)
    return plan_code, settlement, measurement


def _premises(session: Session, scope: Scope, order: MoveOrder) -> int:
    query = (
        select(PremisesRow)
        .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
        .where(
            BuildingRow.code == order.building_code,
            PremisesRow.number == order.premises_number,
            building_in_scope(BuildingRow.__table__.c.id, scope),
        )
        .with_for_update()
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        name = f"{order.building_code} / {order.premises_number}"
        raise NotFound(what=mark("premises"), name=name)
    return row.id
