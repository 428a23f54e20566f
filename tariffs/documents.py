"""The YAML that a tariff analyst writes, checked whole before it becomes a `TariffVersion`.

Scalars are read as text: a rate never passes through a float, `on` stays a word, and a date is
what is written. Aliases and tags are refused, so a small file cannot grow in memory and nothing
but text, lists and mappings can come out of it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, Final

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from kilokassa.core.digest import digest_value
from kilokassa.core.errors import Invalid
from kilokassa.core.money import scaled_rate
from kilokassa.core.text import mark
from kilokassa.core.zones import (
    MINUTES_PER_DAY,
    WHOLE_DAY,
    DayZones,
    Zone,
    ZoneWindow,
    clock_text,
    windows,
)
from tariffs.plans import DatedRates, RangeOrder, TariffVersion

LARGEST_BYTES: Final = 256 * 1024
DEEPEST: Final = 8
"""Levels of nesting; a tariff has five."""
HIGHEST_RATE: Final = Decimal(1_000_000)
"""Roubles per kWh; keeps the kernel's products inside 64 bits, far above any real rate."""

_RATE: Final = re.compile(r"[0-9]{1,7}(\.[0-9]{1,20})?")
_KWH: Final = re.compile(r"[0-9]{1,7}")
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")

Path = tuple[str | int, ...]


class BadTariff(Invalid):
    """A tariff document that cannot be accepted; `line` and `field` say where it is wrong."""

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence, each of its parts in the reader's language."""
        place = [translate(self.values["where"])]
        if self.values["line"]:
            place.append(translate(mark("line %(line)s")) % self.values)
        if self.values["field"]:
            place.append(self.values["field"])
        return f"{', '.join(place)}: {translate(self.values['problem']) % self.values}"


def parse_tariff(text: str, *, where: str = mark("tariff")) -> TariffVersion:
    """Read a tariff document; refuse it with one sentence that names the line and the field.

    The format is described in `docs/reference/tariff-yaml.md`.
    """
    root: yaml.Node | None = None
    try:
        root = _root(text)
        return _version(_checked(_plain(root, ())))
    except _Fault as fault:
        raise BadTariff(
            where=where,
            line=fault.line or _line_of(root, fault.path),
            field=".".join(str(part) for part in fault.path),
            problem=fault.problem,
            **fault.values,
        ) from None


class _Fault(Exception):
    """What is wrong and at which path of fields; the line is looked up unless it is given."""

    def __init__(
        self, path: Path, problem: str, *, line: int | None = None, **values: object
    ) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem
        self.line = line
        self.values = values


def _root(text: str) -> yaml.Node:
    if len(text.encode(errors="replace")) > LARGEST_BYTES:
        raise _Fault((), mark("the file is larger than %(limit)s bytes"), limit=LARGEST_BYTES)
    try:
        root = yaml.compose(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        position = getattr(error, "problem_mark", None)
        raise _Fault(
            (),
            mark("this is no YAML: %(reason)s"),
            line=None if position is None else position.line + 1,
            reason=getattr(error, "problem", None) or str(error).partition("\n")[0],
        ) from None
    if not isinstance(root, yaml.MappingNode):
        raise _Fault((), mark("the document is no mapping of fields"))
    return root


class _PlainLoader(yaml.BaseLoader):
    """Composes text, lists and mappings; refuses aliases, tags and endless nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse what could grow, change its type or run deeper than a tariff does."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.events.AliasEvent):
            _refuse(event, mark("aliases are not allowed"))
        if getattr(event, "tag", None) is not None:
            _refuse(event, mark("tags are not allowed"))
        if self.depth == DEEPEST:
            _refuse(event, mark("the fields are nested too deeply"))
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _refuse(event: yaml.Event, problem: str) -> None:
    position = event.start_mark
    raise _Fault((), problem, line=None if position is None else position.line + 1)


def _plain(node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - text, a list or a mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, number)) for number, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return node.value
    tree: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Fault(path, mark("the name of a field is one word"))
        if key.value in tree:
            # The second would win in silence.
            raise _Fault(
                path,
                mark("the key %(key)s comes twice"),
                line=key.start_mark.line + 1,
                key=repr(key.value),
            )
        tree[key.value] = _plain(value, (*path, key.value))
    return tree


_WRONG_NAME: Final = mark("a name has 1 to 200 characters")
_OUR_WORDS: Final = {
    "Missing data for required field.": mark("the field is missing"),
    "Unknown field.": mark("there is no such field"),
    "Not a valid date.": mark("this is not a date such as 2026-10-01"),
    "Not a valid string.": mark("this is not a text"),
    "Not a valid list.": mark("this is not a list"),
    "Not a valid mapping type.": mark("this is not a mapping of fields"),
    "Invalid input type.": mark("this is not a mapping of fields"),
    "Invalid type.": mark("this is not a mapping of fields"),
}
"""What marshmallow says, in the words of the catalogues."""


class _NameSchema(Schema):
    ru = fields.String(required=True, validate=validate.Length(1, 200, error=_WRONG_NAME))
    en = fields.String(load_default="", validate=validate.Length(0, 200, error=_WRONG_NAME))


class _PriceSchema(Schema):
    from_ = fields.Date(required=True, data_key="from")
    per_kwh = fields.Raw(required=True)


class _RangesSchema(Schema):
    order = fields.Enum(
        RangeOrder,
        by_value=True,
        required=True,
        error_messages={"unknown": mark("an order is proportional or time")},
    )
    borders_kwh = fields.List(
        fields.String(),
        required=True,
        validate=validate.Length(1, 9, error=mark("a ladder has 1 to 9 borders")),
    )


class _TariffSchema(Schema):
    plan = fields.String(
        required=True,
        validate=validate.Regexp(
            r"[a-z0-9][a-z0-9_-]{0,63}\Z",
            error=mark("a code of a plan has small Latin letters, digits, _ and -, at most 64"),
        ),
    )
    name = fields.Nested(_NameSchema, required=True)
    valid_from = fields.Date(required=True)
    currency = fields.String(
        required=True, validate=validate.Equal("RUB", error=mark("the currency is RUB"))
    )
    vat = fields.String(
        required=True,
        validate=validate.Equal("included", error=mark("household prices say: vat: included")),
    )
    zones = fields.Dict(
        keys=fields.Enum(
            Zone,
            by_value=True,
            error_messages={"unknown": mark("a zone is all, peak, semi_peak, day or night")},
        ),
        values=fields.List(
            fields.String(),
            validate=validate.Length(1, 24, error=mark("a zone has 1 to 24 windows")),
        ),
        load_default=None,
    )
    prices = fields.List(
        fields.Nested(_PriceSchema),
        required=True,
        validate=validate.Length(1, 500, error=mark("a tariff has 1 to 500 dated prices")),
    )
    ranges = fields.Nested(_RangesSchema, load_default=None)
    source = fields.String(
        required=True,
        validate=validate.Length(1, 1000, error=mark("a source has 1 to 1000 characters")),
    )
    confidence = fields.String(
        required=True,
        validate=validate.OneOf(
            ["high", "medium", "low", "memory"],
            error=mark("a confidence is high, medium, low or memory"),
        ),
    )


def _checked(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        loaded: Mapping[str, Any] = _TariffSchema(unknown=RAISE).load(tree)
    except ValidationError as error:
        path, reason = _first(error.messages, ())
        raise _Fault(path, _OUR_WORDS.get(reason) or reason) from None
    return loaded


def _first(messages: object, path: Path) -> tuple[Path, str]:
    """Return the path and the sentence of the first thing that marshmallow finds wrong."""
    if isinstance(messages, Mapping):
        key, rest = next(iter(messages.items()))
        # These three are marshmallow's own words for a place, no fields of the document.
        part = () if key in {"_schema", "key", "value"} else (getattr(key, "value", key),)
        return _first(rest, (*path, *part))
    if isinstance(messages, list) and messages:
        return _first(messages[0], path)
    return path, str(messages).replace("%", "%%")


def _version(loaded: Mapping[str, Any]) -> TariffVersion:
    day_zones = _day_zones(loaded["zones"])
    ladder = loaded["ranges"]
    borders_wh = _borders_wh(ladder["borders_kwh"]) if ladder else ()
    rates = _dated_rates(loaded, day_zones, len(borders_wh) + 1)
    values = {
        "plan": loaded["plan"],
        "name": [loaded["name"]["ru"], loaded["name"]["en"]],
        "valid_from": loaded["valid_from"].isoformat(),
        "zones": [[w.opens_minute, w.closes_minute, str(w.zone)] for w in day_zones.windows],
        "rates": [[d.valid_from.isoformat(), [list(r) for r in d.rates_scaled]] for d in rates],
        "borders": list(borders_wh),
        "order": str(ladder["order"]) if ladder else "",
        "source": loaded["source"],
        "confidence": loaded["confidence"],
    }
    return TariffVersion(
        plan_code=loaded["plan"],
        name=loaded["name"]["ru"],
        name_en=loaded["name"]["en"],
        valid_from=loaded["valid_from"],
        day_zones=day_zones,
        rates=rates,
        range_borders_wh=borders_wh,
        range_order=ladder["order"] if ladder else RangeOrder.PROPORTIONAL,
        source=loaded["source"],
        confidence=loaded["confidence"],
        digest=digest_value(values),
    )


def _day_zones(zones: Mapping[Zone, Sequence[str]] | None) -> DayZones:
    if zones is None:
        return WHOLE_DAY
    found: list[ZoneWindow] = []
    for zone, texts in zones.items():
        for number, text in enumerate(texts):
            found.extend(_windows(zone, text, ("zones", str(zone), number)))
    reached = 0
    for window in sorted(found):
        if window.opens_minute > reached:
            raise _gap(reached, window.opens_minute)
        if window.opens_minute < reached:
            raise _Fault(
                ("zones",),
                mark("two zones hold %(opens)s to %(closes)s"),
                opens=clock_text(window.opens_minute),
                closes=clock_text(min(reached, window.closes_minute)),
            )
        reached = window.closes_minute
    if reached < MINUTES_PER_DAY:
        raise _gap(reached, MINUTES_PER_DAY)
    return DayZones(tuple(found))


def _gap(opens_minute: int, closes_minute: int) -> _Fault:
    return _Fault(
        ("zones",),
        mark("no zone holds %(opens)s to %(closes)s"),
        opens=clock_text(opens_minute),
        closes=clock_text(closes_minute),
    )


def _windows(zone: Zone, text: str, path: Path) -> tuple[ZoneWindow, ...]:
    opens, dash, closes = (part.strip() for part in text.partition("-"))
    if not dash:
        raise _Fault(path, mark("%(text)s is no window such as 07:00-23:00"), text=repr(text))
    begin, end = _clock(opens, path), _clock(closes, path)
    if begin == end and (opens, closes) != ("00:00", "24:00"):
        raise _Fault(path, mark("the window %(text)s is empty"), text=repr(text))
    return windows(zone, begin, end)


def _clock(text: str, path: Path) -> time:
    if text == "24:00":
        return time()
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise _Fault(path, mark("%(text)s is no time of the day"), text=repr(text))
    return time(int(found[1]), int(found[2]))


def _borders_wh(texts: Sequence[str]) -> tuple[int, ...]:
    borders: list[int] = []
    for number, text in enumerate(texts):
        path: Path = ("ranges", "borders_kwh", number)
        if _KWH.fullmatch(text) is None:
            raise _Fault(path, mark("%(text)s is no whole number of kWh"), text=repr(text))
        border_wh = int(text) * 1000
        if border_wh <= (borders[-1] if borders else 0):
            problem = mark("borders of ranges ascend from above zero, and %(text)s does not")
            raise _Fault(path, problem, text=text)
        borders.append(border_wh)
    return tuple(borders)


def _dated_rates(
    loaded: Mapping[str, Any], day_zones: DayZones, ranges: int
) -> tuple[DatedRates, ...]:
    found: list[DatedRates] = []
    for number, price in enumerate(loaded["prices"]):
        day: date = price["from_"]
        if found and day <= found[-1].valid_from:
            problem = mark("dated prices ascend, and %(day)s is not after the one before")
            raise _Fault(("prices", number, "from"), problem, day=str(day))
        path: Path = ("prices", number, "per_kwh")
        found.append(DatedRates(day, _table(price["per_kwh"], day_zones, ranges, path)))
    if found[0].valid_from > loaded["valid_from"]:
        problem = mark("no price holds on %(day)s, when the version begins")
        raise _Fault(("prices", 0, "from"), problem, day=str(loaded["valid_from"]))
    return tuple(found)


def _table(
    per_kwh: object, day_zones: DayZones, ranges: int, path: Path
) -> tuple[tuple[int, ...], ...]:
    rows = per_kwh if isinstance(per_kwh, list) else [per_kwh]
    if len(rows) != ranges:
        problem = mark("%(ranges)s ranges need as many rows of rates, not %(rows)s")
        raise _Fault(path, problem, ranges=ranges, rows=len(rows))
    table: list[tuple[int, ...]] = []
    for number, row in enumerate(rows):
        row_path = (*path, number) if isinstance(per_kwh, list) else path
        if isinstance(row, str) and day_zones.zones == (Zone.ALL,):
            table.append((_rate(row, row_path),))
            continue
        if not isinstance(row, Mapping):
            raise _Fault(row_path, mark("this is no rate for each zone"))
        wanted = [str(zone) for zone in day_zones.zones]
        if set(row) != set(wanted):
            problem = mark("the zones of the day and those of the rates differ in: %(zones)s")
            raise _Fault(row_path, problem, zones=", ".join(sorted(set(row) ^ set(wanted))))
        table.append(tuple(_rate(row[zone], (*row_path, zone)) for zone in wanted))
    return tuple(table)


def _rate(text: object, path: Path) -> int:
    if not isinstance(text, str) or _RATE.fullmatch(text) is None:
        raise _Fault(path, mark("%(text)s is not a rate such as 6.11"), text=repr(text))
    rate = Decimal(text)
    if rate > HIGHEST_RATE:
        raise _Fault(path, mark("%(text)s is above any rate there is"), text=text)
    try:
        return scaled_rate(rate)
    except ValueError:
        problem = mark("a rate has at most six decimals, and %(text)s has more")
        raise _Fault(path, problem, text=text) from None


def _line_of(root: yaml.Node | None, path: Path) -> int | None:
    """Return the line of the deepest field of `path` that the document has."""
    if root is None or not path:
        return None
    node, line = root, root.start_mark.line
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == part]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return int(line) + 1
