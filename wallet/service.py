"""Use cases of the wallet: open, top up, charge, give back, expire, reverse, verify, seal."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json, digest_parts, digest_value
from kilokassa.core.errors import DomainError, Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId, JournalEntryId, LotId, WalletId
from kilokassa.core.text import mark
from wallet import store
from wallet.audit import LedgerFault as LedgerFault  # what `verify` yields
from wallet.audit import audit_wallet
from wallet.book import WHOLE_SHARE, Facts, Held, Wallet
from wallet.ledger import (
    BONUS_EXPENSE,
    EMERGENCY_CREDITS,
    OPENING,
    OPENING_DEBT,
    WALLET,
    Reason,
    cash,
    expense_of,
    from_wallet,
    revenue,
    seal_part,
    signed,
    to_wallet,
)
from wallet.lots import OWN_POLICY, Draw, GracePolicy, Lot, LotKind, spendable_minor
from wallet.models import DailySealRow, JournalEntryRow, LedgerAccountRow, WalletRow
from wallet.topups import MOST_MINOR, BonusRule, NotAnAmount, TooLarge, bonus_for

WALLETS_A_LOOK: Final = 1_000
ENTRIES_A_LOOK: Final = 10_000
"""How much `verify` looks at together: memory does not grow with the ledger."""

HELD_KINDS: Final = frozenset({LotKind.OWN, LotKind.RETURNED, LotKind.ADVANCE})
"""Money is held only in lots of these kinds: what of the others is taken, no hold forbids."""

OWN_KEYS: Final = ("bonus:", "opening:", "expire:", "grace:")
"""How the keys begin that the wallet makes itself; nobody else's may."""

SYSTEM: Final = "system"
"""Who does what no person or job asked for."""


class MonthSkipped(DomainError):
    """A month cannot be closed while an earlier one of the wallet is open."""

    code = "month_skipped"
    template = "Account %(account)s: close %(month)s first."


class CreditOpen(DomainError):
    """Another emergency credit while one is open."""

    code = "credit_open"
    template = "Account %(account)s has an emergency credit already: withdraw it first."


class NoCredit(DomainError):
    """A credit to withdraw where none is open."""

    code = "no_credit"
    template = "Account %(account)s has no emergency credit."


class AlreadyReversed(DomainError):
    """An entry that was taken back by another request."""

    code = "already_reversed"
    template = "Operation %(sequence)s of account %(account)s was already reversed."


@dataclass(frozen=True, slots=True)
class TopUpOrder:
    """Money that came in for an account."""

    account_id: AccountId
    amount_minor: int
    tender: str
    valid_at: datetime
    zone: ZoneInfo
    actor: str
    idempotency_key: str
    external_reference: str = ""
    bonus_rules: tuple[BonusRule, ...] = ()
    opening_share: int = WHOLE_SHARE
    """The largest share of it, in basis points, that repays what was owed before the wallet."""

    def digest(self) -> str:
        """Return the digest of what is asked: not of when it was asked, nor of the rules."""
        return digest_value(
            {
                "account": self.account_id,
                "amount": self.amount_minor,
                "tender": self.tender,
                "reference": self.external_reference,
            }
        )


@dataclass(frozen=True, slots=True)
class TopUpResult:
    """What became of a top-up."""

    entry_id: JournalEntryId
    repeated: bool
    amount_minor: int
    covered_debt_minor: int
    bonus_minor: int
    bonus_rule: str
    balance_minor: int
    opening_repaid_minor: int = 0
    """Of what it covered, what was owed before the wallet."""


@dataclass(frozen=True, slots=True)
class OpeningOrder:
    """What an account brings along: a debt or an advance, at most one of the two."""

    account_id: AccountId
    debt_minor: int
    advance_minor: int
    valid_at: datetime
    zone: ZoneInfo
    actor: str


class NotEnough(DomainError):
    """Money asked for that the lots it may come from do not hold."""

    code = "not_enough"
    template = "Account %(account)s: %(free)s kopecks can be taken, not %(asked)s."


@dataclass(frozen=True, slots=True)
class PutOrder:
    """A lot to come in: value of any kind, against an account of the house."""

    account_id: AccountId
    reason: Reason
    kind: LotKind
    amount_minor: int
    against: str
    """Code of the house's ledger account."""
    valid_at: datetime
    zone: ZoneInfo
    actor: str
    idempotency_key: str
    expires_at: datetime | None = None
    rule: str = ""
    service: str = ""
    payer: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)

    def digest(self) -> str:
        """Return the digest of what is asked."""
        return digest_value(
            {
                "account": self.account_id,
                "reason": self.reason,
                "kind": self.kind,
                "amount": self.amount_minor,
                "against": self.against,
                "rule": self.rule,
                "service": self.service,
                "payer": self.payer,
            }
        )


@dataclass(frozen=True, slots=True)
class TakeOrder:
    """Money to leave a wallet, for an account of the house."""

    account_id: AccountId
    reason: Reason
    amount_minor: int
    against: str
    """Code of the house's ledger account."""
    valid_at: datetime
    zone: ZoneInfo
    actor: str
    idempotency_key: str
    kinds: frozenset[LotKind] | None = None
    """Only from lots of these kinds; None: from any."""
    rule: str | None = None
    """Only from lots that bear this rule."""
    payer: str | None = None
    """Only from lots that this person paid: an advance goes back to whoever paid it."""
    pays_hold: int | None = None
    """The hold that it is the posting of: the hold is released by it."""
    may_owe: bool = False
    """Whether what the lots cannot pay is owed; else it is refused."""
    charge_month: Month | None = None
    detail: Mapping[str, object] = field(default_factory=dict)

    def digest(self) -> str:
        """Return the digest of what is asked."""
        return digest_value(
            {
                "account": self.account_id,
                "reason": self.reason,
                "amount": self.amount_minor,
                "against": self.against,
                "kinds": None if self.kinds is None else sorted(self.kinds),
                "rule": self.rule,
                "payer": self.payer,
                "month": None if self.charge_month is None else self.charge_month.ordinal,
            }
        )

    def may_draw(self, lot: Lot) -> bool:
        """Say whether the money may come from the lot."""
        return (
            (self.kinds is None or lot.kind in self.kinds)
            and (self.payer is None or lot.payer == self.payer)
            and (self.rule is None or lot.rule == self.rule)
            # What is restricted to a service pays nothing else, unless that very lot is meant.
            and not (lot.service and self.rule is None and self.payer is None)
        )

    def may_meet(self, held: Held) -> bool:
        """Say whether what is held may be in the lots that the money may come from."""
        if held.payer:
            return self.payer == held.payer or (
                self.payer is None and (self.kinds is None or LotKind.ADVANCE in self.kinds)
            )
        return self.payer is None


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of money put in or taken."""

    entry_id: JournalEntryId
    repeated: bool
    balance_minor: int
    lot_id: LotId | None = None
    covered_minor: int = 0
    """Of what came in, what covered something owed."""


@dataclass(frozen=True, slots=True)
class ChargeOrder:
    """Signed amounts by service for one account; negative ones give value back."""

    account_id: AccountId
    parts: tuple[tuple[str, int], ...]
    charge_month: Month
    month: Month
    """The local month in which the charge is booked, unless that one is closed."""
    valid_at: datetime
    idempotency_key: str
    reason: Reason = Reason.CHARGE

    def services(self) -> dict[str, int]:
        """Return the amount that each service takes, or gives back: the sign of the total's."""
        sign = 1 if self.total_minor >= 0 else -1
        found: dict[str, int] = {}
        for service, amount in self.parts:
            found[service] = found.get(service, 0) + sign * amount
        return {service: amount for service, amount in found.items() if amount > 0}

    @property
    def total_minor(self) -> int:
        """What all services come to."""
        return sum([amount for _, amount in self.parts])

    def digest(self) -> str:
        """Return the digest of what is asked."""
        parts = "|".join(f"{service}={amount}" for service, amount in self.parts)
        return f"{self.account_id}|{self.charge_month}|{self.reason}|{parts}"


@dataclass(frozen=True, slots=True)
class ChargeBatch:
    """Charges of many accounts, written together; `close_month` also closes that month."""

    orders: Sequence[ChargeOrder]
    actor: str
    zone: ZoneInfo
    close_month: Month | None = None
    grace: GracePolicy = OWN_POLICY


@dataclass(frozen=True, slots=True)
class StatementMovement:
    """One entry as the statement of the closed month shows it."""

    reason: Reason
    valid_at: datetime
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ChargeResult:
    """What became of one order; the statement's figures where a month was closed."""

    account_id: AccountId
    entry_id: JournalEntryId | None
    repeated: bool
    """True where the key was known or the month closed: nothing was done."""
    balance_minor: int
    opening_minor: int = 0
    movements: tuple[StatementMovement, ...] = ()
    closing_minor: int = 0
    bonus_minor: int = 0
    """Of the balance, what bonus lots hold."""


def open_wallets(
    session: Session, account_ids: Sequence[AccountId], clock: Clock
) -> dict[AccountId, WalletId]:
    """Open a wallet for each account that has none."""
    known = store.wallet_ids(session, account_ids)
    missing = sorted(set(account_ids) - set(known))
    if missing:
        now = clock.now()
        fixed = {
            "currency": "RUB",
            "lots_minor": 0,
            "uncovered_minor": 0,
            "entry_count": 0,
            "head_digest": "",
            "opened_at": now,
        }
        rows: list[dict[str, Any]] = [{"account_id": a} | fixed for a in missing]
        store.insert_new(session, WalletRow.__table__, rows)  # type: ignore[arg-type]
        fresh = store.wallet_ids(session, missing)
        ledgers: list[dict[str, Any]] = [
            {"code": f"{WALLET}:{account_id}", "wallet_id": wallet_id, "currency": "RUB"}
            for account_id, wallet_id in sorted(fresh.items())
        ]
        store.insert_new(session, LedgerAccountRow.__table__, ledgers)  # type: ignore[arg-type]
        known |= fresh
    return known


def top_up(session: Session, order: TopUpOrder, clock: Clock) -> TopUpResult:
    """Take in money once: cover what is owed, keep the rest as a lot, grant the bonus it earns."""
    if order.amount_minor <= 0:
        raise NotAnAmount(account=order.account_id, amount=order.amount_minor)
    if order.amount_minor > MOST_MINOR:
        raise TooLarge(account=order.account_id, amount=order.amount_minor)
    _refuse_own_key(order.idempotency_key)
    wallet = _locked(session, [order.account_id])[order.account_id]
    known = store.answers(session, order.actor, [order.idempotency_key]).get(order.idempotency_key)
    if known is not None:
        if known.request_digest != order.digest():
            raise RequestConflict(key=order.idempotency_key)
        return _answered(known.entry_id, order.amount_minor, json.loads(known.detail))
    now = clock.now()
    _expire_due(wallet, now, order.zone)
    bonus = bonus_for(order.amount_minor, order.bonus_rules, local_date(order.valid_at, order.zone))
    new_minor, opening_minor = wallet.covered_by(order.amount_minor, order.opening_share)
    answer = {
        "tender": order.tender,
        "reference": order.external_reference,
        "covered": new_minor + opening_minor,
        "bonus": bonus.amount_minor if bonus else 0,
        "rule": bonus.rule if bonus else "",
        "balance": wallet.posted_minor + order.amount_minor + (bonus.amount_minor if bonus else 0),
    }
    facts = Facts(
        reason=Reason.TOP_UP,
        valid_at=order.valid_at,
        recorded_at=now,
        month=Month.of(local_date(order.valid_at, order.zone)).ordinal,
        actor=order.actor,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest(),
        detail=canonical_json(answer),
    )
    if opening_minor:
        answer[OPENING_DEBT] = -opening_minor  # as the entry will say it
    place = len(wallet.entries)
    posting = to_wallet(cash(order.tender), order.amount_minor)
    wallet.put(order.amount_minor, (posting,), facts, opening_share=order.opening_share)
    if bonus:
        wallet.put(
            bonus.amount_minor,
            (to_wallet(BONUS_EXPENSE, bonus.amount_minor),),
            replace(
                facts,
                reason=Reason.BONUS,
                idempotency_key=f"bonus:{order.idempotency_key}",
                detail=canonical_json({"rule": bonus.rule}),
            ),
            kind=LotKind.BONUS,
            expires_at=order.valid_at + timedelta(days=bonus.expires_after_days),
            rule=bonus.rule,
        )
    entry_id = _written(session, wallet, place, order.idempotency_key)
    return _answered(entry_id, order.amount_minor, answer, repeated=False)


def put(session: Session, order: PutOrder, clock: Clock) -> Moved:
    """Let value come into a wallet as a lot of its own, once; it first covers what is owed."""
    return put_all(session, [order], clock)[0]


def put_all(session: Session, orders: Sequence[PutOrder], clock: Clock) -> tuple[Moved, ...]:
    """Let value come into many wallets, each order once, in a handful of statements."""
    return _move_all(session, orders, _put_in, clock)


def take(session: Session, order: TakeOrder, clock: Clock) -> Moved:
    """Take money from a wallet, once; refuse it where the lots do not hold as much."""
    return take_all(session, [order], clock)[0]


def take_all(session: Session, orders: Sequence[TakeOrder], clock: Clock) -> tuple[Moved, ...]:
    """Take money from many wallets, each order once, in a handful of statements."""
    asking = any(not order.may_owe for order in orders)
    return _move_all(session, orders, _take_out, clock, asking=asking)


@dataclass(frozen=True, slots=True)
class WithdrawOrder:
    """An emergency credit to take back."""

    account_id: AccountId
    valid_at: datetime
    zone: ZoneInfo
    actor: str
    idempotency_key: str
    why: str = ""

    def digest(self) -> str:
        """Return the digest of what is asked."""
        return digest_value({"account": self.account_id, "withdraw": "credit", "why": self.why})


def withdraw_credit(session: Session, order: WithdrawOrder, clock: Clock) -> Moved:
    """Take the open emergency credit back whole; what was used of it, other lots pay or is owed."""
    _refuse_own_key(order.idempotency_key)
    wallet = _locked(session, [order.account_id])[order.account_id]
    known = store.answers(session, order.actor, [order.idempotency_key]).get(order.idempotency_key)
    if known is not None:
        if known.request_digest != order.digest():
            raise RequestConflict(key=order.idempotency_key)
        return Moved(known.entry_id, True, json.loads(known.detail)["balance"])
    now = clock.now()
    _expire_due(wallet, now, order.zone)
    credit = next((lot for lot in wallet.lots if lot.number == wallet.credit_lot), None)
    if credit is None:
        raise NoCredit(account=order.account_id)
    balance_minor = wallet.posted_minor - credit.amount_minor
    answer = {
        "balance": balance_minor,
        "reverses": store.sequence_of_lot(session, credit.id),
        "used": credit.amount_minor - credit.remaining_minor,
        "why": order.why,
    }
    facts = Facts(
        reason=Reason.CREDIT_WITHDRAWN,
        valid_at=order.valid_at,
        recorded_at=now,
        month=Month.of(local_date(order.valid_at, order.zone)).ordinal,
        actor=order.actor,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest(),
        detail=canonical_json(answer),
    )
    place = len(wallet.entries)
    posting = from_wallet(EMERGENCY_CREDITS, credit.amount_minor)
    wallet.take_back(credit.id, credit.amount_minor, (posting,), facts)
    entry_id = _written(session, wallet, place, order.idempotency_key)
    return Moved(entry_id, False, balance_minor)


def post_opening(session: Session, orders: Sequence[OpeningOrder], clock: Clock) -> int:
    """Post what accounts bring along, once each; return how many were posted now."""
    wallets = _locked(session, [order.account_id for order in orders])
    now = clock.now()
    posted = 0
    by_actor: dict[str, list[OpeningOrder]] = {}
    for order in orders:
        by_actor.setdefault(order.actor, []).append(order)
    for actor, theirs in by_actor.items():
        known = store.answers(session, actor, [f"opening:{o.account_id}" for o in theirs])
        for order in theirs:
            amount_minor = order.advance_minor - order.debt_minor
            key = f"opening:{order.account_id}"
            if key in known:
                if known[key].request_digest != str(amount_minor):
                    raise RequestConflict(key=key)
                continue
            if not amount_minor:
                continue
            wallet = wallets[order.account_id]
            _expire_due(wallet, now, order.zone)
            facts = Facts(
                reason=Reason.OPENING_DEBT if amount_minor < 0 else Reason.OPENING_ADVANCE,
                valid_at=order.valid_at,
                recorded_at=now,
                month=Month.of(local_date(order.valid_at, order.zone)).ordinal,
                actor=actor,
                idempotency_key=key,
                request_digest=str(amount_minor),
            )
            if amount_minor < 0:
                posting = from_wallet(OPENING, -amount_minor)
                wallet.take(-amount_minor, (posting,), facts, before_wallet=True)
            else:
                posting = to_wallet(OPENING, amount_minor)
                wallet.put(amount_minor, (posting,), facts, opening_share=WHOLE_SHARE)
            posted += 1
    store.write(session, list(wallets.values()))
    return posted


def charge_batch(session: Session, batch: ChargeBatch, clock: Clock) -> tuple[ChargeResult, ...]:
    """Charge many accounts, each once, in a handful of statements; close their month if asked to.

    An account whose month is closed already, or whose key is known, is left alone and said to be.
    """
    wallets = _locked(session, [order.account_id for order in batch.orders])
    known = store.answers(session, batch.actor, [o.idempotency_key for o in batch.orders])
    now = clock.now()
    closing = None if batch.close_month is None else batch.close_month.ordinal
    closed: dict[AccountId, Wallet] = {}
    fresh: dict[str, ChargeOrder] = {}
    for order in batch.orders:
        wallet = wallets[order.account_id]
        if closing is not None:
            if wallet.closed_through_month is not None and wallet.closed_through_month >= closing:
                continue
            _refuse_skipped(wallet, closing)
            closed[wallet.account_id] = wallet
        if not _is_repeated(order, known, fresh):
            fresh[order.idempotency_key] = order
    worked = {order.account_id: wallets[order.account_id] for order in fresh.values()} | closed
    for wallet in worked.values():
        _expire_due(wallet, now, batch.zone)
    gaining = {o.account_id: wallets[o.account_id] for o in fresh.values() if o.total_minor < 0}
    store.load_paid(session, list(gaining.values()))
    places: dict[str, int] = {}
    for key, order in fresh.items():
        if any(amount for _, amount in order.parts):
            places[key] = len(wallets[order.account_id].entries)
            _charge(wallets[order.account_id], order, batch, now)
    before = (
        {}
        if closing is None
        else store.entries_from(session, [wallet.id for wallet in closed.values()], closing)
    )
    written = store.write(session, list(worked.values()))
    if closing is not None:
        store.close_through(session, list(closed.values()), closing)
    results = []
    unseen = set(fresh)
    for order in batch.orders:
        wallet, key = wallets[order.account_id], order.idempotency_key
        entry_id = known[key].entry_id if key in known else None
        if key in places:
            entry_id = written[order.account_id].entry_ids[places[key]]
        if order.account_id in closed and closing is not None:
            earlier = before.get(wallet.id, [])
            results.append(_statement(order, wallet, entry_id, closing, earlier))
        else:
            results.append(
                ChargeResult(order.account_id, entry_id, key not in unseen, wallet.posted_minor)
            )
        unseen.discard(key)
    return tuple(results)


def expire_lots(
    session: Session, account_ids: Sequence[AccountId], zone: ZoneInfo, clock: Clock
) -> int:
    """Post what is left of lots that have expired, once each; return how many there were."""
    wallets = _locked(session, account_ids)
    now = clock.now()
    count = sum(_expire_due(wallet, now, zone) for wallet in wallets.values())
    store.write(session, list(wallets.values()))
    return count


@dataclass(frozen=True, slots=True)
class ReverseOrder:
    """A top-up to take back, and why; its bonus goes with it."""

    account_id: AccountId
    entry_id: JournalEntryId
    why: str
    valid_at: datetime
    zone: ZoneInfo
    actor: str
    idempotency_key: str


def reverse_top_up(session: Session, order: ReverseOrder, clock: Clock) -> JournalEntryId:
    """Take a top-up back by an entry; what was spent of it, other lots pay or nobody does."""
    _refuse_own_key(order.idempotency_key)
    wallet = _locked(session, [order.account_id])[order.account_id]
    known = store.answers(session, order.actor, [order.idempotency_key]).get(order.idempotency_key)
    request = digest_value({"entry": order.entry_id, "why": order.why})
    if known is not None:
        if known.request_digest != request:
            raise RequestConflict(key=order.idempotency_key)
        return known.entry_id
    entry = session.get(JournalEntryRow, order.entry_id)
    if entry is None or entry.wallet_id != wallet.id or entry.reason is not Reason.TOP_UP:
        raise NotFound(what=mark("top-up"), name=str(order.entry_id))
    if entry.sequence in store.reversals(session, wallet.id):
        raise AlreadyReversed(account=order.account_id, sequence=entry.sequence)
    now = clock.now()
    _expire_due(wallet, now, order.zone)
    facts = Facts(
        reason=Reason.REVERSAL,
        valid_at=order.valid_at,
        recorded_at=now,
        month=Month.of(local_date(order.valid_at, order.zone)).ordinal,
        actor=order.actor,
        idempotency_key=order.idempotency_key,
        request_digest=request,
        detail=canonical_json({"reverses": entry.sequence, "why": order.why}),
    )
    _take_bonus_back(session, wallet, entry, facts)
    place = len(wallet.entries)
    lot_id, _ = store.lot_of_entry(session, entry.id)
    tender = json.loads(entry.detail)["tender"]
    posting = from_wallet(cash(tender), entry.amount_minor)
    repaid_minor = -json.loads(entry.detail).get(OPENING_DEBT, 0)
    wallet.take_back(lot_id, entry.amount_minor, (posting,), facts, opening_minor=repaid_minor)
    return _written(session, wallet, place, order.idempotency_key)


def seal(session: Session, day: date, clock: Clock) -> str:
    """Digest the heads of all chains once a day; return the seal of the day.

    Writers wait meanwhile, so that a seal covers exactly the entries that came before it.
    """
    known = session.get(DailySealRow, day)
    if known is None and session.connection().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE wallet IN EXCLUSIVE MODE"))
        known = session.get(DailySealRow, day)
    if known is not None:
        return known.digest
    wallets = entries = 0

    def parts() -> Iterator[bytes]:
        nonlocal wallets, entries
        for account_id, head, count in store.heads(session):
            wallets += 1
            entries += count
            yield seal_part(account_id, head)

    digest = digest_parts(parts())
    session.add(
        DailySealRow(
            day=day, wallets=wallets, entries=entries, digest=digest, recorded_at=clock.now()
        )
    )
    session.flush()
    return digest


def verify(
    session: Session, progress: Callable[[int, int], None] | None = None
) -> Iterator[LedgerFault]:
    """Yield what is wrong with wallets and their ledger; nothing where all is right.

    Each chain is computed anew from its entries, postings, draws and lots; each balance from above
    (the ledger) and from below (the lots); each daily seal from the heads that it covered.
    """
    total = session.scalars(select(func.count()).select_from(WalletRow)).one()
    done = 0
    for block in store.blocks_to_audit(
        session, wallets_max=WALLETS_A_LOOK, entries_max=ENTRIES_A_LOOK
    ):
        first, last = block[0].id, block[-1].id
        entries = store.entries_to_audit(session, first, last)
        legs = store.legs_to_audit(session, first, last)
        draws = store.draws_to_audit(session, first, last)
        lots = store.lots_to_audit(session, first, last)
        for wallet in block:
            theirs = entries.get(wallet.id, ())
            yield from audit_wallet(wallet, theirs, legs, draws, lots.get(wallet.id, ()))
        done += len(block)
        if progress is not None:
            progress(done, total)
    yield from _verify_seals(session)


def _locked(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, Wallet]:
    wallets = store.lock_wallets(session, account_ids)
    for account_id in account_ids:
        if account_id not in wallets:
            raise NotFound(what=mark("wallet of account"), name=str(account_id))
    return wallets


_Order = TypeVar("_Order", PutOrder, TakeOrder)


def _move_all(
    session: Session,
    orders: Sequence[_Order],
    enter: Callable[[Wallet, _Order, datetime], Moved],
    clock: Clock,
    *,
    asking: bool = False,
) -> tuple[Moved, ...]:
    """Enter each order that is new into its wallet and write them; a known one is answered."""
    for order in orders:
        if order.amount_minor <= 0:
            raise NotAnAmount(account=order.account_id, amount=order.amount_minor)
        if order.amount_minor > MOST_MINOR:
            raise TooLarge(account=order.account_id, amount=order.amount_minor)
    wallets = _locked(session, [order.account_id for order in orders])
    if asking:
        store.load_holds(session, list(wallets.values()))
    known: dict[tuple[str, str], store.Answer] = {}
    for actor in {order.actor for order in orders}:
        keys = [order.idempotency_key for order in orders if order.actor == actor]
        found = store.answers(session, actor, keys)
        known |= {(actor, key): answer for key, answer in found.items()}
    now = clock.now()
    fresh: dict[tuple[str, str], tuple[_Order, int, Moved]] = {}
    for order in orders:
        key = order.actor, order.idempotency_key
        asked = known[key].request_digest if key in known else None
        if key in fresh:
            asked = fresh[key][0].digest()
        if asked is not None:
            if asked != order.digest():
                raise RequestConflict(key=order.idempotency_key)
            continue
        wallet = wallets[order.account_id]
        _expire_due(wallet, now, order.zone)
        fresh[key] = order, len(wallet.entries), enter(wallet, order, now)
    written = store.write(session, list(wallets.values()))
    lots = store.lots_of_entries(session, [answer.entry_id for answer in known.values()])
    results = []
    told_once: set[tuple[str, str]] = set()
    for order in orders:
        key = order.actor, order.idempotency_key
        if key in known:
            told = json.loads(known[key].detail)
            entry_id = known[key].entry_id
            results.append(
                Moved(entry_id, True, told["balance"], lots.get(entry_id), told["covered"])
            )
            continue
        _, place, moved = fresh[key]
        ids = written[order.account_id]
        wallet = wallets[order.account_id]
        new = [n for n, each in enumerate(wallet.new_lots) if each.entry == place]
        results.append(
            replace(
                moved,
                entry_id=ids.entry_ids[place],
                repeated=key in told_once,
                lot_id=ids.lot_ids[new[0]] if new else None,
            )
        )
        told_once.add(key)
    return tuple(results)


def _put_in(wallet: Wallet, order: PutOrder, now: datetime) -> Moved:
    dies_at, at = order.expires_at, max(order.valid_at, now)
    covers = order.kind is not LotKind.CREDIT and not order.service
    if dies_at is not None and dies_at <= at:
        covers = False
    if order.kind is LotKind.CREDIT and wallet.credit_lot is not None:
        raise CreditOpen(account=order.account_id)
    covered_minor = min(order.amount_minor, wallet.new_debt_minor) if covers else 0
    balance_minor = wallet.posted_minor + order.amount_minor
    wallet.put(
        order.amount_minor,
        (to_wallet(order.against, order.amount_minor),),
        _facts_of(order, now, {"balance": balance_minor, "covered": covered_minor}),
        kind=order.kind,
        expires_at=order.expires_at,
        rule=order.rule,
        service=order.service,
        payer=order.payer,
    )
    return Moved(JournalEntryId(0), False, balance_minor, None, covered_minor)


def _take_out(wallet: Wallet, order: TakeOrder, now: datetime) -> Moved:
    balance_minor = wallet.posted_minor - order.amount_minor
    facts = _facts_of(order, now, {"balance": balance_minor, "covered": 0})
    if order.charge_month is not None:
        facts = replace(facts, charge_month=order.charge_month.ordinal)
    free_minor = spendable_minor(filter(order.may_draw, wallet.lots), facts.at)
    if order.kinds is None or order.kinds & HELD_KINDS:
        held = [
            one.amount_minor
            for hold, one in wallet.holds.items()
            if hold != order.pays_hold and order.may_meet(one)
        ]
        # Nor does money leave beside a debt from before the wallet, which only shares repay.
        owed_minor = wallet.opening_debt_minor if order.payer is None else 0
        free_minor = max(0, free_minor - sum(held) - owed_minor)
    if order.amount_minor > free_minor and not order.may_owe:
        raise NotEnough(account=order.account_id, free=free_minor, asked=order.amount_minor)
    posting = from_wallet(order.against, order.amount_minor)
    wallet.take(order.amount_minor, (posting,), facts, order.may_draw)
    return Moved(JournalEntryId(0), False, balance_minor)


def _facts_of(order: PutOrder | TakeOrder, now: datetime, answer: Mapping[str, object]) -> Facts:
    return Facts(
        reason=order.reason,
        valid_at=order.valid_at,
        recorded_at=now,
        month=Month.of(local_date(order.valid_at, order.zone)).ordinal,
        actor=order.actor,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest(),
        detail=canonical_json({**order.detail, **answer}),
    )


def _answered(
    entry_id: JournalEntryId, amount_minor: int, answer: dict[str, Any], *, repeated: bool = True
) -> TopUpResult:
    return TopUpResult(
        entry_id=entry_id,
        repeated=repeated,
        amount_minor=amount_minor,
        covered_debt_minor=answer["covered"],
        bonus_minor=answer["bonus"],
        bonus_rule=answer["rule"],
        balance_minor=answer["balance"],
        opening_repaid_minor=-answer.get(OPENING_DEBT, 0),
    )


def _is_repeated(
    order: ChargeOrder, known: dict[str, store.Answer], fresh: dict[str, ChargeOrder]
) -> bool:
    """Say whether the key was used, before or in this batch; refuse it for another request."""
    key = order.idempotency_key
    if key in known:
        asked = known[key].request_digest
    elif key in fresh:
        asked = fresh[key].digest()
    else:
        return False
    if asked != order.digest():
        raise RequestConflict(key=key)
    return True


def _refuse_own_key(key: str) -> None:
    if key.startswith(OWN_KEYS):
        raise Invalid(
            where=mark("idempotency key"),
            problem="%(text)s begins like a key of the wallet's own",
            text=repr(key),
        )


def _written(session: Session, wallet: Wallet, place: int, key: str) -> JournalEntryId:
    """Write the wallet; another wallet's request with the same key, at this instant, is refused."""
    try:
        return store.write(session, [wallet])[wallet.account_id].entry_ids[place]
    except IntegrityError as error:
        if "idempotency_key" not in str(error.orig):
            raise
        raise RequestConflict(key=key) from error


def _refuse_skipped(wallet: Wallet, closing: int | None) -> None:
    closed = wallet.closed_through_month
    if closing is not None and closed is not None and closed < closing - 1:
        raise MonthSkipped(account=wallet.account_id, month=str(Month.from_ordinal(closed + 1)))


def _charge(wallet: Wallet, order: ChargeOrder, batch: ChargeBatch, now: datetime) -> None:
    facts = Facts(
        reason=order.reason,
        valid_at=order.valid_at,
        recorded_at=now,
        month=order.month.ordinal,
        actor=batch.actor,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest(),
        charge_month=order.charge_month.ordinal,
    )
    postings = tuple(signed(revenue(service), amount) for service, amount in order.parts if amount)
    total_minor = order.total_minor
    if total_minor >= 0:
        wallet.take(total_minor, postings, facts, services=order.services())
    else:
        revived = wallet.restore(
            -total_minor,
            postings,
            facts,
            services=order.services(),
            reviving=batch.grace.days is not None,
        )
        for draw in revived:
            _grant_anew(wallet, draw, batch, facts)


def _grant_anew(wallet: Wallet, draw: Draw, batch: ChargeBatch, facts: Facts) -> None:
    """Let what came back to an expired lot end there, and come in as a lot of its kind and rule."""
    lot = next(lot for lot in wallet.lots if lot.id == draw.lot_id)
    assert batch.grace.days is not None
    amount_minor, place = -draw.amount_minor, f"{wallet.account_id}:{wallet.entry_count}"
    system = replace(
        facts,
        reason=Reason.EXPIRY,
        actor=SYSTEM,
        idempotency_key=f"expire:{place}:{lot.number}",
        request_digest=str(lot.number),
        charge_month=None,
    )
    against = expense_of(lot.kind)
    wallet.expire(lot, (from_wallet(against, amount_minor),), system, amount_minor=amount_minor)
    wallet.put(
        amount_minor,
        (to_wallet(against, amount_minor),),
        replace(
            system,
            reason=Reason.COMPENSATION if lot.kind is LotKind.COMPENSATION else Reason.BONUS,
            idempotency_key=f"grace:{place}:{lot.number}",
            detail=canonical_json({"rule": lot.rule, "grace": batch.grace.name}),
        ),
        kind=lot.kind,
        expires_at=facts.at + timedelta(days=batch.grace.days),
        rule=lot.rule,
        service=lot.service,
        payer=lot.payer,
    )


def _expire_due(wallet: Wallet, now: datetime, zone: ZoneInfo) -> int:
    """Post what is left of each lot that expired by `now`, valid at its expiry."""
    due = [lot for lot in wallet.lots if lot.remaining_minor and not lot.alive_at(now)]
    for lot in sorted(due, key=lambda lot: (lot.expires_at, lot.number)):
        assert lot.expires_at is not None
        wallet.expire(
            lot,
            (from_wallet(expense_of(lot.kind), lot.remaining_minor),),
            Facts(
                reason=Reason.EXPIRY,
                valid_at=lot.expires_at,
                recorded_at=now,
                month=Month.of(local_date(lot.expires_at, zone)).ordinal,
                actor=SYSTEM,
                idempotency_key=f"expire:{wallet.account_id}:{lot.number}",
                request_digest=str(lot.number),
            ),
        )
    return len(due)


def _statement(
    order: ChargeOrder,
    wallet: Wallet,
    entry_id: JournalEntryId | None,
    closing: int,
    before: Sequence[tuple[int, Reason, datetime, int]],
) -> ChargeResult:
    entries = [
        *before,
        *((e.book_month, e.facts.reason, e.facts.valid_at, e.amount_minor) for e in wallet.entries),
    ]
    later = sum([amount for month, _, _, amount in entries if month > closing])
    shown = [entry for entry in entries if entry[0] == closing]
    closing_minor = wallet.posted_minor - later
    return ChargeResult(
        account_id=order.account_id,
        entry_id=entry_id,
        repeated=False,
        balance_minor=wallet.posted_minor,
        opening_minor=closing_minor - sum([amount for _, _, _, amount in shown]),
        movements=tuple(StatementMovement(reason, at, amount) for _, reason, at, amount in shown),
        closing_minor=closing_minor,
        bonus_minor=sum([n.remaining_minor for n in wallet.lots if n.kind is LotKind.BONUS]),
    )


def _take_bonus_back(
    session: Session, wallet: Wallet, entry: JournalEntryRow, facts: Facts
) -> None:
    """Take back the bonus that a top-up earned, apart from what of it has expired by itself."""
    bonus = session.scalars(
        select(JournalEntryRow).where(
            JournalEntryRow.actor == entry.actor,
            JournalEntryRow.idempotency_key == f"bonus:{entry.idempotency_key}",
        )
    ).one_or_none()
    if bonus is None:
        return
    lot_id, expired_minor = store.lot_of_entry(session, bonus.id)
    expired_minor += sum(
        draw.amount_minor for new in wallet.entries for draw in new.draws if draw.lot_id == lot_id
    )
    amount_minor = bonus.amount_minor - expired_minor
    if amount_minor:
        facts = replace(
            facts,
            idempotency_key=f"bonus:{facts.idempotency_key}",
            detail=canonical_json({**json.loads(facts.detail), "reverses": bonus.sequence}),
        )
        wallet.take_back(lot_id, amount_minor, (from_wallet(BONUS_EXPENSE, amount_minor),), facts)


def _verify_seals(session: Session) -> Iterator[LedgerFault]:
    """Go through the entries as they were recorded, and compare each seal with the heads then.

    Ids grow in the order of recording, and writers wait for a seal: so it covers as many wallets
    and entries, from the first on, as it counted.
    """
    seals = list(
        session.scalars(
            select(DailySealRow).order_by(DailySealRow.entries, DailySealRow.recorded_at)
        )
    )
    if not seals:
        return
    parts = {account_id: seal_part(account_id, "") for account_id, _, _ in store.heads(session)}
    passed = 0
    with contextlib.closing(store.entry_heads(session)) as heads:
        for sealed in seals:
            for account_id, head in islice(heads, max(0, sealed.entries - passed)):
                parts[account_id] = seal_part(account_id, head)
                passed += 1
            digest = digest_parts(islice(parts.values(), max(0, sealed.wallets)))
            if digest != sealed.digest:
                problem = mark("The seal of a day is not that of its heads.")
                yield LedgerFault(None, problem, digest, sealed.digest)
