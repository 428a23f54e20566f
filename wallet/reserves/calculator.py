"""What a reserve would come to: shown before anything is signed, by the functions that post it."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from wallet.reserves.reserve import (
    Offer,
    Projection,
    Reserve,
    Working,
    months_after,
    project,
    sign,
    take_out,
    workings,
)

ASKED_BY: Final = "calculator"


@dataclass(frozen=True, slots=True)
class Broken:
    """What taking everything out on a day would leave."""

    on: date
    paid_minor: int
    """The bonus that was paid by then."""
    clawed_back_minor: int
    """What of it goes back."""
    bonus_minor: int
    """What of the bonus stays."""
    lost_minor: int
    """What keeping to the end would have brought more."""


@dataclass(frozen=True, slots=True)
class Calculation:
    """A reserve that nobody has signed: its life to the end, and what breaking it would cost."""

    reserve: Reserve
    projection: Projection
    workings: tuple[Working, ...]
    broken: tuple[Broken, ...]
    """On the same day of each month of the term, and on the day asked for."""


def calculate(
    offer: Offer, on: date, amount_minor: int, *, broken_on: date | None = None
) -> Calculation:
    """Return what an amount set aside on a day would come to; refused as signing would be."""
    reserve = sign(offer, on, amount_minor, ASKED_BY)
    projection = project(reserve, reserve.ends_on)
    days = {months_after(on, number) for number in range(1, offer.term_months)}
    if broken_on is not None:
        days.add(broken_on)
    return Calculation(
        reserve,
        projection,
        workings(reserve, reserve.ends_on),
        tuple(_broken(reserve, projection.bonus_minor, day) for day in sorted(days)),
    )


def _broken(reserve: Reserve, whole_minor: int, on: date) -> Broken:
    """Return what breaking the whole reserve on a day leaves; a day outside the term is refused."""
    withdrawal = take_out(reserve, on, reserve.movements[0].amount_minor, ASKED_BY)
    kept_minor = project(withdrawal.reserve, on).bonus_minor
    return Broken(
        on,
        project(reserve, on).bonus_minor,
        withdrawal.clawed_back_minor,
        kept_minor,
        whole_minor - kept_minor,
    )
