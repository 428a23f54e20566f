"""Interval values as a JSON list, as head-end systems send them (docs/reference/readings-api.md).

An item is `{"point": ..., "time": ..., "value": ...}` and may have a channel and a quality. A batch
is small enough to be in memory: it is the body of one request.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np

from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from metering.imports import NUMBER_OF, RefusalReason, UnreadableFile
from metering.parsers.cells import understood, unit_uwh
from metering.parsers.csv_long import NO_VALUES, QUALITIES
from metering.parsers.source import ARRIVAL, VALUE_MAX_UWH, Arrivals, SeriesIndex
from metering.registry.places import ACTIVE_TAKEN

JSON_BATCH: Final = "json"
"""The format of a batch, as an import calls it."""
BATCH_MAX_BYTES: Final = 64 * 1024 * 1024
NAMES: Final = frozenset({"point", "channel", "time", "value", "quality"})
_DIGITS_MAX: Final = 18
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
"""What JSON can write and no database keeps: a NUL, half of a character."""
_WORD_MAX: Final = 40
"""How much of a wrong text is shown."""


class JsonBatchReader:
    """Reads one batch; `line` of a row is its place in the list, from 1."""

    def __init__(self, *, unit: str = "kwh") -> None:
        self.index = SeriesIndex()
        self.multiplied = False
        self._unit_uwh = unit_uwh(unit)
        self._times: dict[str, tuple[int, bool, int]] = {}

    def blocks(self, stream: BinaryIO) -> Iterator[Arrivals]:
        """Yield the rows of the batch as one block."""
        items = _items(stream.read(BATCH_MAX_BYTES + 1))
        rows: Arrivals = np.zeros(len(items), ARRIVAL)
        for number, item in enumerate(items, start=1):
            rows[number - 1] = self._row(number, item)
        yield rows

    def _row(self, number: int, item: object) -> tuple[Any, ...]:
        if not isinstance(item, dict):
            _refuse(number, mark("an item is an object with a point, a time and a value"))
        unknown = sorted(item.keys() - NAMES)
        if unknown:
            _refuse(number, mark("%(name)s is no field of a reading"), name=unknown[0][:_WORD_MAX])
        time_s, local, time_fault = self._time(number, _text(number, item, "time"))
        value_uwh, value_fault = self._value(number, item)
        series = self.index.number(
            _text(number, item, "point"), _text(number, item, "channel", ACTIVE_TAKEN)
        )
        quality = self._quality(number, item.get("quality"))
        return time_s, value_uwh, number, series, 0, quality, time_fault or value_fault, local

    def _time(self, number: int, text: str) -> tuple[int, bool, int]:
        found = self._times.get(text)
        if found is None:
            found = understood(text)
            if found is None:
                _refuse(
                    number,
                    mark("%(text)s is not a time such as 2026-10-01T00:30"),
                    text=repr(text[:_WORD_MAX]),
                )
            self._times[text] = found
        return found

    def _value(self, number: int, item: Mapping[str, Any]) -> tuple[int, int]:
        if "value" not in item:
            _refuse(number, mark("a reading has no %(name)s"), name="value")
        told = item["value"]
        if told is None or (isinstance(told, str) and told.strip().casefold() in NO_VALUES):
            return 0, NUMBER_OF[RefusalReason.NO_VALUE]
        exact = _exact(told)
        if exact is None:
            _refuse(number, mark("%(text)s is not a number"), text=repr(str(told)[:_WORD_MAX]))
        if exact.adjusted() > _DIGITS_MAX:
            # Beyond any register: no need to write out a number with a million digits.
            most = (VALUE_MAX_UWH + 1) * (1 if exact > 0 else -1)
        else:
            most = round(exact * self._unit_uwh)
        if most < 0:
            return max(most, -VALUE_MAX_UWH), NUMBER_OF[RefusalReason.NEGATIVE]
        if most > VALUE_MAX_UWH:
            return VALUE_MAX_UWH, NUMBER_OF[RefusalReason.TOO_LARGE]
        return most, 0

    def _quality(self, number: int, told: object) -> Quality:
        quality = (
            QUALITIES.get(str(told).strip().casefold()) if told is not None else Quality.ACTUAL
        )
        if quality is None:
            _refuse(number, mark("%(text)s is not a quality"), text=repr(told)[:_WORD_MAX])
        return quality


def _exact(told: object) -> Decimal | None:
    """Return a number of JSON, or a text that is one, exactly; None where it is neither."""
    if isinstance(told, bool) or not isinstance(told, int | Decimal | str):
        return None
    try:
        exact = Decimal(told.strip().replace(",", ".") if isinstance(told, str) else told)
    except InvalidOperation:
        return None
    return exact if exact.is_finite() else None


def _items(content: bytes) -> list[object]:
    if len(content) > BATCH_MAX_BYTES:
        raise UnreadableFile(line=1, problem=mark("the batch is too large; send it in parts"))
    try:
        told = json.loads(content, parse_float=Decimal, object_pairs_hook=_object)
    except (ValueError, RecursionError, InvalidOperation) as error:
        # An exponent that no decimal has is an operation that is not valid.
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise UnreadableFile(line=line, problem=mark("this is not JSON")) from None
    if not isinstance(told, list):
        raise UnreadableFile(line=1, problem=mark("a batch is a list of readings"))
    return told


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object; with a name given twice nobody knows which of its values was meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UnreadableFile(
            line=1,
            problem=mark("%(name)s stands twice in one object"),
            name=repr(twice[:_WORD_MAX]),
        )
    return found


def _text(number: int, item: Mapping[str, Any], name: str, absent: str | None = None) -> str:
    told = item.get(name, absent)
    if told is None:
        _refuse(number, mark("a reading has no %(name)s"), name=name)
    if not isinstance(told, str):
        _refuse(number, mark("%(name)s is a text"), name=name)
    if _UNSTORABLE.search(told):
        _refuse(number, mark("%(name)s has a character that no text has"), name=name)
    return told.strip()


def _refuse(number: int, problem: str, **values: object) -> NoReturn:
    raise UnreadableFile(line=number, problem=problem, **values)
