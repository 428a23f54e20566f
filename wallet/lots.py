"""Lots: what is spent first, what value that comes back goes to, what will expire."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from kilokassa.core.ids import LotId


class LotKind(StrEnum):
    """Where a lot's money came from."""

    OWN = "own"
    BONUS = "bonus"
    COMPENSATION = "compensation"
    RETURNED = "returned"
    ADVANCE = "advance"
    """Money of a third person, which goes back to that person alone."""
    CREDIT = "credit"
    """Emergency credit: spent last, and filled up again by the next top-up."""


SPEND_ORDER: Final = {
    LotKind.BONUS: 10,
    LotKind.COMPENSATION: 20,
    LotKind.ADVANCE: 30,
    LotKind.RETURNED: 40,
    LotKind.OWN: 50,
    LotKind.CREDIT: 90,
}
"""Lower is spent first: a bonus, which may expire, before own money, which does not."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lot:
    """Money of a wallet that came together and expires together."""

    id: LotId
    number: int
    kind: LotKind
    spend_order: int
    amount_minor: int
    remaining_minor: int
    came_at: datetime
    expires_at: datetime | None = None
    rule: str = ""
    """The bonus rule or the reserve that granted it."""
    service: str = ""
    """The only service that it pays; empty where it pays any."""
    payer: str = ""
    """Who paid it, where that is not the payer of the account."""

    def __post_init__(self) -> None:
        if not 0 <= self.remaining_minor <= self.amount_minor:
            raise ValueError(f"a lot holds between nothing and its amount: {self!r}")

    def alive_at(self, at: datetime) -> bool:
        """Say whether the lot may be spent at `at`: before, but not at, `expires_at`."""
        return self.expires_at is None or at < self.expires_at


@dataclass(frozen=True, slots=True)
class Draw:
    """What was taken from one lot; negative where value came back to it."""

    lot_id: LotId
    amount_minor: int
    service: str = ""
    """What a lot paid that is restricted to a service; others pay any of it."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What one lot paid towards one month; `charge_month` is None for what was owed before."""

    lot_id: LotId
    charge_month: int | None
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Drawdown:
    """Which lots paid, and what none could pay."""

    draws: tuple[Draw, ...]
    uncovered_minor: int


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Where value that came back went."""

    covered_minor: int
    """What lowered the uncovered amount."""
    draws: tuple[Draw, ...]
    """Negative draws: what returned to the lots that had paid."""
    new_lot_minor: int
    """What no living lot had paid: it becomes a lot of its own."""
    revived: tuple[Draw, ...] = ()
    """Of the draws, those that went to expired lots: what they hold is granted anew."""


@dataclass(frozen=True, slots=True)
class GracePolicy:
    """What becomes of value that a correction returns to a lot that has expired since.

    >>> GracePolicy.parse("30 days")
    GracePolicy(name='30 days', days=30)
    """

    name: str
    days: int | None
    """It lives on so many days, as what it was; None: it goes to other payers, or is kept."""

    def __post_init__(self) -> None:
        if self.days is not None and not 1 <= self.days <= MOST_GRACE_DAYS:
            raise ValueError(f"days of grace are between 1 and {MOST_GRACE_DAYS}: {self!r}")

    @classmethod
    def parse(cls, text: str) -> "GracePolicy":
        """Return the policy that `own` or a number of days names; else ValueError."""
        if text.strip() == OWN_POLICY.name:
            return OWN_POLICY
        days = int(text.strip().removesuffix("days"))
        return cls(f"{days} days", days)


MOST_GRACE_DAYS: Final = 3_660

OWN_POLICY: Final = GracePolicy("own", None)
"""Value that no living lot had paid becomes the resident's own, without expiry."""


def draw_down(
    lots: Iterable[Lot],
    amount_minor: int,
    *,
    at: datetime,
    services: Mapping[str, int] | None = None,
) -> Drawdown:
    """Spend `amount_minor` from `lots`: lower spend order, then earlier expiry, then older.

    A lot that is restricted to a service pays at most that one's part of `services`; where there
    is a choice between two that expire together, it goes first. None: any lot pays anything.
    """
    assert amount_minor >= 0, amount_minor
    draws = []
    left_minor = amount_minor
    parts = dict(services or {})
    for lot in sorted((lot for lot in lots if lot.alive_at(at)), key=_spending_order):
        taken_minor = min(lot.remaining_minor, left_minor)
        bound = lot.service if services is not None else ""
        if bound:
            taken_minor = min(taken_minor, parts.get(bound, 0))
            parts[bound] = parts.get(bound, 0) - taken_minor
        if taken_minor > 0:
            draws.append(Draw(lot.id, taken_minor, bound))
            left_minor -= taken_minor
    assert sum(draw.amount_minor for draw in draws) + left_minor == amount_minor
    return Drawdown(tuple(draws), uncovered_minor=left_minor)


def give_back(
    amount_minor: int,
    *,
    uncovered_minor: int,
    paid: Iterable[tuple[Lot, int]],
    at: datetime,
    services: Mapping[str, int] | None = None,
    reviving: bool = False,
) -> GivenBack:
    """Return value to a wallet: to what is uncovered, then to the lots that paid, in their order.

    `paid` pairs lots with what they paid; `in_order_of_return` says who comes first. A lot that has
    expired gets nothing unless `reviving`, nor is a lot filled above its amount: what is left over
    becomes a lot without expiry, so that a correction never costs the resident anything. A lot that
    is restricted to a service gets at most what `services` give back for it.
    """
    assert amount_minor >= 0, amount_minor
    covered_minor = min(amount_minor, uncovered_minor)
    left_minor = amount_minor - covered_minor
    parts = dict(services or {})
    returned: dict[LotId, int] = {}
    bound: dict[LotId, str] = {}
    expired: set[LotId] = set()
    for lot, paid_minor in paid:
        room_minor = lot.amount_minor - lot.remaining_minor - returned.get(lot.id, 0)
        back_minor = min(left_minor, paid_minor, room_minor)
        bound[lot.id] = lot.service if services is not None else ""
        if bound[lot.id]:
            back_minor = min(back_minor, parts.get(lot.service, 0))
        alive = lot.alive_at(at)
        if back_minor > 0 and (alive or reviving):
            returned[lot.id] = returned.get(lot.id, 0) + back_minor
            left_minor -= back_minor
            if bound[lot.id]:
                parts[lot.service] -= back_minor
            if not alive:
                expired.add(lot.id)
    draws = tuple(Draw(lot_id, -minor, bound[lot_id]) for lot_id, minor in returned.items())
    assert covered_minor - sum(draw.amount_minor for draw in draws) + left_minor == amount_minor
    revived = tuple(draw for draw in draws if draw.lot_id in expired)
    return GivenBack(covered_minor, draws, left_minor, revived)


def in_order_of_return(paid: Iterable[Paid], charge_month: int | None) -> tuple[Paid, ...]:
    """Return who paid how much net, from `paid`, latest first: of the corrected month, then others.

    What a lot was given back for a month it no longer has paid for that month.
    """
    net: dict[tuple[LotId, int | None], int] = {}
    for each in paid:
        key = (each.lot_id, each.charge_month)
        net[key] = net.get(key, 0) + each.amount_minor
    payers = [Paid(lot_id, month, minor) for (lot_id, month), minor in net.items() if minor > 0]
    return tuple(sorted(payers, key=lambda payer: payer.charge_month != charge_month))


def after(lots: Iterable[Lot], draws: Iterable[Draw]) -> tuple[Lot, ...]:
    """Return the lots as they stand after the draws."""
    taken: dict[LotId, int] = {}
    for draw in draws:
        taken[draw.lot_id] = taken.get(draw.lot_id, 0) + draw.amount_minor
    if not taken:
        return tuple(lots)
    return tuple([_less(lot, taken[lot.id]) if lot.id in taken else lot for lot in lots])


def _less(lot: Lot, taken_minor: int) -> Lot:
    # Not by `replace`, which takes four times as long.
    return Lot(
        lot.id,
        lot.number,
        lot.kind,
        lot.spend_order,
        lot.amount_minor,
        lot.remaining_minor - taken_minor,
        lot.came_at,
        lot.expires_at,
        lot.rule,
        lot.service,
        lot.payer,
    )


def spendable_minor(lots: Iterable[Lot], at: datetime) -> int:
    """Return what may be spent at `at`: the balance on a future day, if nothing else moves."""
    return sum(lot.remaining_minor for lot in lots if lot.alive_at(at))


def _spending_order(lot: Lot) -> tuple[int, datetime, bool, datetime, int]:
    ends = lot.expires_at or _NEVER
    return (lot.spend_order, ends, not lot.service, lot.came_at, lot.number)
