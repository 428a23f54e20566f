"""The YAML that a tariff analyst writes, checked whole before it becomes a `TariffVersion`."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

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
from tariffs.document_values import version_of
from tariffs.plans import RangeBasis, RangeOrder, RangePeriod, TariffVersion
from tariffs.yaml_fields import (
    BadDocument,
    NameSchema,
    choice,
    code_field,
    confidence_field,
    dated,
    faults_of,
    read_document,
    source_field,
)


def parse_tariff(
    text: str, *, where: str = mark("tariff"), published: bool = False
) -> TariffVersion:
    """Read a tariff document; refuse it with one sentence that names the line and the field.

    The format is described in `docs/reference/tariff-yaml.md`. A `published` document is read as it
    was meant when it was published: ranges that do not name their basis count all zones together.
    """
    return read_document(
        text, _TariffSchema, lambda loaded: version_of(loaded, published=published), where=where
    )


def faults_in(text: str) -> tuple[BadDocument, ...]:
    """Return what is wrong with a tariff document, by line; empty where it can be published."""
    return faults_of(
        text,
        _TariffSchema,
        lambda loaded: version_of(loaded, published=False),
        where=mark("tariff"),
    )


_WRONG_ZONE: Final = mark("a zone is all, peak, semi_peak, day or night")
_WRONG_DAY_TYPE: Final = mark("a type of day is working, weekend or holiday")


def _windows_by_zone(**options: Any) -> fields.Dict:  # noqa: ANN401
    return fields.Dict(
        keys=choice(Zone, _WRONG_ZONE),
        values=fields.List(
            fields.String(),
            validate=validate.Length(1, 24, error=mark("a zone has 1 to 24 windows")),
        ),
        **options,
    )


def _day_types(**options: Any) -> fields.List[Any]:  # noqa: ANN401
    return fields.List(
        choice(DayType, _WRONG_DAY_TYPE),
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
        keys=fields.Date(), values=choice(DayType, _WRONG_DAY_TYPE), load_default=None
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
    basis = choice(RangeBasis, mark("a basis is zone or total"), load_default=None)
    order = choice(RangeOrder, mark("an order is proportional or time"), required=True)
    period = choice(
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
    code = code_field()
    name = fields.Nested(NameSchema, required=True)
    per = choice(FixedPer, mark("a standing charge is per month, day, m2 or person"), required=True)
    amounts = dated("amount")


class _RatchetSchema(Schema):
    percent = fields.String(required=True)
    months = fields.String(required=True)


class _CapacitySchema(Schema):
    code = code_field()
    name = fields.Nested(NameSchema, required=True)
    basis = choice(
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
    per_kw_month = dated("amount")


class _AllowanceSchema(Schema):
    kwh_per_day = fields.String(required=True)
    unused = choice(Unused, mark("an unused allowance lapses or carries"), required=True)
    credit_per_kwh = dated("amount")


class _ExportSchema(Schema):
    netting = choice(Netting, mark("netting is none, interval or period"), required=True)
    per_kwh = dated("amount")


class _TaxSchema(Schema):
    code = code_field()
    name = fields.Nested(NameSchema, required=True)
    mode = choice(TaxMode, mark("a tax is included or on_top"), required=True)
    percents = dated("percent")


class _ConcessionSchema(Schema):
    code = code_field()
    name = fields.Nested(NameSchema, required=True)
    who = fields.String(
        required=True,
        validate=validate.OneOf(
            ["entitled", "everyone"], error=mark("a concession is for the entitled or for everyone")
        ),
    )
    base = choice(Base, mark("a concession is of energy or charges"), required=True)
    percents = dated("percent")
    limit_kwh = fields.String(load_default=None)
    limit_for = fields.String(
        load_default="account",
        validate=validate.OneOf(
            ["account", "person"], error=mark("a limit is for each account or each person")
        ),
    )


class _ComponentSchema(Schema):
    code = code_field()
    per_kwh = dated("amount")


class _HourlySchema(Schema):
    series = code_field()
    longer_intervals = choice(
        Coarse, mark("longer intervals are refused (refuse) or averaged (average)"), required=True
    )
    components = fields.List(fields.Nested(_ComponentSchema), load_default=list)
    floor = fields.String(load_default=None)
    cap = fields.String(load_default=None)
    limits = choice(Limits, mark("limits hold the series or the total"), load_default=Limits.SERIES)


class _GuaranteeSchema(Schema):
    never_dearer_than = code_field()


class _TariffSchema(Schema):
    plan = fields.String(
        required=True,
        validate=validate.Regexp(
            r"[a-z0-9][a-z0-9_-]{0,63}\Z",
            error=mark("a code of a plan has small Latin letters, digits, _ and -, at most 64"),
        ),
    )
    name = fields.Nested(NameSchema, required=True)
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
    minimum = dated("amount", load_default=None)
    allowance = fields.Nested(_AllowanceSchema, load_default=None)
    export = fields.Nested(_ExportSchema, load_default=None)
    taxes = fields.List(fields.Nested(_TaxSchema), load_default=list)
    concessions = fields.List(fields.Nested(_ConcessionSchema), load_default=list)
    guarantee = fields.Nested(_GuaranteeSchema, load_default=None)
    category = fields.String(
        load_default="",
        validate=validate.Regexp(
            r"[a-z0-9][a-z0-9_-]{0,63}\Z",
            error=mark("a category has small Latin letters, digits, _ and -, at most 64"),
        ),
    )
    open = fields.String(
        load_default="yes",
        validate=validate.OneOf(["yes", "no"], error=mark("a plan is open: yes or no")),
    )
    source = source_field()
    confidence = confidence_field()
