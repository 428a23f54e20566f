"""Steps that a charge line tells of itself: how heat was shared, a house's service, a deduction.

What is shared over a whole house cannot be rated again by itself in a moment, so the line keeps the
figures in its detail when it is written, and they never change.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from billing.charges import NewLine, estimates_detail, used_estimates
from billing.explanation.explanation import Step, StepKind, StepUnit

_OF_HOUSE: Final = {
    "house_kcal": (StepKind.HOUSE_HEAT, StepUnit.KCAL),
    "house_minor": (StepKind.HOUSE_AMOUNT, StepUnit.MINOR),
    "house_area_dm2": (StepKind.HOUSE_AREA, StepUnit.DM2),
    "area_dm2": (StepKind.OWN_AREA, StepUnit.DM2),
    "persons": (StepKind.PERSONS, StepUnit.PERSON),
}
"""Figures of a detail that have a step of their own."""

HOUSE_WORKINGS: Final[Mapping[str, StepUnit]] = {
    "house_wh": StepUnit.WH,
    "flats_wh": StepUnit.WH,
    "actual_wh": StepUnit.WH,
    "carried_in_wh": StepUnit.WH,
    "norm_wh": StepUnit.WH,
    "charged_wh": StepUnit.WH,
    "carried_out_wh": StepUnit.WH,
    "yearly_house_wh": StepUnit.WH,
}
OWN_WORKINGS: Final[Mapping[str, StepUnit]] = {
    "share_wh": StepUnit.WH,
    "litres": StepUnit.LITRE,
    "kcal_per_m3": StepUnit.KCAL,
    "person_days": StepUnit.DAY,
    "lasted_min": StepUnit.MINUTE,
    "counted_min": StepUnit.MINUTE,
    "step_min": StepUnit.MINUTE,
    "an_hour_ppm": StepUnit.PPM,
    "share_ppm": StepUnit.PPM,
    "charged_minor": StepUnit.MINOR,
    "guaranteed_minor": StepUnit.MINOR,
    "cost_minor": StepUnit.MINOR,
}
"""Figures of a house and of a premises that are told by their name, in the order of the sum."""

WAY: Final = ("method", "settled_by", "item")
ORIGIN: Final = ("source", "confidence")
"""What a detail says in words: before the figures how, after them by what authority."""


def steps_of_detail(line: NewLine) -> tuple[Step, ...]:
    """Return the steps that the detail of a line names, in the order of the calculation."""
    detail: dict[str, Any] = json.loads(line.detail) if line.detail else {}
    told: dict[str, Any] = {**detail, **detail.get("service", {}), **detail.get("deduction", {})}
    return (
        *_estimated(line),
        *_words(told, WAY),
        *_figures(told, HOUSE_WORKINGS),
        *(
            Step(kind, told[name], unit)
            for name, (kind, unit) in _OF_HOUSE.items()
            if isinstance(told.get(name), int)
        ),
        *_volumes(told),
        *_figures(told, OWN_WORKINGS),
        *_words(told, ORIGIN),
    )


def _estimated(line: NewLine) -> Iterator[Step]:
    used = used_estimates(line.detail) if line.estimated else ()
    if used:
        about: dict[str, str | int] = {"estimates": estimates_detail(used)}
        yield Step(StepKind.ESTIMATED, line.estimated, StepUnit.WH, about)


def _words(told: Mapping[str, Any], names: Sequence[str]) -> Iterator[Step]:
    for name in names:
        text = told.get(name)
        if isinstance(text, str) and text:
            yield Step(StepKind.WORDS, 0, StepUnit.WORD, {"name": name, "word": text})


def _volumes(told: Mapping[str, Any]) -> Iterator[Step]:
    for water, volume in sorted(told.get("volumes", {}).items()):
        about: dict[str, str | int] = {"water": water, "way": str(volume["method"])}
        yield Step(StepKind.VOLUME, int(volume["litres"]), StepUnit.LITRE, about)


def _figures(told: Mapping[str, Any], units: Mapping[str, StepUnit]) -> Iterator[Step]:
    for name, unit in units.items():
        value = told.get(name)
        nothing = value == 0 and name in {"carried_in_wh", "carried_out_wh", "step_min"}
        if isinstance(value, int) and not nothing:
            yield Step(StepKind.WORKING, value, unit, {"name": name})
