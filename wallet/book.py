"""A wallet at work: operations on values, from which the rows to write are then taken.

Pure: what was loaded goes in, what must be written comes out. Each operation appends an entry to
the wallet's chain and moves its lots. A lot is spent by an operation only if it lives both at the
instant for which that is valid and at the one at which it is recorded: otherwise value given back
to it for an earlier day would expire at once.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from kilokassa.core.digest import canonical_json
from kilokassa.core.ids import AccountId, LotId, WalletId
from wallet.ledger import OPENING_DEBT, Posting, Reason, entry_digest, instant_key, lot_key
from wallet.lots import (
    SPEND_ORDER,
    Draw,
    Lot,
    LotKind,
    Paid,
    after,
    draw_down,
    give_back,
    in_order_of_return,
)

WHOLE_SHARE: Final = 10_000
"""All of what comes in, in basis points."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an entry says of itself beside its amount."""

    reason: Reason
    valid_at: datetime
    recorded_at: datetime
    month: int
    """Ordinal of the local month of `valid_at`; the book month is this one or a later open one."""
    actor: str
    idempotency_key: str
    request_digest: str
    charge_month: int | None = None
    detail: str = ""

    @property
    def at(self) -> datetime:
        """The instant at which a lot must live to take part."""
        return max(self.valid_at, self.recorded_at)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to write, with its postings and draws."""

    facts: Facts
    sequence: int
    amount_minor: int
    balance_before: int
    balance_after: int
    book_month: int
    postings: tuple[Posting, ...]
    draws: tuple[Draw, ...]
    previous_digest: str
    digest: str


@dataclass(frozen=True, slots=True)
class NewLot:
    """A lot to write; `entry` is the place of its entry among the wallet's new ones."""

    lot: Lot
    entry: int


@dataclass(frozen=True, slots=True)
class Held:
    """Kopecks that are held for somebody who asked them back."""

    amount_minor: int
    payer: str = ""
    """Whose advance it is; empty: the account's own money."""


@dataclass(slots=True)
class Wallet:
    """One wallet while it is changed; the only mutable value of this package."""

    id: WalletId
    account_id: AccountId
    uncovered_minor: int
    lots: tuple[Lot, ...]
    lot_count: int
    entry_count: int
    head_digest: str
    closed_through_month: int | None
    credit_lot: int | None = None
    """Number of the lot that is an emergency credit which is open; there is one at a time."""
    opening_debt_minor: int = 0
    """Of what is uncovered, what was owed before the wallet; lots may stand beside it."""
    paid: tuple[Paid, ...] = ()
    """What lots paid before, latest first; loaded only where value is to be given back."""
    holds: Mapping[int, Held] = field(default_factory=dict)
    """What is held, by the id of the hold; loaded only where money is asked for."""
    entries: list[NewEntry] = field(default_factory=list)
    new_lots: list[NewLot] = field(default_factory=list)
    _opening_told_minor: int = field(init=False, default=0)
    """The opening debt that the entries so far account for."""

    def __post_init__(self) -> None:
        self._opening_told_minor = self.opening_debt_minor

    @property
    def lots_minor(self) -> int:
        """What all lots still hold."""
        return sum([lot.remaining_minor for lot in self.lots])

    @property
    def posted_minor(self) -> int:
        """Lots less what is uncovered."""
        return self.lots_minor - self.uncovered_minor

    @property
    def new_debt_minor(self) -> int:
        """What was used and no lot could pay."""
        return self.uncovered_minor - self.opening_debt_minor

    def covered_by(self, amount_minor: int, opening_share: int = 0) -> tuple[int, int]:
        """Return what an amount that comes in covers of the new debt, and of the opening debt.

        The one is covered whole; the other by what is left, at most `opening_share` basis points
        of the amount, rounded down: as `wallet.payments.split` shows it before paying.
        """
        new_minor = min(amount_minor, self.new_debt_minor)
        capped_minor = amount_minor * opening_share // WHOLE_SHARE
        opening_minor = min(self.opening_debt_minor, capped_minor, amount_minor - new_minor)
        return new_minor, opening_minor

    def take(
        self,
        amount_minor: int,
        postings: Sequence[Posting],
        facts: Facts,
        among: Callable[[Lot], bool] | None = None,
        *,
        services: Mapping[str, int] | None = None,
        before_wallet: bool = False,
    ) -> NewEntry:
        """Pay `amount_minor` from the lots, or those of a kind; what they cannot is uncovered.

        A lot restricted to a service pays at most that one's part; without `among`, none else.
        What is owed from before the wallet is repaid by shares of what comes in later.
        """
        if among is None:
            lots, services = self.lots, services or {}
        else:
            lots = tuple(lot for lot in self.lots if among(lot))
        drawdown = draw_down(lots, amount_minor, at=facts.at, services=services)
        before = self.posted_minor
        self.lots = after(self.lots, drawdown.draws)
        self.uncovered_minor += drawdown.uncovered_minor
        if before_wallet:
            self.opening_debt_minor += drawdown.uncovered_minor
        return self._enter(-amount_minor, before, postings, drawdown.draws, facts)

    def put(
        self,
        amount_minor: int,
        postings: Sequence[Posting],
        facts: Facts,
        *,
        kind: LotKind = LotKind.OWN,
        expires_at: datetime | None = None,
        rule: str = "",
        service: str = "",
        payer: str = "",
        opening_share: int = 0,
    ) -> tuple[NewEntry, int]:
        """Take in a new lot; it first covers what is owed. Return the entry and what it covered.

        What was used is covered whole, what was owed before the wallet by a share (`covered_by`).
        Own money then fills up an emergency credit. A credit, and what is restricted to a service,
        cover nothing that was owed before them: the one is for what comes, the other may not.
        """
        before = self.posted_minor
        lot = self._new_lot(amount_minor, kind, facts.valid_at, expires_at, rule, service, payer)
        covered_minor = refilled_minor = 0
        draws: tuple[Draw, ...] = ()
        if kind is LotKind.CREDIT:
            assert self.credit_lot is None, self.credit_lot
            self.credit_lot = lot.number
        elif lot.alive_at(facts.at) and not service:
            new_minor, opening_minor = self.covered_by(amount_minor, opening_share)
            covered_minor = new_minor + opening_minor
            self.opening_debt_minor -= opening_minor
            credit = self._credit() if kind is LotKind.OWN else None
            if credit is not None:
                used_minor = credit.amount_minor - credit.remaining_minor
                refilled_minor = min(amount_minor - covered_minor, used_minor)
            if refilled_minor and credit is not None:
                draws = (Draw(credit.id, -refilled_minor),)
            if covered_minor + refilled_minor:
                draws = (*draws, Draw(lot.id, covered_minor + refilled_minor))
        self.lots = after(self.lots, draws)
        self.uncovered_minor -= covered_minor
        return self._enter(amount_minor, before, postings, draws, facts), covered_minor

    def restore(
        self,
        amount_minor: int,
        postings: Sequence[Posting],
        facts: Facts,
        *,
        services: Mapping[str, int] | None = None,
        reviving: bool = False,
    ) -> tuple[Draw, ...]:
        """Give value back: to what was used, to the lots that paid, to what was owed before.

        What is left after that is a lot of its own. The lots that paid the corrected month come
        first, then all others, latest first. Return the draws by which expired lots got something
        back; what they hold must be granted anew.
        """
        before = self.posted_minor
        by_id = {lot.id: lot for lot in self.lots}
        net = in_order_of_return((*self._paid_now(), *self.paid), facts.charge_month)
        payers = [payer for payer in net if payer.lot_id in by_id]
        # A lot for one service has the first claim to what comes back of it: it pays nothing else.
        payers.sort(
            key=lambda p: (p.charge_month != facts.charge_month, not by_id[p.lot_id].service)
        )
        back = give_back(
            amount_minor,
            uncovered_minor=self.new_debt_minor,
            paid=[(by_id[payer.lot_id], payer.amount_minor) for payer in payers],
            at=facts.at,
            services=services or {},
            reviving=reviving,
        )
        self.uncovered_minor -= back.covered_minor
        self.lots = after(self.lots, back.draws)
        # What no lot had paid was owed: so it lowers the opening debt before it is anybody's own.
        opening_minor = min(back.new_lot_minor, self.opening_debt_minor)
        self.uncovered_minor -= opening_minor
        self.opening_debt_minor -= opening_minor
        if back.new_lot_minor > opening_minor:
            own_minor = back.new_lot_minor - opening_minor
            self._new_lot(own_minor, LotKind.RETURNED, facts.valid_at, None, "")
        self._enter(amount_minor, before, postings, back.draws, facts)
        return back.revived

    def expire(
        self,
        lot: Lot,
        postings: Sequence[Posting],
        facts: Facts,
        *,
        amount_minor: int | None = None,
    ) -> NewEntry:
        """Take what is left of a lot that may no longer be spent, or an amount of it."""
        before = self.posted_minor
        draw = Draw(lot.id, lot.remaining_minor if amount_minor is None else amount_minor)
        self.lots = after(self.lots, (draw,))
        return self._enter(-draw.amount_minor, before, postings, (draw,), facts)

    def take_back(
        self,
        lot_id: LotId,
        amount_minor: int,
        postings: Sequence[Posting],
        facts: Facts,
        *,
        opening_minor: int = 0,
    ) -> NewEntry:
        """Take an amount back that came as one lot.

        What it had repaid of the opening debt is owed from before again. What else was spent of it
        already, other lots now pay; what none can pay is uncovered.
        """
        before = self.posted_minor
        held_minor = sum(lot.remaining_minor for lot in self.lots if lot.id == lot_id)
        own = Draw(lot_id, min(held_minor, amount_minor))
        others = [lot for lot in self.lots if lot.id != lot_id]
        owed_minor = min(opening_minor, amount_minor - own.amount_minor)
        spent_minor = amount_minor - own.amount_minor - owed_minor
        rest = draw_down(others, spent_minor, at=facts.at, services={})
        draws = (*((own,) if own.amount_minor else ()), *rest.draws)
        self.lots = after(self.lots, draws)
        self.uncovered_minor += rest.uncovered_minor + owed_minor
        self.opening_debt_minor += owed_minor
        if any(lot.id == lot_id and lot.number == self.credit_lot for lot in self.lots):
            self.credit_lot = None
        return self._enter(-amount_minor, before, postings, draws, facts)

    def _credit(self) -> Lot | None:
        found = (lot for lot in self.lots if lot.number == self.credit_lot)
        return None if self.credit_lot is None else next(found, None)

    def _paid_now(self) -> list[Paid]:
        """Return what lots paid by entries that are not written yet, latest first."""
        return [
            Paid(draw.lot_id, entry.facts.charge_month, draw.amount_minor)
            for entry in reversed(self.entries)
            if entry.facts.reason is not Reason.EXPIRY
            for draw in reversed(entry.draws)
        ]

    def _new_lot(
        self,
        amount_minor: int,
        kind: LotKind,
        came_at: datetime,
        expires_at: datetime | None,
        rule: str,
        service: str = "",
        payer: str = "",
    ) -> Lot:
        self.lot_count += 1
        lot = Lot(
            id=LotId(-self.lot_count),  # until it is written and has an id of its own
            number=self.lot_count,
            kind=kind,
            spend_order=SPEND_ORDER[kind],
            amount_minor=amount_minor,
            remaining_minor=amount_minor,
            came_at=came_at,
            expires_at=expires_at,
            rule=rule,
            service=service,
            payer=payer,
        )
        self.lots = (*self.lots, lot)
        self.new_lots.append(NewLot(lot, len(self.entries)))
        return lot

    def _enter(
        self,
        amount_minor: int,
        before: int,
        postings: Sequence[Posting],
        draws: Sequence[Draw],
        facts: Facts,
    ) -> NewEntry:
        balance = self.posted_minor
        assert before + amount_minor == balance, (before, amount_minor, balance)
        assert 0 <= self.opening_debt_minor <= self.uncovered_minor, self.opening_debt_minor
        opening_minor = self.opening_debt_minor - self._opening_told_minor
        if opening_minor:
            told = json.loads(facts.detail or "{}") | {OPENING_DEBT: opening_minor}
            facts = replace(facts, detail=canonical_json(told))
            self._opening_told_minor = self.opening_debt_minor
        closed = self.closed_through_month
        book_month = facts.month if closed is None else max(facts.month, closed + 1)
        numbers = {lot.id: lot.number for lot in self.lots}
        place = len(self.entries)
        came = [new for new in reversed(self.new_lots) if new.entry == place]
        self.entry_count += 1
        digest = entry_digest(
            self.head_digest,
            (
                self.account_id,
                self.entry_count,
                facts.reason,
                amount_minor,
                before,
                balance,
                instant_key(facts.valid_at),
                instant_key(facts.recorded_at),
                book_month,
                facts.charge_month,
                facts.actor,
                facts.idempotency_key,
                facts.request_digest,
                facts.detail,
            ),
            [(p.debit, p.credit, p.amount_minor) for p in postings],
            sorted([(numbers[d.lot_id], d.amount_minor, d.service) for d in draws]),
            [_lot_key(new.lot) for new in came],
        )
        entry = NewEntry(
            facts=facts,
            sequence=self.entry_count,
            amount_minor=amount_minor,
            balance_before=before,
            balance_after=balance,
            book_month=book_month,
            postings=tuple(postings),
            draws=tuple(draws),
            previous_digest=self.head_digest,
            digest=digest,
        )
        self.head_digest = digest
        self.entries.append(entry)
        return entry


def _lot_key(lot: Lot) -> str:
    return lot_key(
        lot.number,
        lot.kind,
        lot.spend_order,
        lot.amount_minor,
        lot.came_at,
        lot.expires_at,
        lot.rule,
        lot.service,
        lot.payer,
    )
