"""Use cases of reserves: publish, sign, add, take out, pay what is due, verify.

Each works under the lock of its wallet: what the days have brought is posted first, then what the
person asks for, and every movement of the reserve is written with the entry that carried it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from kilokassa.core.calendar import Month, local_date, local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.digest import canonical_json, digest_value
from kilokassa.core.errors import DomainError, Forbidden, Invalid, NotFound, RequestConflict
from kilokassa.core.ids import AccountId, JournalEntryId, WalletId
from kilokassa.core.scope import DEEDS, Right, Role, Scope, system_scope
from kilokassa.core.text import mark
from kilokassa.db.locks import wait_for
from kilokassa.db.rights import account_in_scope
from wallet import store as wallet_store
from wallet.book import Facts, NewEntry, Wallet
from wallet.ledger import BONUS_EXPENSE, RESERVES, Posting, Reason, from_wallet, to_wallet
from wallet.lots import LotKind, spendable_minor
from wallet.models import WalletRow
from wallet.reserves import reserve as pure
from wallet.reserves import store
from wallet.reserves.documents import OfferDocument, read_offer
from wallet.reserves.models import CreditRateRow, ReserveMovementRow, ReserveOfferRow, ReserveRow
from wallet.reserves.reserve import (
    Cost,
    NotOffered,
    Rates,
    StepKind,
    Withdrawal,
    claw_back,
    project,
    set_aside,
)
from wallet.reserves.signed import KEPT, Due, PublishedOffer, SignedReserve, due, rule_of
from wallet.service import SYSTEM, expire_lots
from wallet.topups import MOST_MINOR, NotAnAmount, TooLarge

RESERVES_A_LOOK: Final = 500
KEY_START: Final = "reserve:"
"""How the keys begin that reserves make themselves; nobody else's may."""


class ReserveOver(DomainError):
    """A reserve that holds nothing any more."""

    code = "reserve_over"
    template = "The reserve %(offer)s of %(signed)s is over."


class CreditRateRefused(DomainError):
    """A rate of credit outside of what can be."""

    code = "credit_rate"
    template = "A rate of credit is from nothing to 100 per cent a year."


@dataclass(frozen=True, slots=True)
class OfferOrder:
    """A document to publish."""

    scope: Scope
    document: str
    where: str
    """What a refusal calls the document."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing did."""

    offer: PublishedOffer
    new: bool


@dataclass(frozen=True, slots=True)
class SignOrder:
    """Own money to set aside under an offer."""

    account_id: AccountId
    offer: str
    amount_minor: int
    zone: ZoneInfo
    idempotency_key: str
    version: int | None = None
    """The version whose terms were shown; another one is then not signed in its place."""

    def digest(self) -> str:
        """Return the digest of what is asked."""
        return digest_value(
            {"account": self.account_id, "offer": self.offer, "amount": self.amount_minor}
        )


@dataclass(frozen=True, slots=True)
class MoveOrder:
    """Money to add to a reserve, or to take out of it."""

    account_id: AccountId
    reserve_id: int
    amount_minor: int
    zone: ZoneInfo
    idempotency_key: str

    def digest(self, kind: StepKind) -> str:
        """Return the digest of what is asked."""
        return digest_value({"reserve": self.reserve_id, "kind": kind, "amount": self.amount_minor})


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an order."""

    reserve_id: int
    entry_id: JournalEntryId
    repeated: bool
    kept_minor: int
    bonus_minor: int
    """Paid so far, less what was taken back."""
    balance_minor: int
    """Of the wallet."""
    clawed_back_minor: int = 0
    withheld_minor: int = 0
    """Of what was clawed back, what the returning money paid."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What taking money out today costs: the very figures that are posted if it is asked for."""

    withdrawal: Withdrawal
    shares: pure.ClawBack
    returning_minor: int
    """What comes back to the balance."""


def publish_offer(session: Session, order: OfferOrder, clock: Clock) -> Publication:
    """Publish a version of an offer for ever; the same document again changes nothing."""
    _demand_publisher(order.scope)
    found = read_offer(order.document, order.where)
    wait_for(session, f"reserve offer {found.code}")
    earlier = store.offers(session, found.code)
    if earlier and earlier[0].digest == found.digest:
        return Publication(earlier[0], new=False)
    if earlier and found.terms.offered_from < earlier[0].offer.offered_from:
        raise Invalid(
            where=order.where,
            problem=mark("version %(version)s is offered from %(day)s, a later one not before it"),
            version=earlier[0].version,
            day=str(earlier[0].offer.offered_from),
        )
    row = _offer_row(found, len(earlier) + 1, order.scope.actor, clock.now())
    session.add(row)
    session.flush()
    return Publication(store.offers(session, found.code)[0], new=True)


def state_credit_rate(
    session: Session, scope: Scope, valid_from: date, rate_ppm: int, source: str, clock: Clock
) -> bool:
    """State what the retailer's bank asks for credit from a day on, in millionths a year.

    Said again for the same day, it takes the place of what was stated; both stay readable. Return
    whether anything changed.
    """
    _demand_publisher(scope)
    if not 0 <= rate_ppm <= pure.PPM:
        raise CreditRateRefused
    wait_for(session, "credit rates")
    standing = session.scalars(
        select(CreditRateRow).where(
            CreditRateRow.valid_from == valid_from, CreditRateRow.superseded_at.is_(None)
        )
    ).one_or_none()
    if standing is not None:
        if (standing.rate_ppm, standing.source) == (rate_ppm, source):
            return False
        standing.superseded_at = clock.now()
    row = CreditRateRow(
        valid_from=valid_from,
        rate_ppm=rate_ppm,
        source=source[:200],
        actor=scope.actor,
        recorded_at=clock.now(),
        superseded_at=None,
    )
    session.add(row)
    session.flush()
    return True


def sign(session: Session, scope: Scope, order: SignOrder, clock: Clock) -> Done:
    """Set own money aside under an offer, once; from today, the retailer's local day."""
    _refuse_amount(order.account_id, order.amount_minor, order.idempotency_key)
    books = _opened(session, scope, order.account_id, order.zone, clock)
    known = _known(session, scope, order.idempotency_key, order.digest())
    if known is not None:
        return known
    offer = store.offer_on(session, order.offer, books.today)
    if order.version not in (None, offer.version):
        raise NotOffered(offer=offer.name, on=books.today)
    signed = pure.sign(offer.offer, books.today, order.amount_minor, scope.actor)
    wallet = books.wallets[order.account_id]
    _set_aside(wallet, order.amount_minor, clock.now())
    row = ReserveRow(
        account_id=order.account_id,
        offer_id=offer.id,
        signed_on=signed.signed_on,
        ends_on=signed.ends_on,
        actor=scope.actor,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest(),
        recorded_at=clock.now(),
    )
    session.add(row)
    session.flush()
    fresh = SignedReserve(row.id, order.account_id, offer, signed, ())
    place = books.add(fresh, order.amount_minor, scope.actor, order.idempotency_key, order.digest())
    books.write()
    return books.answer(fresh, place)


def add(session: Session, scope: Scope, order: MoveOrder, clock: Clock) -> Done:
    """Set more aside in a reserve, once."""
    _refuse_amount(order.account_id, order.amount_minor, order.idempotency_key)
    books = _opened(session, scope, order.account_id, order.zone, clock)
    digest = order.digest(StepKind.ADDED)
    known = _known(session, scope, order.idempotency_key, digest)
    if known is not None:
        return known
    signed = store.reserve_of(session, scope, order.account_id, order.reserve_id)
    books.settle(signed, books.today)
    _refuse_over(signed, books)
    pure.add(signed.reserve, books.today, order.amount_minor, scope.actor)
    _set_aside(books.wallets[order.account_id], order.amount_minor, clock.now())
    place = books.add(signed, order.amount_minor, scope.actor, order.idempotency_key, digest)
    books.write()
    return books.answer(signed, place)


def take_out(session: Session, scope: Scope, order: MoveOrder, clock: Clock) -> Done:
    """Break a part of a reserve, or the whole, once: only a person does."""
    _refuse_amount(order.account_id, order.amount_minor, order.idempotency_key)
    books = _opened(session, scope, order.account_id, order.zone, clock)
    digest = order.digest(StepKind.TAKEN_OUT)
    known = _known(session, scope, order.idempotency_key, digest)
    if known is not None:
        return known
    signed = store.reserve_of(session, scope, order.account_id, order.reserve_id)
    books.settle(signed, books.today)
    _refuse_over(signed, books)
    loss = _loss(books, signed, order.amount_minor, scope.actor)
    place = books.take_out(signed, loss, scope.actor, order.idempotency_key, digest)
    books.write()
    return books.answer(signed, place, loss)


def loss_of(session: Session, scope: Scope, order: MoveOrder, clock: Clock) -> Loss:
    """Return what taking money out today would cost; nothing is locked and nothing written.

    What the days have brought and nobody has posted yet counts as if it were.
    """
    signed = store.reserve_of(session, scope, order.account_id, order.reserve_id)
    if order.amount_minor <= 0:
        raise NotAnAmount(account=order.account_id, amount=order.amount_minor)
    now = clock.now()
    wallet = _read_wallet(session, scope, order.account_id, now)
    books = _Books(session, order.zone, now, {order.account_id: wallet})
    books.settle(signed, books.today)
    _refuse_over(signed, books)
    return _loss(books, signed, order.amount_minor, scope.actor)


def pay_due(session: Session, through: date, zone: ZoneInfo, clock: Clock, after_id: int) -> "Paid":
    """Post what the days up to `through` have brought to a block of reserves, each step once."""
    found = store.due_ids(session, through, after_id=after_id, limit=RESERVES_A_LOOK)
    if not found:
        return Paid(None)
    accounts = sorted({account_id for _, account_id in found})
    ids = [reserve_id for reserve_id, _ in found]
    return _settle_all(session, ids, accounts, through, zone, clock).plus(Paid(found[-1][0]))


def pay_due_of(session: Session, account_id: AccountId, zone: ZoneInfo, clock: Clock) -> "Paid":
    """Post what the days up to today have brought to one account's reserves, each step once."""
    wallet_store.hold_wallets(session, [account_id])
    found = store.reserves_of(session, system_scope(SYSTEM), account_id)
    ids = [one.id for one in found if one.kept_minor > 0]
    return _settle_all(session, ids, [account_id], date.max, zone, clock) if ids else Paid(None)


def _settle_all(
    session: Session,
    reserve_ids: Sequence[int],
    accounts: Sequence[AccountId],
    through: date,
    zone: ZoneInfo,
    clock: Clock,
) -> "Paid":
    expire_lots(session, accounts, zone, clock)
    books = _Books(session, zone, clock.now(), wallet_store.lock_wallets(session, accounts))
    paid = Paid(None)
    for signed in store.load(session, reserve_ids):
        for step in books.settle(signed, min(through, books.today)):
            paid = paid.with_step(step.kind, step.amount_minor)
    books.write()
    return paid


@dataclass(frozen=True, slots=True)
class Paid:
    """What a block of payments came to."""

    last_id: int | None
    """Where the next block begins; None where none is left."""
    payments: int = 0
    paid_minor: int = 0
    returned: int = 0
    returned_minor: int = 0

    def with_step(self, kind: StepKind, amount_minor: int) -> "Paid":
        """Return it with one more step."""
        if kind is StepKind.RETURNED:
            return replace(
                self,
                returned=self.returned + 1,
                returned_minor=self.returned_minor - amount_minor,
            )
        return replace(self, payments=self.payments + 1, paid_minor=self.paid_minor + amount_minor)

    def plus(self, other: "Paid") -> "Paid":
        """Return both together, the latter's place kept."""
        return Paid(
            other.last_id,
            self.payments + other.payments,
            self.paid_minor + other.paid_minor,
            self.returned + other.returned,
            self.returned_minor + other.returned_minor,
        )


@dataclass(frozen=True, slots=True)
class OfferCost:
    """What the reserves of one offer cost in a period, all its versions together."""

    offer: PublishedOffer
    """Its newest version that anyone signed."""
    reserves: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class CostReport:
    """What reserves cost in a period, and what the same money would have cost on credit."""

    start: date
    end: date
    by_offer: tuple[OfferCost, ...]
    total: Cost
    credit_known: bool
    """False where no rate of credit is stated for the whole period: then it counts as nothing."""


def cost_report(session: Session, scope: Scope, start: date, end: date) -> CostReport:
    """Return what reserves in reach cost in the days from `start` up to `end`."""
    scope.demand(Right.VIEW_STAFF)
    rates = store.credit_rates(session)
    credit = rates or Rates((pure.Rate(start, 0),))
    of_offer: dict[str, list[SignedReserve]] = {}
    for signed in store.reserves_between(session, scope, start, end):
        of_offer.setdefault(signed.offer.code, []).append(signed)

    def costs(found: Sequence[SignedReserve]) -> Cost:
        return pure.cost([one.reserve for one in found], start, end, credit)

    return CostReport(
        start=start,
        end=end,
        by_offer=tuple(
            OfferCost(
                max((s.offer for s in found), key=lambda o: o.version), len(found), costs(found)
            )
            for _, found in sorted(of_offer.items())
        ),
        total=costs([one for found in of_offer.values() for one in found]),
        credit_known=rates is not None and rates.at(start) is not None,
    )


@dataclass(frozen=True, slots=True)
class ReserveFault:
    """One thing about reserves that is not as it must be."""

    account_id: AccountId
    problem: str
    expected: str
    found: str


def verify(session: Session) -> Iterator[ReserveFault]:
    """Yield where reserves, their movements and the ledger differ; nothing where all is right."""
    after_id = 0
    while ids := store.ids_in_order(session, after_id, RESERVES_A_LOOK):
        reserves = store.load(session, ids)
        entries = [one.entry_id for s in reserves for one in s.posted if one.entry_id is not None]
        amounts = store.entry_amounts(session, sorted(set(entries)))
        for signed in reserves:
            yield from _verified(signed, amounts)
        after_id = ids[-1]
    for account_id, sequence, amount_minor in store.strays(session):
        problem = mark("An entry moves a reserve that knows nothing of it.")
        yield ReserveFault(account_id, problem, "", f"{sequence}: {amount_minor}")


def _verified(signed: SignedReserve, amounts: dict[int, tuple[int, int]]) -> Iterator[ReserveFault]:
    into: dict[int, int] = {}
    moved: dict[int, int] = {}
    for one in signed.posted:
        if one.entry_id is None:
            continue
        kept = one.kind in KEPT
        into[one.entry_id] = into.get(one.entry_id, 0) + (one.amount_minor if kept else 0)
        gained = -one.amount_minor if kept else one.amount_minor
        moved[one.entry_id] = moved.get(one.entry_id, 0) + gained
    for entry_id, amount_minor in moved.items():
        told, reserves = amounts.get(entry_id, (0, 0))
        if reserves != into[entry_id]:
            problem = mark("The account of reserves does not hold what a movement set aside.")
            yield ReserveFault(signed.account_id, problem, str(into[entry_id]), str(reserves))
        if told != amount_minor:
            problem = mark("An entry does not come to the movements of its reserve.")
            yield ReserveFault(signed.account_id, problem, str(amount_minor), str(told))
    expected = project(signed.reserve, signed.last_on)
    if (expected.kept_minor, expected.bonus_minor) != (signed.kept_minor, signed.bonus_minor):
        problem = mark("A reserve is not what its offer makes of its movements.")
        yield ReserveFault(
            signed.account_id,
            problem,
            f"{expected.kept_minor} + {expected.bonus_minor}",
            f"{signed.kept_minor} + {signed.bonus_minor}",
        )


@dataclass(slots=True)
class _Books:
    """Wallets under their locks, with the movements of reserves that go with their new entries."""

    session: Session
    zone: ZoneInfo
    now: datetime
    wallets: dict[AccountId, Wallet] = field(default_factory=dict)
    rows: list[tuple[AccountId, int | None, dict[str, Any]]] = field(default_factory=list)
    """Account, place of the entry among its wallet's new ones, and the row without its entry."""
    numbers: dict[int, int] = field(default_factory=dict)
    kept_minor: dict[int, int] = field(default_factory=dict)
    bonus_minor: dict[int, int] = field(default_factory=dict)
    written: dict[AccountId, wallet_store.Written] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The retailer's local day."""
        return local_date(self.now, self.zone)

    def settle(self, signed: SignedReserve, through: date) -> tuple[Due, ...]:
        """Enter what the days up to `through` have brought, each valid at the day it came."""
        self._begin(signed)
        steps = due(signed, through)
        for step in steps:
            at = local_midnight(step.on, self.zone)
            facts = self._facts(
                Reason.RESERVE_BONUS if step.kind is StepKind.PAID else Reason.RESERVE_RETURN,
                at,
                SYSTEM,
                f"{rule_of(signed.id)}:{step.kind}:{step.on}",
                str(step.amount_minor),
                signed.id,
            )
            if step.kind is StepKind.PAID:
                self._pay(signed, step.amount_minor, step.on, facts, SYSTEM)
            else:
                returned = -step.amount_minor
                self._enter(signed, returned, (to_wallet(RESERVES, returned),), facts)
                self._note(signed, step.kind, step.on, step.amount_minor, SYSTEM)
        return steps

    def add(
        self, signed: SignedReserve, amount_minor: int, actor: str, key: str, digest: str
    ) -> int:
        """Enter money set aside today; return the place of its entry."""
        self._begin(signed)
        wallet = self.wallets[signed.account_id]
        kept_minor = self.kept_minor[signed.id] + amount_minor
        facts = self._facts(
            Reason.SET_ASIDE,
            self.now,
            actor,
            key,
            digest,
            signed.id,
            kept=kept_minor,
            bonus=self.bonus_minor[signed.id],
            balance=wallet.posted_minor - amount_minor,
            covered=0,
        )
        posting = from_wallet(RESERVES, amount_minor)
        wallet.take(amount_minor, (posting,), facts, lambda lot: lot.kind is LotKind.OWN)
        self._note(signed, StepKind.ADDED, self.today, amount_minor, actor)
        return len(wallet.entries) - 1

    def take_out(self, signed: SignedReserve, loss: Loss, actor: str, key: str, digest: str) -> int:
        """Enter what is taken out today and what of the bonus goes back; return its place."""
        wallet = self.wallets[signed.account_id]
        withdrawal, shares = loss.withdrawal, loss.shares
        number = self.numbers[signed.id] + 1
        after_minor = withdrawal.paid_minor - shares.from_bonus_minor
        facts = self._facts(
            Reason.RESERVE_RETURN,
            self.now,
            actor,
            key,
            digest,
            signed.id,
            kept=self.kept_minor[signed.id] - withdrawal.amount_minor,
            bonus=self.bonus_minor[signed.id]
            + withdrawal.paid_minor
            - withdrawal.clawed_back_minor,
            balance=wallet.posted_minor + loss.returning_minor + after_minor,
            covered=min(wallet.new_debt_minor, loss.returning_minor),
            clawed_back=withdrawal.clawed_back_minor,
            withheld=shares.from_reserve_minor,
        )
        postings = [to_wallet(RESERVES, withdrawal.amount_minor)]
        if shares.from_reserve_minor:
            postings.append(from_wallet(BONUS_EXPENSE, shares.from_reserve_minor))
        self._enter(signed, loss.returning_minor, tuple(postings), facts)
        place = len(wallet.entries) - 1
        self._note(signed, StepKind.TAKEN_OUT, self.today, -withdrawal.amount_minor, actor)

        def own(reason: Reason, kind: StepKind) -> Facts:
            # The program's own key: what a person's key asks for is the entry above.
            made = f"{rule_of(signed.id)}:{kind}:{self.today}:{number}"
            return self._facts(reason, self.now, SYSTEM, made, digest, signed.id, asked_by=actor)

        if withdrawal.paid_minor:
            self._pay(
                signed,
                withdrawal.paid_minor,
                self.today,
                own(Reason.RESERVE_BONUS, StepKind.PAID),
                actor,
            )
        back = StepKind.CLAWED_BACK
        if shares.from_reserve_minor:
            taken_minor = -shares.from_reserve_minor
            self._note(signed, back, self.today, taken_minor, actor, "reserve", place)
        if shares.from_bonus_minor:
            posting = from_wallet(BONUS_EXPENSE, shares.from_bonus_minor)
            facts = own(Reason.CLAW_BACK, back)
            rule = rule_of(signed.id)
            wallet.take(shares.from_bonus_minor, (posting,), facts, lambda lot: lot.rule == rule)
            self._note(signed, back, self.today, -shares.from_bonus_minor, actor, "bonus")
        for source, minor in (("expired", shares.expired_minor), ("waived", shares.waived_minor)):
            if minor:
                self._note(signed, back, self.today, -minor, actor, source, None)
        return place

    def write(self) -> None:
        """Write the wallets, and the movements with the ids of their entries."""
        self.written = wallet_store.write(self.session, list(self.wallets.values()))
        rows = [
            row | {"entry_id": None if place is None else self.written[account_id].entry_ids[place]}
            for account_id, place, row in self.rows
        ]
        if rows:
            self.session.execute(insert(ReserveMovementRow), rows)

    def answer(self, signed: SignedReserve, place: int, loss: Loss | None = None) -> Done:
        """Return what became of an order whose entry is at a place; `write` was called."""
        return Done(
            reserve_id=signed.id,
            entry_id=self.written[signed.account_id].entry_ids[place],
            repeated=False,
            kept_minor=self.kept_minor[signed.id],
            bonus_minor=self.bonus_minor[signed.id],
            balance_minor=self.wallets[signed.account_id].posted_minor,
            clawed_back_minor=0 if loss is None else loss.withdrawal.clawed_back_minor,
            withheld_minor=0 if loss is None else loss.shares.from_reserve_minor,
        )

    def _begin(self, signed: SignedReserve) -> None:
        self.numbers.setdefault(signed.id, len(signed.posted))
        self.kept_minor.setdefault(signed.id, signed.kept_minor)
        self.bonus_minor.setdefault(signed.id, signed.bonus_minor)

    def _pay(
        self, signed: SignedReserve, amount_minor: int, on: date, facts: Facts, actor: str
    ) -> None:
        lives = timedelta(days=signed.offer.offer.bonus_expires_after_days)
        self.wallets[signed.account_id].put(
            amount_minor,
            (to_wallet(BONUS_EXPENSE, amount_minor),),
            facts,
            kind=LotKind.BONUS,
            expires_at=local_midnight(on + lives, self.zone),
            rule=rule_of(signed.id),
        )
        self._note(signed, StepKind.PAID, on, amount_minor, actor)

    def _enter(
        self, signed: SignedReserve, amount_minor: int, postings: Sequence[Posting], facts: Facts
    ) -> NewEntry:
        """Enter what comes back as own money; nothing does where all of it was withheld."""
        wallet = self.wallets[signed.account_id]
        if not amount_minor:
            return wallet.take(0, postings, facts)
        entry, _ = wallet.put(amount_minor, postings, facts)
        return entry

    def _facts(
        self,
        reason: Reason,
        at: datetime,
        actor: str,
        key: str,
        digest: str,
        reserve_id: int,
        **detail: object,
    ) -> Facts:
        return Facts(
            reason=reason,
            valid_at=at,
            recorded_at=self.now,
            month=Month.of(local_date(at, self.zone)).ordinal,
            actor=actor,
            idempotency_key=key,
            request_digest=digest,
            detail=canonical_json({"reserve": reserve_id, **detail}),
        )

    def _note(
        self,
        signed: SignedReserve,
        kind: StepKind,
        on: date,
        amount_minor: int,
        actor: str,
        source: str = "",
        place: int | None = -1,
    ) -> None:
        """Keep a movement of the reserve, by the newest entry of its wallet unless told which."""
        if place == -1:
            place = len(self.wallets[signed.account_id].entries) - 1
        moved = self.kept_minor if kind in KEPT else self.bonus_minor
        moved[signed.id] += amount_minor
        self.numbers[signed.id] += 1
        row = {
            "reserve_id": signed.id,
            "number": self.numbers[signed.id],
            "kind": kind,
            "on": on,
            "amount_minor": amount_minor,
            "actor": actor,
            "detail": canonical_json({"from": source}) if source else "",
            "recorded_at": self.now,
        }
        self.rows.append((signed.account_id, place, row))


def _opened(
    session: Session, scope: Scope, account_id: AccountId, zone: ZoneInfo, clock: Clock
) -> _Books:
    """Lock the wallet of an account in reach, what has expired posted."""
    scope.demand(Right.VIEW if scope.role is Role.RESIDENT else Right.MANAGE_WALLETS)
    query = select(func.count()).where(
        WalletRow.account_id == account_id,
        account_in_scope(WalletRow.__table__.c.account_id, scope),
    )
    if not session.scalars(query.select_from(WalletRow)).one():
        raise NotFound(what=mark("account"), name=str(account_id))
    expire_lots(session, [account_id], zone, clock)
    wallets = wallet_store.lock_wallets(session, [account_id])
    wallet_store.load_holds(session, list(wallets.values()))
    return _Books(session, zone, clock.now(), wallets)


def _known(session: Session, scope: Scope, key: str, digest: str) -> Done | None:
    """Return what was done for the key; refuse it where it asked for something else."""
    answer = wallet_store.answers(session, scope.actor, [key]).get(key)
    if answer is None:
        return None
    reserve_id = store.by_entry(session, answer.entry_id)
    if answer.request_digest != digest or reserve_id is None:
        raise RequestConflict(key=key)
    told = json.loads(answer.detail)
    return Done(
        reserve_id=reserve_id,
        entry_id=answer.entry_id,
        repeated=True,
        kept_minor=told["kept"],
        bonus_minor=told["bonus"],
        balance_minor=told["balance"],
        clawed_back_minor=told.get("clawed_back", 0),
        withheld_minor=told.get("withheld", 0),
    )


def _read_wallet(session: Session, scope: Scope, account_id: AccountId, now: datetime) -> Wallet:
    """Return a wallet to reckon with, not to write."""
    lots = [one.lot for one in wallet_store.lots_of(session, scope, account_id)]
    balance = wallet_store.balances(session, [account_id], now)[account_id]
    return Wallet(
        id=WalletId(0),
        account_id=account_id,
        uncovered_minor=balance.uncovered_minor,
        opening_debt_minor=balance.opening_debt_minor,
        lots=tuple(lot for lot in lots if lot.alive_at(now)),
        lot_count=max([lot.number for lot in lots], default=0),
        entry_count=0,
        head_digest="",
        closed_through_month=None,
    )


def _loss(books: _Books, signed: SignedReserve, amount_minor: int, actor: str) -> Loss:
    withdrawal = pure.take_out(signed.reserve, books.today, amount_minor, actor)
    rule = rule_of(signed.id)
    wallet = books.wallets[signed.account_id]
    left_minor = spendable_minor([lot for lot in wallet.lots if lot.rule == rule], books.now)
    counted = sum(
        [
            -one.amount_minor
            for one in signed.posted
            if one.detail == canonical_json({"from": "expired"})
        ]
    )
    expired = store.expired_minor(books.session, signed.account_id, rule) - counted
    shares = claw_back(
        withdrawal.clawed_back_minor,
        bonus_left_minor=left_minor,
        returning_minor=amount_minor,
        expired_minor=expired,
    )
    return Loss(withdrawal, shares, amount_minor - shares.from_reserve_minor)


def _set_aside(wallet: Wallet, amount_minor: int, now: datetime) -> None:
    """Refuse what is not the resident's own free money."""
    held_minor = sum(one.amount_minor for one in wallet.holds.values() if not one.payer)
    set_aside(
        wallet.lots,
        amount_minor,
        uncovered_minor=wallet.new_debt_minor,
        held_minor=held_minor,
        at=now,
    )


def _refuse_over(signed: SignedReserve, books: _Books) -> None:
    if not books.kept_minor[signed.id]:
        raise ReserveOver(offer=signed.offer.name, signed=signed.signed_on)


def _refuse_amount(account_id: AccountId, amount_minor: int, key: str) -> None:
    if amount_minor <= 0:
        raise NotAnAmount(account=account_id, amount=amount_minor)
    if amount_minor > MOST_MINOR:
        raise TooLarge(account=account_id, amount=amount_minor)
    if key.startswith(KEY_START):
        raise Invalid(
            where=mark("idempotency key"),
            problem="%(text)s begins like a key of the wallet's own",
            text=repr(key),
        )


def _demand_publisher(scope: Scope) -> None:
    scope.demand(Right.PUBLISH_TARIFFS)
    if not scope.whole_retailer:
        raise Forbidden(action=DEEDS[Right.PUBLISH_TARIFFS])


def _offer_row(found: OfferDocument, version: int, actor: str, now: datetime) -> ReserveOfferRow:
    return ReserveOfferRow(
        code=found.code,
        version=version,
        name=found.name,
        name_en=found.name_en,
        document=found.text,
        digest=found.digest,
        offered_from=found.terms.offered_from,
        offered_until=found.terms.offered_until,
        published_by=actor,
        recorded_at=now,
    )
