"""Moving out, moving in, another payer: an account ends on a day and is settled to the kopeck.

What was used up to the day is charged, a reserve comes back, what cannot be taken along is lost by
its rule, and what is left goes where its owner wants it. The preview does all of it and takes it
back again: it cannot say anything else than what is done.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session

from billing import service as billing_service
from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.house import store as house_store
from billing.models import AccountRow, Measurement, Service
from billing.month.charging import INTERVALS_MISSING
from billing.month.service import rate_month
from billing.moves import store as moves_store
from billing.moves.moves import MoveOrder, Rest, Wish
from billing.moves.service import Moved, record_move
from billing.service import RunningOrder
from heating import store as heating_store
from kilokassa.app.closing import close_month
from kilokassa.app.final_statement import final_statement_of, issue_final_statement
from kilokassa.app.refunds import TransferOrder, transfer
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope, system_scope
from kilokassa.core.text import filled, mark
from metering import store as metering_store
from metering.registry.places import Commodity
from wallet import store as wallet_store
from wallet.ledger import BONUS_EXPENSE, Reason
from wallet.lots import LotKind
from wallet.payments.auto import service as auto_service
from wallet.payments.refunds import service as refund_service
from wallet.payments.refunds import store as refund_store
from wallet.payments.refunds.refund import AskOrder
from wallet.reserves import service as reserve_service
from wallet.reserves import store as reserve_store
from wallet.service import (
    ChargeBatch,
    ChargeOrder,
    TakeOrder,
    WithdrawOrder,
    charge_batch,
    take_all,
    withdraw_credit,
)

log = structlog.get_logger()

JOB_ACTOR: Final = "job:final"
"""Who settles: its keys are the same whoever presses the button, and however often."""

READING_ASKED: Final = mark("Meter %(serial)s: a reading of %(day)s is asked for.")
INTERVALS_ASKED: Final = mark("Some intervals before %(day)s have not come yet.")
SERVICES_LATER: Final = mark(
    "Heat and the services of the house are charged for whole months: the rest is settled once "
    "%(month)s is over."
)
NOT_SETTLED: Final = mark("It could not be settled: the journal of the program says why.")
NOT_PRICED: Final = mark("The electricity of %(month)s could not be priced yet.")


@dataclass(frozen=True, slots=True)
class ChargedService:
    """What is still charged for a service of a month."""

    month: Month
    service: Service
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What ending an account comes to."""

    account_id: AccountId
    account_number: str
    payer_name: str
    on: date
    before_minor: int
    """What is posted before anything is settled."""
    charges: tuple[ChargedService, ...]
    reserve_minor: int
    """What comes back from reserves, less what is taken back of their bonus."""
    clawed_back_minor: int
    bonus_lost_minor: int
    credit_withdrawn_minor: int
    transferred_minor: int
    refund_minor: int
    """What is held to be paid out."""
    after_minor: int
    """What is posted in the end; below zero it is a debt."""
    waits: tuple[str, ...]
    """Messages of the catalogue: why the last month cannot be settled yet."""

    @property
    def charged_minor(self) -> int:
        """What is still charged in all."""
        return sum(one.amount_minor for one in self.charges)

    @property
    def left_minor(self) -> int:
        """What stays with the account: neither paid out nor moved."""
        return self.after_minor - self.refund_minor


@dataclass(frozen=True, slots=True)
class MovePreview:
    """What a move will do."""

    ending: Ending | None
    next_number: str
    """Of the account that begins; empty where none does."""


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What a move did."""

    moved: Moved
    ending: Ending | None
    document_number: str
    """Of the final statement; empty where it waits, or nobody left."""

    @property
    def waits(self) -> tuple[str, ...]:
        """Why the final statement is not there yet."""
        return () if self.ending is None else self.ending.waits


class _TakenBack(Exception):
    """Ends the transaction of a preview."""


def preview_move(application: Application, scope: Scope, order: MoveOrder) -> MovePreview:
    """Return what a move would do, by doing it and taking it back; refusals are those of the move.

    Months that are over and not closed yet are charged by what is known now: what was not measured
    is estimated when they are closed.
    """
    found: list[MovePreview] = []
    with _taken_back(application) as session:
        moved = record_move(session, scope, order, application.clock)
        ending = None
        if moved.account_id is not None:
            wish = Wish(order.rest, order.refund_to, order.requisites, order.transfer_to)
            ending = _settle(
                session,
                moved.account_id,
                wish,
                scope.actor,
                application.settings.bonus_ends_with_account,
                application.clock,
            )
        number = "" if order.newcomer is None else order.newcomer.number
        found.append(MovePreview(ending, number))
    return found[0]


def move(application: Application, scope: Scope, order: MoveOrder) -> MoveReport:
    """Do a move, settle the account that ended and issue its final statement; repeat it at will.

    Where a reading is missing, or a whole month has to be over, the move stands and the settlement
    waits: `settle_ended` does it later.
    """
    with application.database.writing() as session:
        moved = record_move(session, scope, order, application.clock)
        if moved.account_id is not None:
            auto_service.stop_for_closed(session, moved.account_id, application.clock)
    if moved.account_id is None:
        return MoveReport(moved, None, "")
    ending, number = settle_account(application, moved.account_id)
    return MoveReport(moved, ending, number)


def settle_ended(
    application: Application, scope: Scope, *, account_number: str | None = None
) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Settle the accounts that have ended and wait; return number, document and what it waits for.

    A job does it daily; what is settled already is left alone, and one that is refused for now
    keeps nobody else waiting.
    """
    scope.demand(Right.MANAGE_ACCOUNTS)
    with application.database.reading() as session:
        ids = None
        if account_number is not None:
            row = billing_store.account_by_number(session, scope, account_number)
            ids = [AccountId(row.id)]
        waiting = [
            each
            for each in moves_store.ending_moves(session, ids)
            if each.account_id is not None and final_statement_of(session, each.account_id) is None
        ]
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for each in waiting:
        assert each.account_id is not None
        try:
            ending, number = settle_account(application, each.account_id)
        except DomainError as refusal:
            log.warning("account not settled", account=each.account_number, refused=str(refusal))
            found.append((each.account_number, "", (NOT_SETTLED,)))
            continue
        found.append((each.account_number, number, ending.waits if ending else ()))
    return tuple(found)


def settle_account(application: Application, account_id: AccountId) -> tuple[Ending | None, str]:
    """Settle one account that has ended; return what was done, and the final statement's number.

    Step by step, each harmless when repeated: months that are over are closed, the rest is posted,
    the last month is closed, the statement is issued.
    """
    database, clock = application.database, application.clock
    scope = system_scope(JOB_ACTOR)
    with database.reading() as session:
        known = final_statement_of(session, account_id)
        if known is not None:
            return None, known
        account = session.get_one(AccountRow, account_id)
        (moved,) = moves_store.ending_moves(session, [account_id])[-1:]
        zone = billing_store.retailer_zone(session)
        number = account.number
        months = _open_months(session, account)
    first = months[0] if months else _last_month(moved.on)
    now = clock.now()
    for month in months:
        if month.period(zone).end <= now:
            close_month(application, month, scope=scope, account_number=number)
    ends_bonus = application.settings.bonus_ends_with_account
    with _taken_back(application) as session:
        ending = _settle(session, account_id, moved.wish, moved.actor, ends_bonus, clock)
    if ending.waits:
        return ending, ""
    with database.writing() as session:
        ending = _settle(session, account_id, moved.wish, moved.actor, ends_bonus, clock)
    with database.reading() as session:
        left = _open_months(session, session.get_one(AccountRow, account_id))
    for month in left:
        close_month(application, month, scope=scope, account_number=number)
    with database.writing() as session:
        issued = issue_final_statement(session, moved, first, clock)
    return ending, issued.number


@contextmanager
def _taken_back(application: Application) -> Iterator[Session]:
    """Open a transaction whose effects are taken back in the end."""
    try:
        with application.database.writing() as session:
            yield session
            raise _TakenBack  # noqa: TRY301 - the one way to leave without a commit
    except _TakenBack:
        return


def _settle(
    session: Session, account_id: AccountId, wish: Wish, actor: str, ends_bonus: bool, clock: Clock
) -> Ending:
    """Post all that ending an account comes to; what was posted before is not posted again.

    Charges come first, so that a bonus pays before it ends; `actor` is the person who moves, since
    nothing but a person breaks a reserve.
    """
    account = session.get_one(AccountRow, account_id, populate_existing=True)
    on = account.closed_on
    assert on is not None, account_id
    zone = billing_store.retailer_zone(session)
    others = _other_wallets(session, account, wish)
    wallet_store.hold_wallets(session, [account_id, *others])
    before_minor = _posted(session, account_id, clock)
    charges, waits = _charge(session, account, on, zone, clock)
    reserve_minor, clawed_minor = _return_reserves(session, account, zone, actor, clock)
    credit_minor = _withdraw_credit(session, account, on, zone, clock)
    bonus_minor = 0
    if ends_bonus:
        bonus_minor = _end_bonuses(session, account, on, zone, clock)
    transferred_minor = refund_minor = 0
    if not waits:
        transferred_minor, refund_minor = _give_away(session, account, wish, clock)
    return Ending(
        account_id=account_id,
        account_number=account.number,
        payer_name=account.payer_name,
        on=on,
        before_minor=before_minor,
        charges=charges,
        reserve_minor=reserve_minor,
        clawed_back_minor=clawed_minor,
        bonus_lost_minor=bonus_minor,
        credit_withdrawn_minor=credit_minor,
        transferred_minor=transferred_minor,
        refund_minor=refund_minor,
        after_minor=_posted(session, account_id, clock),
        waits=waits,
    )


def _last_month(on: date) -> Month:
    return Month.of(on - timedelta(days=1))


def _open_months(session: Session, account: AccountRow) -> list[Month]:
    """Return the months of an ended account's stay that its wallet has not closed."""
    assert account.closed_on is not None
    account_id = AccountId(account.id)
    closed = wallet_store.closed_through(session, [account_id]).get(account_id)
    first = Month.of(account.opened_on) if closed is None else Month.from_ordinal(closed).plus(1)
    last = _last_month(account.closed_on)
    return [Month.from_ordinal(n) for n in range(first.ordinal, last.ordinal + 1)]


def _charge(
    session: Session, account: AccountRow, on: date, zone: ZoneInfo, clock: Clock
) -> tuple[tuple[ChargedService, ...], tuple[str, ...]]:
    """Take what the open months came to, each rated as its close will; say what is not known."""
    account_id, now = AccountId(account.id), clock.now()
    charges: list[ChargedService] = []
    waits: list[str] = []
    for month in _open_months(session, account):
        billed = billing_store.billed_accounts(session, [account_id], month)
        if not billed:
            continue
        rated = rate_month(session, billed, month)
        charge = rated.charges[account_id]
        if account_id in rated.refused:
            waits.append(filled(NOT_PRICED, month=str(month)))
        if month.period(zone).end > now:
            waits += _missing(session, billed[0], month, on, charge.warnings)
        running = billing_store.running_charges(session, [account_id], month)
        valid_at = min(now, month.period(zone).end, local_midnight(on, zone))
        parts, rows = [], []
        for service in Service:
            total_minor = charge.total_minor(service)
            row = running.get((account_id, str(service)))
            posted_minor = 0 if row is None else row.posted_minor
            if total_minor == posted_minor:
                continue
            parts.append((str(service), total_minor - posted_minor))
            charges.append(ChargedService(month, service, total_minor - posted_minor))
            rows.append(
                RunningOrder(account_id, month, service, valid_at, total_minor, charge.digest)
            )
        if parts:
            count = wallet_store.lock_wallets(session, [account_id])[account_id].entry_count
            order = ChargeOrder(
                account_id=account_id,
                parts=tuple(parts),
                charge_month=month,
                month=month,
                valid_at=valid_at,
                # What is posted rests with it: the key only has to differ each time.
                idempotency_key=f"final:{month}:{account_id}:{count}",
            )
            charge_batch(session, ChargeBatch([order], JOB_ACTOR, zone), clock)
            billing_service.record_running(session, rows, now)
    return tuple(charges), tuple(dict.fromkeys(waits))


def _missing(
    session: Session, account: BilledAccount, month: Month, on: date, warnings: Sequence[str]
) -> list[str]:
    """Return what a month that is not over needs before an account can be settled within it."""
    building_ids = {account.building_id}
    found = []
    if heating_store.heated_houses(session, building_ids, month.first_day) or (
        house_store.services_of(session, building_ids, month.first_day, on)
    ):
        found.append(filled(SERVICES_LATER, month=str(month)))
    if account.measurement is Measurement.INTERVALS:
        if INTERVALS_MISSING in warnings:
            found.append(filled(INTERVALS_ASKED, day=str(on)))
        return found
    meters = [
        meter
        for meter in metering_store.meters_of_premises(session, [account.premises_id])
        if meter.removed_on is None and meter.commodity is Commodity.ELECTRICITY
    ]
    day = local_midnight(on, account.zone)
    read = {
        one.meter_id
        for one in metering_store.load_registers(
            session,
            [meter.meter_id for meter in meters],
            first=day,
            last=day + timedelta(hours=24),
        )
        if local_date(one.taken_at, account.zone) == on
    }
    found += [
        filled(READING_ASKED, serial=meter.serial, day=str(on))
        for meter in meters
        if meter.meter_id not in read
    ]
    return found


def _withdraw_credit(
    session: Session, account: AccountRow, on: date, zone: ZoneInfo, clock: Clock
) -> int:
    """Take emergency credit back whole: what was used of it, other money pays, or it is owed."""
    account_id, now = AccountId(account.id), clock.now()
    wallet = wallet_store.lock_wallets(session, [account_id])[account_id]
    credit = next((lot for lot in wallet.lots if lot.number == wallet.credit_lot), None)
    if credit is None:
        return 0
    order = WithdrawOrder(
        account_id=account_id,
        why="account_ended",
        valid_at=min(local_midnight(on, zone), now),
        zone=zone,
        actor=JOB_ACTOR,
        idempotency_key=f"final:{account_id}:credit:{credit.number}",
    )
    withdraw_credit(session, order, clock)
    return credit.amount_minor


def _return_reserves(
    session: Session, account: AccountRow, zone: ZoneInfo, actor: str, clock: Clock
) -> tuple[int, int]:
    """Take reserves out whole, as their owner who moves asks; return what came and what it cost."""
    account_id, scope = AccountId(account.id), system_scope(actor)
    # A term that is over ends the reserve whole, its bonus earned, although no job has said so yet.
    returned_minor = reserve_service.pay_due_of(session, account_id, zone, clock).returned_minor
    clawed_minor = 0
    for signed in reserve_store.reserves_of(session, scope, account_id):
        if signed.kept_minor <= 0:
            continue
        done = reserve_service.take_out(
            session,
            scope,
            reserve_service.MoveOrder(
                account_id, signed.id, signed.kept_minor, zone, f"final:{account_id}:{signed.id}"
            ),
            clock,
        )
        returned_minor += signed.kept_minor - done.withheld_minor
        clawed_minor += done.clawed_back_minor
    return returned_minor, clawed_minor


def _end_bonuses(
    session: Session, account: AccountRow, on: date, zone: ZoneInfo, clock: Clock
) -> int:
    """Let what bonuses hold end with the account; return how much it was."""
    account_id, now = AccountId(account.id), clock.now()
    wallet = wallet_store.lock_wallets(session, [account_id])[account_id]
    by_rule: dict[str, int] = {}
    for lot in wallet.lots:
        if lot.kind is LotKind.BONUS and lot.alive_at(now) and lot.remaining_minor:
            by_rule[lot.rule] = by_rule.get(lot.rule, 0) + lot.remaining_minor
    orders = [
        TakeOrder(
            account_id=account_id,
            reason=Reason.EXPIRY,
            amount_minor=amount_minor,
            against=BONUS_EXPENSE,
            valid_at=min(local_midnight(on, zone), now),
            zone=zone,
            actor=JOB_ACTOR,
            # Nothing is left to take a second time: the key only has to differ each time.
            idempotency_key=f"final:{account_id}:bonus:{wallet.entry_count}:{number}",
            kinds=frozenset({LotKind.BONUS}),
            # By its rule, what pays one service alone ends as well.
            rule=rule,
            detail={"why": "account_ended", "rule": rule},
        )
        for number, (rule, amount_minor) in enumerate(sorted(by_rule.items()), start=1)
    ]
    if orders:
        take_all(session, orders, clock)
    return sum(by_rule.values())


def _give_away(session: Session, account: AccountRow, wish: Wish, clock: Clock) -> tuple[int, int]:
    """Move or hold what is left, as its owner wants it; return what was moved and what is held."""
    account_id, scope = AccountId(account.id), system_scope(JOB_ACTOR)
    _lower_refunds(session, account_id, clock)
    free_minor = _refundable(session, account_id, clock)
    transferred_minor = 0
    if wish.rest is Rest.TRANSFER and free_minor > 0:
        count = wallet_store.lock_wallets(session, [account_id])[account_id].entry_count
        order = TransferOrder(
            account.number,
            wish.transfer_to,
            free_minor,
            f"final:{account_id}:{count}",
            why="account_ended",
        )
        moved = transfer(session, scope, order, clock, most_minor=free_minor)
        transferred_minor = moved.amount_minor
    if wish.rest is Rest.REFUND:
        asked = [("", free_minor)] if free_minor > 0 else []
        asked += [
            (payer, _refundable(session, account_id, clock, payer))
            for payer in refund_store.advances(session, account_id)
        ]
        count = wallet_store.lock_wallets(session, [account_id])[account_id].entry_count
        for number, (payer, most_minor) in enumerate(asked):
            minor = min(most_minor, _refundable(session, account_id, clock, payer))
            if minor <= 0:
                continue
            refund = AskOrder(
                account_id,
                minor,
                payer or wish.refund_to or account.payer_name,
                "" if payer else wish.requisites,
                # What is held is not asked for again: the key only has to differ each time.
                f"final:{account_id}:{count}:{number}",
                why="account_ended",
                advance_of=payer,
            )
            refund_service.ask_refund(session, scope, refund, clock, most_minor=minor)
    held_minor = sum(
        one.amount_minor
        for one in refund_store.refunds(session, scope, account_id=account_id, limit=None)
        if one.state == "asked"
    )
    return transferred_minor, held_minor


def _refundable(session: Session, account_id: AccountId, clock: Clock, advance_of: str = "") -> int:
    """Return what may go back of one's money, beside whatever the account still owes.

    Below zero it is by how much what was asked back before is too much.
    """
    now = clock.now()
    balance = wallet_store.balances(session, [account_id], now)[account_id]
    return min(
        refund_store.refundable_minor(session, account_id, now, advance_of=advance_of),
        balance.available_minor
        - balance.credit_minor
        - balance.opening_debt_minor
        - (0 if advance_of else balance.restricted_minor),
    )


def _lower_refunds(session: Session, account_id: AccountId, clock: Clock) -> None:
    """Promise of what was asked back before only what the last days have left, the newest first."""
    scope = system_scope(JOB_ACTOR)
    for one in refund_store.refunds(session, scope, account_id=account_id, limit=None):
        payer = one.to_whom if one.advance else ""
        over_minor = -_refundable(session, account_id, clock, payer)
        if one.state != "asked" or over_minor <= 0:
            continue
        refund_service.drop_refund(session, scope, one.id, clock, why="account_ended")
        if one.amount_minor > over_minor:
            lowered = AskOrder(
                account_id,
                one.amount_minor - over_minor,
                one.to_whom,
                one.requisites,
                f"final:{account_id}:instead:{one.id}",
                why=one.why,
                advance_of=payer,
            )
            refund_service.ask_refund(session, scope, lowered, clock)


def _other_wallets(session: Session, account: AccountRow, wish: Wish) -> list[AccountId]:
    if wish.rest is not Rest.TRANSFER:
        return []
    scope = system_scope(JOB_ACTOR)
    target = billing_store.account_by_number(session, scope, wish.transfer_to)
    return [AccountId(target.id)]


def _posted(session: Session, account_id: AccountId, clock: Clock) -> int:
    return wallet_store.balances(session, [account_id], clock.now())[account_id].posted_minor
