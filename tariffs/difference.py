"""What two tariff documents say differently, field by field, in the order of the document.

The comparison is made of the documents' own fields, so it needs no code for a field that is new:
lists are matched by what names their items (a date, a code, a season), not by their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from kilokassa.core.zones import Zone
from tariffs.plans import TariffVersion
from tariffs.yaml_fields import Path, tree_of

_NAMES: Final = ("from", "season", "code", "days", "seasons")
"""Fields that tell the items of a list apart, of those an item has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs; None where one of the documents does not have it."""

    path: tuple[str, ...]
    """Names of the fields that lead there; an item of a list is named by its date or code."""
    old: str | None
    new: str | None

    @property
    def change_ppm(self) -> int | None:
        """The change of a number in parts per million of the old one, rounded towards zero.

        >>> Difference(("prices", "2026-01-01", "per_kwh"), "6.11", "7.75").change_ppm
        268412
        """
        if self.old is None or self.new is None:
            return None
        try:
            old, new = Decimal(self.old), Decimal(self.new)
        except InvalidOperation:
            return None
        if not (old.is_finite() and new.is_finite()) or old == 0:
            return None
        return int((new - old) * 1_000_000 // abs(old))


def differences(old: str, new: str) -> tuple[Difference, ...]:
    """Return what differs between two documents, as the new one orders it, what is gone last.

    Refuses a text that is no YAML of fields with a `BadDocument`.
    """
    before, after = _leaves(tree_of(old)), _leaves(tree_of(new))
    found = [
        Difference(path, before.get(path), value)
        for path, value in after.items()
        if before.get(path) != value
    ]
    found += [Difference(path, value, None) for path, value in before.items() if path not in after]
    return tuple(found)


def _leaves(tree: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    _collect(tree, (), found)
    return found


def _collect(value: Any, path: Path, found: dict[tuple[str, ...], str]) -> None:  # noqa: ANN401
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _collect(inner, (*path, str(name)), found)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for number, item in enumerate(value):
            _collect(_without_names(item), (*path, _name_of(item, number)), found)
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        place = tuple(map(str, path))
        found[place] = text


def _name_of(item: Any, number: int) -> str:  # noqa: ANN401 - an item of a list
    if not isinstance(item, Mapping):
        return str(number + 1)
    names = [item[name] for name in _NAMES if name in item]
    words = [" ".join(name) if isinstance(name, list) else str(name) for name in names]
    return " ".join(words) or str(number + 1)


def _without_names(item: Any) -> Any:  # noqa: ANN401 - an item of a list
    if not isinstance(item, Mapping):
        return item
    rest = {name: value for name, value in item.items() if name not in _NAMES}
    return rest or dict(item)


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A rate that is another from a day on than it would have been."""

    day: date
    season: str
    zone: Zone
    range_number: int
    """From 1; 0 where there are no ranges."""
    old_scaled: int
    """Millionths of a rouble per kWh."""
    new_scaled: int

    @property
    def change_ppm(self) -> int | None:
        """The change in parts per million of the old rate, rounded towards zero."""
        if not self.old_scaled:
            return None
        return int(Decimal(self.new_scaled - self.old_scaled) * 1_000_000 / self.old_scaled)


def price_changes(old: TariffVersion, new: TariffVersion) -> tuple[PriceChange, ...]:
    """Return which rates differ, on each day from which either of two versions changes them.

    Both are looked at from the beginning of the new one, each as if it were in force. Versions of
    other zones or ranges have no rates to set against each other, and nothing is returned.
    """
    if old.zones != new.zones or old.range_count != new.range_count:
        return ()
    starts = {dated.valid_from for version in (old, new) for dated in version.rates}
    days = sorted({new.valid_from, *(day for day in starts if day > new.valid_from)})
    told: dict[tuple[str, Zone, int], tuple[int, int]] = {}
    found = []
    for day in days:
        before, after = _held(old, day), _held(new, day)
        for season in sorted(before.keys() & after.keys()):
            for number, rows in enumerate(zip(before[season], after[season], strict=True), start=1):
                for zone, *pair in zip(new.zones, *rows, strict=True):
                    place, rates = (season, zone, number), (pair[0], pair[1])
                    if rates[0] != rates[1] and told.get(place) != rates:
                        shown = number if new.range_count > 1 else 0
                        found.append(PriceChange(day, season, zone, shown, *rates))
                    told[place] = rates
    return tuple(found)


def _held(version: TariffVersion, day: date) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Return the rates of each season as they hold on a day or from it on."""
    if version.prices_until is not None and day > version.prices_until:
        return {}
    return {dated.season: dated.rates_scaled for dated in version.rates if dated.valid_from <= day}
