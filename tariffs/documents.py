"""The YAML that a tariff analyst writes, checked whole before it becomes a `TariffVersion`.

Scalars are read as text: a rate never passes through a float, `on` stays a word, and a date is
what is written. Aliases are refused, so a small file cannot grow in memory.
"""

from collections.abc import Hashable, Mapping
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from kilokassa.core.digest import digest_value
from kilokassa.core.errors import Invalid
from kilokassa.core.money import scaled_rate
from kilokassa.core.text import mark
from kilokassa.core.zones import WHOLE_DAY, DayZones, Zone, ZoneWindow, windows
from tariffs.plans import DatedRates, RangeOrder, TariffVersion

LARGEST_BYTES: Final = 256 * 1024
HIGHEST_RATE: Final = Decimal(1_000_000)
"""Roubles per kWh; keeps the kernel's products inside 64 bits, far above any real rate."""


def parse_tariff(text: str, *, where: str = mark("tariff")) -> TariffVersion:
    """Read a tariff document; refuse it with one sentence that names the line or the field.

    The format is described in `docs/reference/tariff-yaml.md`.
    """
    if len(text.encode()) > LARGEST_BYTES:
        raise Invalid(
            where=where, problem="the file is larger than %(limit)s bytes", limit=LARGEST_BYTES
        )
    try:
        tree = yaml.load(text, Loader=_TextLoader)  # noqa: S506 - a loader of plain text only
    except yaml.YAMLError as error:
        raise Invalid(
            where=_line(where, getattr(error, "problem_mark", None)),
            problem="%(reason)s",
            reason=getattr(error, "problem", None) or str(error),
        ) from None
    if not isinstance(tree, Mapping):
        raise Invalid(where=where, problem="the document is no mapping of fields")
    try:
        loaded = _TariffSchema(unknown=RAISE).load(tree)
    except ValidationError as error:
        path, reason = _first(error.messages)
        raise Invalid(where=f"{where}: {path}", problem="%(reason)s", reason=reason) from None
    try:
        return _version(loaded)
    except ValueError as error:
        raise Invalid(where=where, problem="%(reason)s", reason=str(error)) from None


class _TextLoader(yaml.SafeLoader):
    """Loads every scalar as text, refuses aliases and a key that comes twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse an alias, and with it every document that refers to itself."""
        if self.check_event(yaml.events.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "aliases are not allowed", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a key that comes twice: the second would win in silence."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} comes twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_TextLoader.yaml_implicit_resolvers = {}


class _NameSchema(Schema):
    ru = fields.String(required=True, validate=validate.Length(1, 200))
    en = fields.String(load_default="", validate=validate.Length(0, 200))


class _PriceSchema(Schema):
    from_ = fields.Date(required=True, data_key="from")
    per_kwh = fields.Raw(required=True)


class _RangesSchema(Schema):
    order = fields.Enum(RangeOrder, by_value=True, required=True)
    borders_kwh = fields.List(fields.String(), required=True, validate=validate.Length(1, 9))


class _TariffSchema(Schema):
    plan = fields.String(required=True, validate=validate.Regexp(r"^[a-z0-9][a-z0-9_-]{0,63}$"))
    name = fields.Nested(_NameSchema, required=True)
    valid_from = fields.Date(required=True)
    currency = fields.String(required=True, validate=validate.Equal("RUB"))
    vat = fields.String(required=True, validate=validate.Equal("included"))
    zones = fields.Dict(
        keys=fields.Enum(Zone, by_value=True),
        values=fields.List(fields.String(), validate=validate.Length(1, 24)),
        load_default=None,
    )
    prices = fields.List(
        fields.Nested(_PriceSchema), required=True, validate=validate.Length(1, 500)
    )
    ranges = fields.Nested(_RangesSchema, load_default=None)
    source = fields.String(required=True, validate=validate.Length(1, 1000))
    confidence = fields.String(
        required=True, validate=validate.OneOf(["high", "medium", "low", "memory"])
    )


def _version(loaded: Mapping[str, Any]) -> TariffVersion:
    day_zones = _day_zones(loaded["zones"])
    ladder = loaded["ranges"]
    borders = tuple(_kwh(text) for text in ladder["borders_kwh"]) if ladder else ()
    rates = tuple(
        DatedRates(price["from_"], _table(price, day_zones, len(borders) + 1))
        for price in loaded["prices"]
    )
    values = {
        "plan": loaded["plan"],
        "name": [loaded["name"]["ru"], loaded["name"]["en"]],
        "valid_from": loaded["valid_from"].isoformat(),
        "zones": [[w.opens_minute, w.closes_minute, str(w.zone)] for w in day_zones.windows],
        "rates": [[d.valid_from.isoformat(), [list(r) for r in d.rates_scaled]] for d in rates],
        "borders": list(borders),
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
        range_borders_wh=borders,
        range_order=ladder["order"] if ladder else RangeOrder.PROPORTIONAL,
        source=loaded["source"],
        confidence=loaded["confidence"],
        digest=digest_value(values),
    )


def _day_zones(zones: Mapping[Zone, list[str]] | None) -> DayZones:
    if zones is None:
        return WHOLE_DAY
    found: list[ZoneWindow] = []
    for zone, texts in zones.items():
        for text in texts:
            opens, found_dash, closes = text.partition("-")
            if not found_dash:
                raise ValueError(f"zones: {zone}: {text!r} is no window such as 07:00-23:00")
            begin, end = _clock(zone, opens), _clock(zone, closes)
            if begin == end and (begin != time() or closes.strip() != "24:00"):
                raise ValueError(f"zones: {zone}: {text!r} is empty")
            found.extend(windows(zone, begin, end))
    try:
        return DayZones(tuple(found))
    except ValueError as error:
        raise ValueError(f"zones: {error}") from None


def _clock(zone: Zone, text: str) -> time:
    text = text.strip()
    if text == "24:00":
        return time()
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdigit() and minutes.isdigit() and len(minutes) == 2):
        raise ValueError(f"zones: {zone}: {text!r} is no time of the day")
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"zones: {zone}: {text!r} is no time of the day")
    return time(int(hours), int(minutes))


def _table(
    price: Mapping[str, Any], day_zones: DayZones, ranges: int
) -> tuple[tuple[int, ...], ...]:
    day: date = price["from_"]
    rungs = price["per_kwh"] if isinstance(price["per_kwh"], list) else [price["per_kwh"]]
    if len(rungs) != ranges:
        raise ValueError(f"prices from {day}: {ranges} ranges need {ranges} rows of rates")
    table = []
    for rung in rungs:
        if isinstance(rung, str):
            rung = {Zone.ALL.value: rung}
        if not isinstance(rung, Mapping):
            raise ValueError(f"prices from {day}: per_kwh holds a rate for each zone")  # noqa: TRY004
        wanted = {str(zone) for zone in day_zones.zones}
        if set(rung) != wanted:
            names = ", ".join(sorted(set(rung) ^ wanted))
            raise ValueError(f"prices from {day}: the zones and the rates differ in: {names}")
        table.append(tuple(_rate(day, str(z), rung[str(z)]) for z in day_zones.zones))
    return tuple(table)


def _rate(day: date, zone: str, text: object) -> int:
    try:
        rate = Decimal(str(text))
        if not (rate.is_finite() and 0 <= rate <= HIGHEST_RATE):
            raise ValueError(f"prices from {day}: {zone}: {text} is not a rate")
        return scaled_rate(rate)
    except InvalidOperation:
        raise ValueError(f"prices from {day}: {zone}: {text!r} is not a number") from None


def _kwh(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"ranges: {text!r} is no whole number of kWh")
    return int(text) * 1000


def _line(where: str, position: Any) -> str:  # noqa: ANN401 - yaml.Mark has no types
    return where if position is None else f"{where}, line {position.line + 1}"


def _first(messages: object, path: str = "") -> tuple[str, str]:
    """Return the path and the sentence of the first thing that is wrong."""
    if isinstance(messages, Mapping):
        key, rest = next(iter(messages.items()))
        name = str(getattr(key, "value", key))
        if name in {"_schema", "key", "value"} and path:
            return _first(rest, path)
        return _first(rest, f"{path}.{name}" if path else name)
    if isinstance(messages, list) and messages:
        return _first(messages[0], path)
    return path, str(messages)
