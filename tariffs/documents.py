"""The YAML that a tariff analyst writes, checked whole before it becomes a `TariffVersion`.

Scalars are read as text: a rate never passes through a float, `on` stays a word, and a date is
what is written. Aliases and tags are refused, so a small file cannot grow in memory and nothing
but text, lists and mappings can come out of it.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from kilokassa.core.zones import Zone
from tariffs.charges import (
    Base,
    CapacityBasis,
    Coarse,
    FixedPer,
    Limits,
    Netting,
    TaxMode,
    Unused,
)
from tariffs.day_types import COUNTRIES, NO_HOLIDAYS, DayType
from tariffs.document_values import Fault, Path, version_of
from tariffs.plans import RangeBasis, RangeOrder, RangePeriod, TariffVersion

LARGEST_BYTES: Final = 256 * 1024
DEEPEST: Final = 8
"""Levels of nesting; a tariff has seven."""


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


def parse_tariff(
    text: str, *, where: str = mark("tariff"), published: bool = False
) -> TariffVersion:
    """Read a tariff document; refuse it with one sentence that names the line and the field.

    The format is described in `docs/reference/tariff-yaml.md`. A `published` document is read as it
    was meant when it was published: ranges that do not name their basis count all zones together.
    """
    root: yaml.Node | None = None
    try:
        root = _root(text)
        return version_of(_checked(_plain(root, ())), published=published)
    except Fault as fault:
        raise BadTariff(
            where=where,
            line=fault.line or _line_of(root, fault.path),
            field=".".join(str(part) for part in fault.path),
            problem=fault.problem,
            **fault.values,
        ) from None


def _root(text: str) -> yaml.Node:
    if len(text.encode(errors="replace")) > LARGEST_BYTES:
        raise Fault((), mark("the file is larger than %(limit)s bytes"), limit=LARGEST_BYTES)
    try:
        root = yaml.compose(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        position = getattr(error, "problem_mark", None)
        raise Fault(
            (),
            mark("this is no YAML: %(reason)s"),
            line=None if position is None else position.line + 1,
            reason=getattr(error, "problem", None) or str(error).partition("\n")[0],
        ) from None
    if not isinstance(root, yaml.MappingNode):
        raise Fault((), mark("the document is no mapping of fields"))
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
    raise Fault((), problem, line=None if position is None else position.line + 1)


def _plain(node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - text, a list or a mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, number)) for number, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return node.value
    tree: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise Fault(path, mark("the name of a field is one word"))
        if key.value in tree:
            # The second would win in silence.
            raise Fault(
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


def _choice(choices: type[StrEnum], error: str, **options: Any) -> fields.Enum[Any]:  # noqa: ANN401
    return fields.Enum(choices, by_value=True, error_messages={"unknown": error}, **options)


def _dated(value: str, **options: Any) -> fields.List[Any]:  # noqa: ANN401
    """Return a field of dated values: each entry has `from` and the field `value`."""
    entry = Schema.from_dict(
        {
            "from_": fields.Date(required=True, data_key="from"),
            value: fields.String(required=True),
        },
        name="Dated",
    )
    return fields.List(
        fields.Nested(entry),
        validate=validate.Length(1, 500, error=mark("there are 1 to 500 dated values")),
        **(options or {"required": True}),
    )


def _code() -> fields.String:
    return fields.String(
        required=True,
        validate=validate.Regexp(
            r"[a-z0-9][a-z0-9_-]{0,63}\Z",
            error=mark("a code has small Latin letters, digits, _ and -, at most 64"),
        ),
    )


_WRONG_ZONE: Final = mark("a zone is all, peak, semi_peak, day or night")
_WRONG_DAY_TYPE: Final = mark("a type of day is working, weekend or holiday")


def _windows_by_zone(**options: Any) -> fields.Dict:  # noqa: ANN401
    return fields.Dict(
        keys=_choice(Zone, _WRONG_ZONE),
        values=fields.List(
            fields.String(),
            validate=validate.Length(1, 24, error=mark("a zone has 1 to 24 windows")),
        ),
        **options,
    )


def _day_types(**options: Any) -> fields.List[Any]:  # noqa: ANN401
    return fields.List(
        _choice(DayType, _WRONG_DAY_TYPE),
        validate=validate.Length(1, 3, error=_WRONG_DAY_TYPE),
        **options,
    )


class _ScheduleSchema(Schema):
    days = _day_types(load_default=None)
    seasons = fields.List(fields.String(), load_default=None)
    windows = _windows_by_zone(required=True)


class _Zones(fields.Field[Any]):
    """Windows by zone for every day alike, or a list of schedules."""

    _same_every_day = _windows_by_zone()
    _by_schedule = fields.List(
        fields.Nested(_ScheduleSchema),
        validate=validate.Length(1, 24, error=mark("there are 1 to 24 schedules of zones")),
    )

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> Any:  # noqa: ANN401
        kind = self._by_schedule if isinstance(value, list) else self._same_every_day
        return kind.deserialize(value, attr, data, **options)


class _HolidaysSchema(Schema):
    calendar = fields.String(
        required=True,
        validate=validate.OneOf(
            [*COUNTRIES, NO_HOLIDAYS], error=mark("a calendar of holidays is russia or none")
        ),
    )
    moved = fields.Dict(
        keys=fields.Date(), values=_choice(DayType, _WRONG_DAY_TYPE), load_default=None
    )


class _PriceSchema(Schema):
    from_ = fields.Date(required=True, data_key="from")
    season = fields.String(load_default="")
    per_kwh = fields.Raw(required=True)


class _NormSchema(Schema):
    kwh_by_persons = fields.List(
        fields.String(),
        required=True,
        validate=validate.Length(1, 20, error=mark("a norm is given for 1 to 20 persons")),
    )
    each_more_kwh = fields.String(required=True)
    bands_percent = fields.List(
        fields.String(),
        required=True,
        validate=validate.Length(1, 9, error=mark("a ladder has 1 to 9 borders")),
    )
    common_area = fields.String(
        required=True,
        validate=validate.OneOf(
            ["counted", "left_out"], error=mark("common-area energy is counted or left_out")
        ),
    )


class _RangesSchema(Schema):
    basis = _choice(RangeBasis, mark("a basis is zone or total"), load_default=None)
    order = _choice(RangeOrder, mark("an order is proportional or time"), required=True)
    period = _choice(
        RangePeriod,
        mark("a ladder is climbed each day, month or year"),
        load_default=RangePeriod.MONTH,
    )
    borders_kwh = fields.List(
        fields.String(),
        load_default=None,
        validate=validate.Length(1, 9, error=mark("a ladder has 1 to 9 borders")),
    )
    norm = fields.Nested(_NormSchema, load_default=None)


class _FixedSchema(Schema):
    code = _code()
    name = fields.Nested(_NameSchema, required=True)
    per = _choice(
        FixedPer, mark("a standing charge is per month, day, m2 or person"), required=True
    )
    amounts = _dated("amount")


class _RatchetSchema(Schema):
    percent = fields.String(required=True)
    months = fields.String(required=True)


class _CapacitySchema(Schema):
    code = _code()
    name = fields.Nested(_NameSchema, required=True)
    basis = _choice(
        CapacityBasis,
        mark("a capacity charge is for highest, regulated_peaks or contracted"),
        required=True,
    )
    windows = fields.List(
        fields.String(),
        load_default=None,
        validate=validate.Length(1, 24, error=mark("a zone has 1 to 24 windows")),
    )
    days = _day_types(load_default=None)
    ratchet = fields.Nested(_RatchetSchema, load_default=None)
    hours = fields.String(load_default="")
    per_kw_month = _dated("amount")


class _AllowanceSchema(Schema):
    kwh_per_day = fields.String(required=True)
    unused = _choice(Unused, mark("an unused allowance lapses or carries"), required=True)
    credit_per_kwh = _dated("amount")


class _ExportSchema(Schema):
    netting = _choice(Netting, mark("netting is none, interval or period"), required=True)
    per_kwh = _dated("amount")


class _TaxSchema(Schema):
    code = _code()
    name = fields.Nested(_NameSchema, required=True)
    mode = _choice(TaxMode, mark("a tax is included or on_top"), required=True)
    percents = _dated("percent")


class _ConcessionSchema(Schema):
    code = _code()
    name = fields.Nested(_NameSchema, required=True)
    who = fields.String(
        required=True,
        validate=validate.OneOf(
            ["entitled", "everyone"], error=mark("a concession is for the entitled or for everyone")
        ),
    )
    base = _choice(Base, mark("a concession is of energy or charges"), required=True)
    percents = _dated("percent")
    limit_kwh = fields.String(load_default=None)
    limit_for = fields.String(
        load_default="account",
        validate=validate.OneOf(
            ["account", "person"], error=mark("a limit is for each account or each person")
        ),
    )


class _ComponentSchema(Schema):
    code = _code()
    per_kwh = _dated("amount")


class _HourlySchema(Schema):
    series = _code()
    longer_intervals = _choice(
        Coarse, mark("longer intervals are refused (refuse) or averaged (average)"), required=True
    )
    components = fields.List(fields.Nested(_ComponentSchema), load_default=list)
    floor = fields.String(load_default=None)
    cap = fields.String(load_default=None)
    limits = _choice(
        Limits, mark("limits hold the series or the total"), load_default=Limits.SERIES
    )


class _GuaranteeSchema(Schema):
    never_dearer_than = _code()


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
        validate=validate.OneOf(
            ["included", "on_top"], error=mark("prices hold VAT or get it on top: included, on_top")
        ),
    )
    zones = _Zones(load_default=None)
    seasons = fields.Dict(keys=fields.String(), values=fields.Raw(), load_default=None)
    holidays = fields.Nested(_HolidaysSchema, load_default=None)
    prices = fields.List(
        fields.Nested(_PriceSchema),
        load_default=None,
        validate=validate.Length(1, 500, error=mark("a tariff has 1 to 500 dated prices")),
    )
    prices_until = fields.Date(load_default=None)
    ranges = fields.Nested(_RangesSchema, load_default=None)
    hourly = fields.Nested(_HourlySchema, load_default=None)
    fixed = fields.List(fields.Nested(_FixedSchema), load_default=list)
    capacity = fields.List(fields.Nested(_CapacitySchema), load_default=list)
    minimum = _dated("amount", load_default=None)
    allowance = fields.Nested(_AllowanceSchema, load_default=None)
    export = fields.Nested(_ExportSchema, load_default=None)
    taxes = fields.List(fields.Nested(_TaxSchema), load_default=list)
    concessions = fields.List(fields.Nested(_ConcessionSchema), load_default=list)
    guarantee = fields.Nested(_GuaranteeSchema, load_default=None)
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
        raise Fault(path, _OUR_WORDS.get(reason) or reason) from None
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
