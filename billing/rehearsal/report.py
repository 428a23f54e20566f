"""The report of a rehearsal, as it is kept: whole kopecks and millionths, no rounding left."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from billing.law import VAT_PERCENT, in_force, included_vat_minor
from billing.rehearsal.order import RehearsalOrder
from kilokassa.core.calendar import Month
from tariffs.lines import CannotRate
from tariffs.rehearsal import (
    BANDS_WH,
    Confidence,
    Figures,
    Outcome,
    band_of,
    confidence_of,
    figures_of,
    histogram,
    most,
)

NAMED_MOST: Final = 20
"""So many of those who win and lose most are named."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An account that could not be priced, with the values of the refusal."""

    account_id: int
    values: Mapping[str, str]

    @property
    def refusal(self) -> CannotRate:
        """Why, as a refusal that speaks the reader's language."""
        return CannotRate(**self.values)


@dataclass(frozen=True, slots=True)
class Names:
    """What plans (in Russian and English) and buildings are called."""

    plans: Mapping[int, tuple[str, str]]
    buildings: Mapping[int, str]


def report_of(
    order: RehearsalOrder, outcome: Outcome, refused: Sequence[Refused], names: Names
) -> dict[str, Any]:
    """Return the report over all accounts."""
    old_months = outcome.old_minor.sum(axis=0).tolist()
    new_months = outcome.new_minor.sum(axis=0).tolist()
    confidence = [confidence_of(ppm) for ppm in outcome.measured_ppm.tolist()]
    energy_wh = int(outcome.energy_wh.sum())
    return {
        "figures": asdict(figures_of(outcome)),
        "by_rates_minor": [
            int(outcome.old_by_rates_minor.sum()),
            int(outcome.new_by_rates_minor.sum()),
        ],
        "vat_minor": [
            sum(map(_vat_minor, order.months, old_months)),
            sum(map(_vat_minor, order.months, new_months)),
        ],
        "energy_wh": energy_wh,
        "months": [
            [str(month), old, new]
            for month, old, new in zip(order.months, old_months, new_months, strict=True)
        ],
        "segments": _segments(outcome, names),
        "histogram": list(histogram(outcome)),
        "confidence": {str(one): confidence.count(one) for one in Confidence},
        "measured_ppm": int(outcome.measured_ppm.sum()) // max(len(outcome), 1),
        "winners": [_named(outcome, row) for row in most(outcome, NAMED_MOST, winners=True)],
        "losers": [_named(outcome, row) for row in most(outcome, NAMED_MOST, winners=False)],
        "refused": _refusals(refused),
    }


def _vat_minor(month: Month, total_minor: int) -> int:
    percent = in_force(VAT_PERCENT, max(month.first_day, date(2019, 1, 1))).value
    if total_minor < 0:
        return -included_vat_minor(-total_minor, percent)
    return included_vat_minor(total_minor, percent)


def _segments(outcome: Outcome, names: Names) -> dict[str, list[dict[str, Any]]]:
    def rows(keys: Any, named: Mapping[int, tuple[str, str]]) -> list[dict[str, Any]]:  # noqa: ANN401
        found = []
        for key in np.unique(keys).tolist():
            ru, en = named.get(key, (str(key), str(key)))
            figures: Figures = figures_of(outcome, keys == key)
            found.append({"key": key, "ru": ru, "en": en} | asdict(figures))
        return found

    return {
        "plan": rows(outcome.segments[:, 0], names.plans),
        "building": rows(
            outcome.segments[:, 1], {key: (name, name) for key, name in names.buildings.items()}
        ),
        "band": rows(band_of(outcome), {}),
        "settlement": rows(outcome.segments[:, 2], {}),
    }


def band_borders(number: int) -> tuple[int, int | None]:
    """Return from and up to how many kWh a month a band reaches; None: without end.

    >>> band_borders(0), band_borders(4)
    ((0, 100), (800, None))
    """
    low = 0 if number == 0 else BANDS_WH[number - 1] // 1000
    return low, BANDS_WH[number] // 1000 if number < len(BANDS_WH) else None


def _named(outcome: Outcome, row: int) -> list[int]:
    return [
        int(outcome.account_ids[row]),
        int(outcome.old_minor[row].sum()),
        int(outcome.new_minor[row].sum()),
    ]


def _refusals(refused: Sequence[Refused]) -> list[dict[str, Any]]:
    """Gather refusals by their reason, most first, with some of the accounts."""
    gathered: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for one in refused:
        gathered.setdefault(tuple(sorted(one.values.items())), []).append(one.account_id)
    ordered = sorted(gathered.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"values": dict(values), "count": len(ids), "account_ids": sorted(ids)[:NAMED_MOST]}
        for values, ids in ordered
    ]
