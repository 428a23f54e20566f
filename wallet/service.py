"""Use cases of the wallet: open, top up, charge, give back, expire, reverse, verify, seal."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json, digest_parts, digest_value
from kilokassa.core.errors import DomainError, NotFound, RequestConflict
from kilokassa.core.ids import AccountId, JournalEntryId, WalletId
from kilokassa.core.text import mark
from wallet import store
from wallet.book import Facts, Wallet
from wallet.ledger import (
    BONUS_EXPENSE,
    OPENING,
    WALLET,
    Posting,
    Reason,
    cash,
    entry_digest,
    from_wallet,
    instant_key,
    revenue,
    signed,
    to_wallet,
)
from wallet.lots import Draw, LotKind
from wallet.models import (
    DailySealRow,
    DrawRow,
    JournalEntryRow,
    LedgerAccountRow,
    LotRow,
    PostingRow,
    WalletRow,
)
from wallet.topups import BonusRule, NotAnAmount, bonus_for

ROWS_A_LOOK = 2_000
"""How many wallets `verify` looks at together: memory does not grow with the ledger."""


class MonthSkipped(DomainError):
    """A month cannot be closed while an earlier one of the wallet is open."""

    code = "month_skipped"
    template = "Account %(account)s: close %(month)s first."


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


@dataclass(frozen=True, slots=True)
class OpeningOrder:
    """What an account brings along: a debt or an advance, at most one of the two."""

    account_id: AccountId
    debt_minor: int
    advance_minor: int
    valid_at: datetime
    zone: ZoneInfo
    actor: str


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


@dataclass(frozen=True, slots=True)
class LedgerFault:
    """Something that `verify` found wrong."""

    account_id: AccountId | None
    problem: str
    """A message of the catalogue."""
    expected: str
    found: str


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
        connection = session.connection()
        rows: list[dict[str, Any]] = [{"account_id": a} | fixed for a in missing]
        connection.execute(insert(WalletRow), rows)
        fresh = store.wallet_ids(session, missing)
        connection.execute(
            insert(LedgerAccountRow),
            [
                {"code": f"{WALLET}:{account_id}", "wallet_id": wallet_id, "currency": "RUB"}
                for account_id, wallet_id in fresh.items()
            ],
        )
        known |= fresh
    return known


def top_up(session: Session, order: TopUpOrder, clock: Clock) -> TopUpResult:
    """Take in money once: cover what is owed, keep the rest as a lot, grant the bonus it earns."""
    if order.amount_minor <= 0:
        raise NotAnAmount(account=order.account_id, amount=order.amount_minor)
    wallet = _locked(session, [order.account_id])[order.account_id]
    known = store.answers(session, order.actor, [order.idempotency_key]).get(order.idempotency_key)
    if known is not None:
        entry_id, digest, detail = known
        if digest != order.digest():
            raise RequestConflict(key=order.idempotency_key)
        return _answered(entry_id, order.amount_minor, json.loads(detail))
    now = clock.now()
    _expire_due(wallet, now, order.zone)
    bonus = bonus_for(order.amount_minor, order.bonus_rules, local_date(order.valid_at, order.zone))
    covered_minor = min(order.amount_minor, wallet.uncovered_minor)
    answer = {
        "tender": order.tender,
        "reference": order.external_reference,
        "covered": covered_minor,
        "bonus": bonus.amount_minor if bonus else 0,
        "rule": bonus.rule if bonus else "",
        "balance": wallet.posted_minor + order.amount_minor + (bonus.amount_minor if bonus else 0),
    }
    month = Month.of(local_date(order.valid_at, order.zone)).ordinal
    facts = Facts(
        reason=Reason.TOP_UP,
        valid_at=order.valid_at,
        recorded_at=now,
        month=month,
        actor=order.actor,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest(),
        detail=canonical_json(answer),
    )
    place = len(wallet.entries)
    wallet.put(order.amount_minor, (to_wallet(cash(order.tender), order.amount_minor),), facts)
    if bonus:
        wallet.put(
            bonus.amount_minor,
            (to_wallet(BONUS_EXPENSE, bonus.amount_minor),),
            Facts(
                reason=Reason.BONUS,
                valid_at=order.valid_at,
                recorded_at=now,
                month=month,
                actor=order.actor,
                idempotency_key=f"bonus:{order.idempotency_key}",
                request_digest=order.digest(),
                detail=canonical_json({"rule": bonus.rule}),
            ),
            kind=LotKind.BONUS,
            expires_at=order.valid_at + timedelta(days=bonus.expires_after_days),
            rule=bonus.rule,
        )
    written = store.write(session, [wallet])
    entry_id = written[order.account_id].entry_ids[place]
    return _answered(entry_id, order.amount_minor, answer, repeated=False)


def post_opening(session: Session, orders: Sequence[OpeningOrder], clock: Clock) -> int:
    """Post what accounts bring along, once each; return how many were posted now."""
    wallets = _locked(session, [order.account_id for order in orders])
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
                if known[key][1] != str(amount_minor):
                    raise RequestConflict(key=key)
                continue
            if not amount_minor:
                continue
            wallet = wallets[order.account_id]
            facts = Facts(
                reason=Reason.OPENING_DEBT if amount_minor < 0 else Reason.OPENING_ADVANCE,
                valid_at=order.valid_at,
                recorded_at=clock.now(),
                month=Month.of(local_date(order.valid_at, order.zone)).ordinal,
                actor=actor,
                idempotency_key=key,
                request_digest=str(amount_minor),
            )
            if amount_minor < 0:
                wallet.owe(-amount_minor, (from_wallet(OPENING, -amount_minor),), facts)
            else:
                wallet.put(amount_minor, (to_wallet(OPENING, amount_minor),), facts)
            posted += 1
    store.write(session, list(wallets.values()))
    return posted


def charge_batch(session: Session, batch: ChargeBatch, clock: Clock) -> tuple[ChargeResult, ...]:
    """Charge many accounts, each once, in a handful of statements; close their month if asked to.

    An account whose month is closed already, or whose key is known, is left alone and said to be.
    """
    wallets = _locked(session, [order.account_id for order in batch.orders])
    keys = [order.idempotency_key for order in batch.orders]
    known = store.answers(session, batch.actor, keys)
    now = clock.now()
    closing = None if batch.close_month is None else batch.close_month.ordinal
    done: dict[AccountId, bool] = {}
    places: dict[AccountId, int | None] = {}
    worked: list[Wallet] = []
    for order in batch.orders:
        wallet = wallets[order.account_id]
        done[order.account_id] = _is_done(order, wallet, known, closing)
        places[order.account_id] = None
        if done[order.account_id]:
            continue
        _refuse_skipped(wallet, closing)
        worked.append(wallet)
        _expire_due(wallet, now, batch.zone)
        if not any(amount for _, amount in order.parts):
            continue
        places[order.account_id] = len(wallet.entries)
        _charge(session, wallet, order, batch.actor, now)
    before = (
        store.entries_from(session, [w.id for w in worked], closing) if closing is not None else {}
    )
    written = store.write(session, worked)
    if closing is not None:
        store.close_through(session, worked, closing)
    results = []
    for order in batch.orders:
        wallet, place = wallets[order.account_id], places[order.account_id]
        entry_id = None if place is None else written[order.account_id].entry_ids[place]
        if closing is None or done[order.account_id]:
            results.append(
                ChargeResult(
                    order.account_id, entry_id, done[order.account_id], wallet.posted_minor
                )
            )
        else:
            results.append(_statement(order, wallet, entry_id, closing, before.get(wallet.id, [])))
    return tuple(results)


def expire_lots(
    session: Session, account_ids: Sequence[AccountId], zone: ZoneInfo, clock: Clock
) -> int:
    """Post what is left of lots that have expired, once each; return how many there were."""
    wallets = _locked(session, account_ids)
    count = sum(_expire_due(wallet, clock.now(), zone) for wallet in wallets.values())
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
    """Take a top-up back by an entry; what was spent of it becomes uncovered."""
    wallet = _locked(session, [order.account_id])[order.account_id]
    known = store.answers(session, order.actor, [order.idempotency_key]).get(order.idempotency_key)
    request = digest_value({"entry": order.entry_id, "why": order.why})
    if known is not None:
        if known[1] != request:
            raise RequestConflict(key=order.idempotency_key)
        return known[0]
    entry = session.get(JournalEntryRow, order.entry_id)
    if entry is None or entry.wallet_id != wallet.id or entry.reason is not Reason.TOP_UP:
        raise NotFound(what=mark("top-up"), name=str(order.entry_id))
    marker = f"reversal of {entry.sequence}"
    taken = select(JournalEntryRow.id).where(
        JournalEntryRow.wallet_id == wallet.id,
        JournalEntryRow.reason == Reason.REVERSAL,
        JournalEntryRow.detail.contains(canonical_json({"reverses": entry.sequence})[1:-1]),
    )
    if session.scalar(taken) is not None:
        raise RequestConflict(key=marker)
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
    tender = json.loads(entry.detail)["tender"]
    place = len(wallet.entries)
    _take_back(wallet, entry.id, entry.amount_minor, cash(tender), facts, session)
    bonus = session.scalars(
        select(JournalEntryRow).where(
            JournalEntryRow.actor == entry.actor,
            JournalEntryRow.idempotency_key == f"bonus:{entry.idempotency_key}",
        )
    ).one_or_none()
    if bonus is not None:
        with_bonus = Facts(
            reason=Reason.REVERSAL,
            valid_at=facts.valid_at,
            recorded_at=now,
            month=facts.month,
            actor=facts.actor,
            idempotency_key=f"bonus:{order.idempotency_key}",
            request_digest=request,
            detail=canonical_json({"reverses": bonus.sequence, "why": order.why}),
        )
        _take_back(wallet, bonus.id, bonus.amount_minor, BONUS_EXPENSE, with_bonus, session)
    written = store.write(session, [wallet])
    return written[order.account_id].entry_ids[place]


def seal(session: Session, day: date, clock: Clock) -> str:
    """Digest the heads of all chains once a day; return the seal of the day."""
    known = session.get(DailySealRow, day)
    if known is not None:
        return known.digest
    digest, wallets, entries = _heads(session)
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

    Each chain is computed anew from its entries, postings and draws; each balance from above (the
    ledger) and from below (the lots).
    """
    ids = [WalletId(i) for i in session.scalars(select(WalletRow.id).order_by(WalletRow.id))]
    codes = {
        row.id: row.code
        for row in session.execute(select(LedgerAccountRow.id, LedgerAccountRow.code))
    }
    for start in range(0, len(ids), ROWS_A_LOOK):
        part = ids[start : start + ROWS_A_LOOK]
        yield from _verify_wallets(session, part, codes)
        if progress is not None:
            progress(min(start + ROWS_A_LOOK, len(ids)), len(ids))


def _locked(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, Wallet]:
    wallets = store.lock_wallets(session, account_ids)
    for account_id in account_ids:
        if account_id not in wallets:
            raise NotFound(what=mark("wallet of account"), name=str(account_id))
    return wallets


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
    )


def _is_done(
    order: ChargeOrder,
    wallet: Wallet,
    known: dict[str, tuple[JournalEntryId, str, str]],
    closing: int | None,
) -> bool:
    closed = wallet.closed_through_month
    if closing is not None and closed is not None and closed >= closing:
        return True
    earlier = known.get(order.idempotency_key)
    if earlier is None:
        return False
    if earlier[1] != order.digest():
        raise RequestConflict(key=order.idempotency_key)
    return True


def _refuse_skipped(wallet: Wallet, closing: int | None) -> None:
    closed = wallet.closed_through_month
    if closing is not None and closed is not None and closed < closing - 1:
        raise MonthSkipped(account=wallet.account_id, month=str(Month.from_ordinal(closed + 1)))


def _charge(
    session: Session, wallet: Wallet, order: ChargeOrder, actor: str, now: datetime
) -> None:
    facts = Facts(
        reason=order.reason,
        valid_at=order.valid_at,
        recorded_at=now,
        month=order.month.ordinal,
        actor=actor,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest(),
        charge_month=order.charge_month.ordinal,
    )
    postings = tuple(signed(revenue(service), amount) for service, amount in order.parts if amount)
    total_minor = order.total_minor
    if total_minor >= 0:
        wallet.take(total_minor, postings, facts)
    else:
        wallet.restore(-total_minor, postings, facts, store.load_paid(session, wallet))


def _expire_due(wallet: Wallet, now: datetime, zone: ZoneInfo) -> int:
    """Post what is left of each lot that expired by `now`, valid at its expiry."""
    due = [lot for lot in wallet.lots if lot.remaining_minor and not lot.alive_at(now)]
    for lot in sorted(due, key=lambda lot: (lot.expires_at, lot.number)):
        assert lot.expires_at is not None
        wallet.withdraw(
            Draw(lot.id, lot.remaining_minor),
            (from_wallet(BONUS_EXPENSE, lot.remaining_minor),),
            Facts(
                reason=Reason.EXPIRY,
                valid_at=lot.expires_at,
                recorded_at=now,
                month=Month.of(local_date(lot.expires_at, zone)).ordinal,
                actor="system",
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


def _take_back(
    wallet: Wallet,
    entry_id: int,
    amount_minor: int,
    account: str,
    facts: Facts,
    session: Session,
) -> None:
    """Take an amount back from the lot that an entry brought; the rest becomes uncovered."""
    lot_id = session.scalar(select(LotRow.id).where(LotRow.entry_id == entry_id))
    lot = next((lot for lot in wallet.lots if lot.id == lot_id), None)
    left_minor = lot.remaining_minor if lot is not None else 0
    wallet.take_back(
        Draw(lot.id, left_minor) if lot is not None and left_minor else None,
        amount_minor,
        (from_wallet(account, amount_minor),),
        facts,
    )


def _heads(session: Session) -> tuple[str, int, int]:
    query = select(WalletRow.account_id, WalletRow.head_digest, WalletRow.entry_count)
    rows = session.execute(query.order_by(WalletRow.account_id)).all()
    digest = digest_parts(f"{row.account_id}:{row.head_digest}".encode() for row in rows)
    return digest, len(rows), sum(row.entry_count for row in rows)


def _verify_wallets(
    session: Session, ids: Sequence[WalletId], codes: dict[int, str]
) -> Iterator[LedgerFault]:
    wallets = session.execute(
        select(
            WalletRow.id,
            WalletRow.account_id,
            WalletRow.lots_minor,
            WalletRow.uncovered_minor,
            WalletRow.entry_count,
            WalletRow.head_digest,
        ).where(WalletRow.id.in_(ids))
    ).all()
    lots: dict[int, list[Any]] = {}
    lot_number: dict[int, int] = {}
    drawn: dict[int, int] = {}
    lot_query = select(
        LotRow.id, LotRow.wallet_id, LotRow.number, LotRow.amount_minor, LotRow.remaining_minor
    )
    for lot in session.execute(lot_query.where(LotRow.wallet_id.in_(ids))):
        lots.setdefault(lot.wallet_id, []).append(lot)
        lot_number[lot.id] = lot.number
    columns = list(JournalEntryRow.__table__.columns)
    entries: dict[int, list[Any]] = {}
    query = select(*columns).where(JournalEntryRow.wallet_id.in_(ids))
    for entry in session.execute(query.order_by(JournalEntryRow.sequence)):
        entries.setdefault(entry.wallet_id, []).append(entry)
    of_wallets = select(JournalEntryRow.id).where(JournalEntryRow.wallet_id.in_(ids))
    postings: dict[int, list[Posting]] = {}
    posting_query = select(
        PostingRow.entry_id, PostingRow.debit_id, PostingRow.credit_id, PostingRow.amount_minor
    )
    for row in session.execute(
        posting_query.where(PostingRow.entry_id.in_(of_wallets)).order_by(PostingRow.id)
    ):
        postings.setdefault(row.entry_id, []).append(
            Posting(_code(codes, row.debit_id), _code(codes, row.credit_id), row.amount_minor)
        )
    draws: dict[int, list[tuple[int, int]]] = {}
    draw_query = select(DrawRow.entry_id, DrawRow.lot_id, DrawRow.amount_minor)
    for draw in session.execute(draw_query.where(DrawRow.entry_id.in_(of_wallets))):
        draws.setdefault(draw.entry_id, []).append((lot_number[draw.lot_id], draw.amount_minor))
        drawn[draw.lot_id] = drawn.get(draw.lot_id, 0) + draw.amount_minor
    for wallet in wallets:
        yield from _verify_chain(wallet, entries.get(wallet.id, []), postings, draws)
        for lot in lots.get(wallet.id, []):
            if lot.amount_minor - drawn.get(lot.id, 0) != lot.remaining_minor:
                yield LedgerFault(
                    AccountId(wallet.account_id),
                    mark("A lot does not hold what its draws left."),
                    str(lot.amount_minor - drawn.get(lot.id, 0)),
                    str(lot.remaining_minor),
                )
        held = sum(lot.remaining_minor for lot in lots.get(wallet.id, []))
        if held != wallet.lots_minor:
            yield LedgerFault(
                AccountId(wallet.account_id),
                mark("The lots do not come to the wallet."),
                str(held),
                str(wallet.lots_minor),
            )


def _verify_chain(
    wallet: Any,  # noqa: ANN401 - a row
    entries: Sequence[Any],
    postings: dict[int, list[Posting]],
    draws: dict[int, list[tuple[int, int]]],
) -> Iterator[LedgerFault]:
    account_id = AccountId(wallet.account_id)
    head, balance = "", 0
    for number, entry in enumerate(entries, start=1):
        moved = postings.get(entry.id, [])
        net = sum(
            p.amount_minor if p.credit == WALLET else -p.amount_minor
            for p in moved
            if WALLET in (p.debit, p.credit)
        )
        if net != entry.amount_minor:
            yield LedgerFault(
                account_id,
                mark("The postings of an entry do not come to its amount."),
                str(entry.amount_minor),
                str(net),
            )
        digest = entry_digest(
            head,
            (
                account_id,
                number,
                entry.reason,
                entry.amount_minor,
                balance,
                balance + entry.amount_minor,
                instant_key(entry.valid_at),
                instant_key(entry.recorded_at),
                entry.book_month,
                entry.charge_month,
                entry.actor,
                entry.idempotency_key,
                entry.request_digest,
                entry.detail,
            ),
            moved,
            sorted(draws.get(entry.id, [])),
        )
        if digest != entry.digest or entry.previous_digest != head or entry.sequence != number:
            yield LedgerFault(
                account_id, mark("The chain of entries is broken."), digest, entry.digest
            )
            return
        head, balance = digest, balance + entry.amount_minor
    if head != wallet.head_digest or len(entries) != wallet.entry_count:
        yield LedgerFault(
            account_id,
            mark("The wallet's head is not that of its chain."),
            head,
            wallet.head_digest,
        )
    if balance != wallet.lots_minor - wallet.uncovered_minor:
        yield LedgerFault(
            account_id,
            mark("Lots less what is uncovered do not come to the ledger."),
            str(balance),
            str(wallet.lots_minor - wallet.uncovered_minor),
        )


def _code(codes: dict[int, str], ledger_id: int) -> str:
    code = codes[ledger_id]
    return WALLET if code.startswith(f"{WALLET}:") else code
