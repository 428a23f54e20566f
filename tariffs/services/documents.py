"""The YAML in which a service of a house is priced, read whole into a `ServicePrice`."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from marshmallow import Schema, fields, validate

from kilokassa.core.digest import digest_value
from kilokassa.core.text import mark
from tariffs.charges import DatedAmount
from tariffs.document_values import dated_amounts
from tariffs.services.prices import BASES_OF, Basis, HeatingPart, HouseService, ServicePrice
from tariffs.yaml_fields import (
    Fault,
    NameSchema,
    choice,
    code_field,
    confidence_field,
    dated,
    read_document,
    source_field,
)

KCAL_PER_GCAL: Final = 1_000_000
_GCAL: Final = re.compile(r"[01](\.[0-9]{1,6})?")

PRICE_FIELD: Final = {
    Basis.METER: "per_m3",
    Basis.WATER: "per_m3",
    Basis.AREA: "per_m2",
    Basis.PERSON: "per_person",
    Basis.COMMON_AREA: "per_kwh",
}
"""Which field holds the prices, by what they are for."""


class _HeatingSchema(Schema):
    gcal_per_m3 = fields.String(required=True)
    per_gcal = dated("amount")


class _ServiceSchema(Schema):
    service = choice(
        HouseService,
        mark("a service is cold_water, hot_water, drainage, housing or common_electricity"),
        required=True,
    )
    code = code_field()
    name = fields.Nested(NameSchema, required=True)
    valid_from = fields.Date(required=True)
    currency = fields.String(
        required=True, validate=validate.Equal("RUB", error=mark("the currency is RUB"))
    )
    basis = choice(
        Basis, mark("a basis is meter, water, area, person or common_area"), required=True
    )
    per_m3 = dated("amount", load_default=None)
    per_m2 = dated("amount", load_default=None)
    per_person = dated("amount", load_default=None)
    per_kwh = dated("amount", load_default=None)
    heating = fields.Nested(_HeatingSchema, load_default=None)
    norm = fields.String(
        load_default="",
        validate=validate.Length(1, 64, error=mark("a code of norms has 1 to 64 characters")),
    )
    plan = fields.String(load_default="")
    norm_kwh_per_m2 = dated("amount", load_default=None)
    recalculated_in = fields.String(load_default=None)
    source = source_field()
    confidence = confidence_field()


def parse_service(text: str, *, where: str = mark("service price")) -> ServicePrice:
    """Read a price document of a service; refuse it in one sentence with the line and the field.

    The format is described in `docs/reference/service-yaml.md`.
    """
    return read_document(text, _ServiceSchema, _price, where=where)


def _price(loaded: Mapping[str, Any]) -> ServicePrice:
    service, basis, begins = loaded["service"], loaded["basis"], loaded["valid_from"]
    if basis not in BASES_OF[service]:
        raise Fault(
            ("basis",),
            mark("%(service)s is charged by %(bases)s"),
            service=str(service),
            bases=", ".join(map(str, BASES_OF[service])),
        )
    _refuse_strangers(loaded, service, basis)
    name = PRICE_FIELD[basis]
    amounts: tuple[DatedAmount, ...] = ()
    if loaded[name] is not None:
        amounts = dated_amounts(loaded[name], (name,), begins)
    elif not loaded["plan"]:
        raise Fault((name,), mark("the field is missing"))
    area_norms: tuple[DatedAmount, ...] = ()
    if basis is Basis.COMMON_AREA:
        if loaded["norm_kwh_per_m2"] is None:
            raise Fault(("norm_kwh_per_m2",), mark("the field is missing"))
        area_norms = dated_amounts(loaded["norm_kwh_per_m2"], ("norm_kwh_per_m2",), begins)
    heating = _heating(loaded["heating"], begins)
    recalculated_in = _month(loaded["recalculated_in"])
    values = {
        "service": str(service),
        "code": loaded["code"],
        "name": [loaded["name"]["ru"], loaded["name"]["en"]],
        "valid_from": begins.isoformat(),
        "basis": str(basis),
        "amounts": _plain(amounts),
        "heating": None if heating is None else [heating.kcal_per_m3, _plain(heating.amounts)],
        "norm": loaded["norm"],
        "plan": loaded["plan"],
        "area_norms": _plain(area_norms),
        "recalculated_in": recalculated_in,
        "source": loaded["source"],
        "confidence": loaded["confidence"],
    }
    return ServicePrice(
        service=service,
        code=loaded["code"],
        name=loaded["name"]["ru"],
        name_en=loaded["name"]["en"],
        valid_from=begins,
        basis=basis,
        amounts=amounts,
        heating=heating,
        norm_code=loaded["norm"],
        plan_code=loaded["plan"],
        area_norms=area_norms,
        recalculated_in=recalculated_in,
        source=loaded["source"],
        confidence=loaded["confidence"],
        digest=digest_value(values),
    )


def _refuse_strangers(loaded: Mapping[str, Any], service: HouseService, basis: Basis) -> None:
    """Refuse a field that the service has no use for: it would be ignored in silence."""
    useless = {
        name: name != PRICE_FIELD[basis] for name in ("per_m3", "per_m2", "per_person", "per_kwh")
    } | {
        "heating": service is not HouseService.HOT_WATER,
        "norm": basis is not Basis.METER,
        "plan": basis is not Basis.COMMON_AREA,
        "norm_kwh_per_m2": basis is not Basis.COMMON_AREA,
        "recalculated_in": basis is not Basis.COMMON_AREA,
    }
    for name, stranger in useless.items():
        if stranger and loaded[name]:
            raise Fault(
                (name,), mark("a service charged by %(basis)s has no such field"), basis=str(basis)
            )
    if loaded["plan"] and loaded["per_kwh"] is not None:
        raise Fault(("plan",), mark("the price is that of a plan or its own, not both"))


def _heating(loaded: Mapping[str, Any] | None, begins: date) -> HeatingPart | None:
    if loaded is None:
        return None
    text = loaded["gcal_per_m3"]
    if _GCAL.fullmatch(text) is None or not Decimal(text):
        raise Fault(
            ("heating", "gcal_per_m3"),
            mark("%(text)s is no norm such as 0.0526 Gcal per m3, with at most six decimals"),
            text=repr(text),
        )
    return HeatingPart(
        kcal_per_m3=int(Decimal(text) * KCAL_PER_GCAL),
        amounts=dated_amounts(loaded["per_gcal"], ("heating", "per_gcal"), begins),
    )


def _month(text: str | None) -> int:
    if text is None:
        return 3
    if text not in {"1", "2", "3"}:
        raise Fault(
            ("recalculated_in",),
            mark("the year before is put right in its first quarter: 1, 2 or 3"),
        )
    return int(text)


def _plain(amounts: tuple[DatedAmount, ...]) -> list[list[str | int]]:
    return [[one.valid_from.isoformat(), one.amount_scaled] for one in amounts]
