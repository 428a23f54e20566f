"""Charge lines as values: gathered from the subjects, totalled, compared with what stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from billing.models import LineKind, Service
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId, TariffVersionId


@dataclass(frozen=True, slots=True)
class NewLine:
    """A charge line before it rests: quantity x rate, already rounded once to `amount_minor`."""

    service: Service
    key: str
    quantity: int
    rate_scaled: int
    amount_minor: int
    period_start: datetime
    period_end: datetime
    input_digest: str
    tariff_version_id: TariffVersionId | None = None
    estimated: int = 0
    detail: str = ""
    kind: LineKind = LineKind.ORIGINAL


@dataclass(frozen=True, slots=True)
class AccountCharge:
    """What one account owes for one month, and which facts could not be had."""

    account_id: AccountId
    lines: tuple[NewLine, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def digest(self) -> str:
        """Digest of the lines: the same lines for an account and month are the same request."""
        return digest_text(
            "|".join(
                f"{n.service}:{n.kind}:{n.key}:{n.quantity}:{n.rate_scaled}:{n.amount_minor}"
                f":{n.input_digest}"
                for n in self.lines
            )
        )

    def total_minor(self, service: Service) -> int:
        """Return the sum of the lines of one service."""
        return sum(line.amount_minor for line in self.lines if line.service is service)


def zone_of(line_key: str) -> str:
    """Return the zone that a line key of electricity starts with."""
    return line_key.split("/", 1)[0]


def range_of(line_key: str) -> int:
    """Return the consumption range of a line key, 0 where the plan has none."""
    parts = line_key.split("/")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def by_zone(quantities: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return what pairs of a line key and a quantity come to by zone.

    >>> by_zone([("day/-/2022-07-01", 5), ("night/-/2022-07-01", 1), ("day/-/2022-12-01", 2)])
    {'day': 7, 'night': 1}
    """
    sums: dict[str, int] = {}
    for key, quantity in quantities:
        sums[zone_of(key)] = sums.get(zone_of(key), 0) + quantity
    return sums


def correcting_lines(standing: Sequence[NewLine], right: Sequence[NewLine]) -> tuple[NewLine, ...]:
    """Return the reversing and the right lines that turn `standing` into `right`.

    A line whose quantity, rate and amount already are right is left alone, even where it was
    computed from another state of the readings: the amounts on paper stay traceable to the state
    they were computed from, which the interval store keeps.
    """
    known = {(line.service, line.key): line for line in standing}
    wanted = {(line.service, line.key): line for line in right}
    lines: list[NewLine] = []
    for key in sorted(known.keys() | wanted.keys()):
        old, new = known.get(key), wanted.get(key)
        if old is not None and new is not None and _same(old, new):
            continue
        if old is not None and (old.quantity or old.amount_minor):
            lines.append(_reversing(old))
        if new is not None and (new.quantity or new.amount_minor):
            lines.append(replace(new, kind=LineKind.CORRECTION))
    return tuple(lines)


def net_minor(lines: Iterable[NewLine], service: Service) -> int:
    """Return what the lines of a service come to together."""
    return sum(line.amount_minor for line in lines if line.service is service)


def _same(old: NewLine, new: NewLine) -> bool:
    return (old.quantity, old.rate_scaled, old.amount_minor) == (
        new.quantity,
        new.rate_scaled,
        new.amount_minor,
    )


def _reversing(old: NewLine) -> NewLine:
    return replace(
        old,
        kind=LineKind.REVERSAL,
        quantity=-old.quantity,
        amount_minor=-old.amount_minor,
        estimated=-old.estimated,
    )
