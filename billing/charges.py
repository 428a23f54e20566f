"""Charge lines as values: gathered from the subjects, totalled, compared with what stands."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final

from billing.models import CorrectionReason, LineKind, LineUnit, Service
from kilokassa.core.digest import canonical_json, digest_text
from kilokassa.core.ids import AccountId, TariffVersionId
from kilokassa.core.zones import Zone
from metering.estimation.methods import EstimationMethod
from tariffs.lines import ChargeKind

ENERGY_KINDS: Final = frozenset({ChargeKind.ENERGY, ChargeKind.HOURLY})
"""Kinds of lines whose quantity is energy, where their factor is not 0."""


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
    charge: ChargeKind = ChargeKind.ENERGY
    code: str = ""
    unit: LineUnit = LineUnit.WH
    factor: int = 1
    divisor: int = 0
    """The amount is quantity x rate x factor / divisor kopecks, half up; 0: it has no one rate.

    A factor of 0 says of hourly energy that lines by zone have the same Wh already.
    """
    reason: CorrectionReason | None = None

    @property
    def energy_wh(self) -> int:
        """Wh of a line of energy, 0 of any other: summed, each Wh is counted once."""
        counted = self.charge in ENERGY_KINDS and self.service is Service.ELECTRICITY
        return self.quantity if counted and self.factor else 0


@dataclass(frozen=True, slots=True)
class AccountCharge:
    """What one account owes for one month, and which facts could not be had."""

    account_id: AccountId
    lines: tuple[NewLine, ...]
    warnings: tuple[str, ...] = field(default=())
    follows: int = 0
    """Of a correction: the id of the month's last line before it."""

    @property
    def digest(self) -> str:
        """Digest of the lines: the same lines for an account and month are the same request.

        Of a correction, the same lines after the same: a value may be put right, back and right
        again, and each time it is another request.
        """
        lines = "|".join(
            f"{n.service}:{n.kind}:{n.key}:{n.quantity}:{n.rate_scaled}:{n.amount_minor}"
            f":{n.input_digest}"
            for n in self.lines
        )
        return digest_text(f"{lines}|{self.follows}" if self.follows else lines)

    def total_minor(self, service: Service) -> int:
        """Return the sum of the lines of one service."""
        return sum(line.amount_minor for line in self.lines if line.service is service)


@dataclass(frozen=True, slots=True)
class MeterFact:
    """What one meter of an account gave in the month, in Wh, by zone where it has registers."""

    serial: str
    point_code: str
    service: Service
    measured: int
    estimated: int
    zone: Zone | None = None
    previous: int | None = None
    current: int | None = None
    verified_until: date | None = None


@dataclass(frozen=True, slots=True)
class UsedEstimate:
    """How a part of a line's quantity came about, as a document says it."""

    method: EstimationMethod
    months: int = 0
    """Of an own average: over how many months it is taken."""
    article: str = ""
    """Of the rules that call for it; empty where none does."""
    certain: bool = True
    """Whether the rule was read in the law; else the document warns."""

    @classmethod
    def of(cls, method: EstimationMethod, basis: Mapping[str, Any]) -> "UsedEstimate":
        """Return what the basis of an estimate says of it."""
        return cls(
            method,
            months=basis.get("months", 0),
            article=basis.get("article", ""),
            certain=basis.get("certain", True),
        )


def estimates_detail(used: Sequence[UsedEstimate]) -> str:
    """Return the detail of a line whose quantity is estimated, as JSON."""
    return canonical_json(
        {
            "estimates": [
                {
                    "method": str(one.method),
                    "months": one.months,
                    "article": one.article,
                    "certain": one.certain,
                }
                for one in used
            ]
        }
    )


def used_estimates(detail: str) -> tuple[UsedEstimate, ...]:
    """Return the methods that a line's detail names; none for a line that was measured."""
    if not detail:
        return ()
    return tuple(
        UsedEstimate(EstimationMethod(one["method"]), one["months"], one["article"], one["certain"])
        for one in json.loads(detail).get("estimates", ())
    )


def with_name(detail: str, name: str, name_en: str) -> str:
    """Return the detail of a line with the name its charge has in the document it follows from."""
    known = json.loads(detail) if detail else {}
    return canonical_json(known | {"name": {"ru": name, "en": name_en or name}})


def name_of(detail: str, language: str) -> str:
    """Return the name that a line's detail gives its charge; empty where it gives none."""
    names = json.loads(detail).get("name", {}) if detail else {}
    return str(names.get(language) or names.get("ru", ""))


def key_within(key: str, own_day: date | None) -> str:
    """Return the key of a line of one of several stays: the plan's own key, and the stay's day.

    Two plans of a month may both have a line for the night. The lines of an account's first stay
    have no day of their own.

    >>> key_within("night/-/2026-01-01", date(2026, 10, 15))
    'night/-/2026-01-01/stay:2026-10-15'
    """
    return key if own_day is None else f"{key}{_STAY}{own_day}"


_STAY: Final = "/stay:"


def plan_key(line_key: str) -> str:
    """Return the key that the rating gave a line, without the stay.

    >>> plan_key("night/-/2026-01-01/stay:2026-10-15"), plan_key("night/-/2026-01-01")
    ('night/-/2026-01-01', 'night/-/2026-01-01')
    """
    return line_key.split(_STAY, 1)[0]


def zone_of(line_key: str) -> str:
    """Return the zone that a line key of energy starts with; empty for a line of something else.

    >>> zone_of("night/-/2026-01-01"), zone_of("fixed:upkeep/-/2026-01-01")
    ('night', '')
    """
    place = line_key.split("/", 1)[0]
    return place if place in _ZONES else ""


_ZONES: Final = frozenset(str(zone) for zone in Zone)


def range_of(line_key: str) -> int:
    """Return the consumption range of a line key, 0 where the plan has none."""
    parts = line_key.split("/")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def by_zone(quantities: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return what pairs of a line key and Wh of energy come to by zone.

    What is priced by the hour counts for the zone of the whole day.

    >>> by_zone([("day/-/2022-07-01", 5), ("night/-/2022-07-01", 1), ("day/-/2022-12-01", 2)])
    {'day': 7, 'night': 1}
    >>> by_zone([("hourly:rsv/-/2026-10-01", 5), ("fixed:upkeep/-/2026-10-01", 31)])
    {'all': 5}
    """
    sums: dict[str, int] = {}
    for key, quantity in quantities:
        zone = str(Zone.ALL) if key.startswith(f"{ChargeKind.HOURLY}:") else zone_of(key)
        if zone:
            sums[zone] = sums.get(zone, 0) + quantity
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
