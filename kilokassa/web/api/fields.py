"""Fields and schemas that keep their promise: money as an exact string, errors as one shape."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from apispec.ext.marshmallow.field_converter import FieldConverterMixin
from marshmallow import Schema, ValidationError, fields

from kilokassa.core.errors import DomainError
from kilokassa.core.money import from_minor, parse_minor

MONEY_PATTERN: Final = r"^-?\d{1,15}\.\d{2}$"
RATE_PATTERN: Final = r"^\d{1,12}\.\d{2,6}$"


def known_time(value: datetime) -> None:
    """Refuse an instant that no meter and no person means; arithmetic ends beyond year 9999."""
    if not 2000 <= value.year < 2100:
        raise ValidationError("An instant lies between 2000 and 2100.")


class MoneyField(fields.Field[int]):
    """Whole kopecks inside, a string such as `1234.50` outside; a third decimal is an error.

    Marshmallow's own `Decimal(places=2)` would round it away, and describe itself as a number.
    """

    def _serialize(self, value: int | None, *_: Any, **__: Any) -> str | None:  # noqa: ANN401
        return None if value is None else str(from_minor(value).amount)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:  # noqa: ANN401
        if not isinstance(value, str):
            raise ValidationError("An amount is a string such as 1234.50.")
        try:
            return parse_minor(value)
        except DomainError as error:
            raise ValidationError("An amount has at most two decimals.") from error


def describe_money(
    _converter: FieldConverterMixin, field: fields.Field[Any], **_: object
) -> Mapping[str, str]:
    """Describe money in the OpenAPI document as what it is: a string with a pattern."""
    if isinstance(field, MoneyField):
        return {"type": "string", "pattern": MONEY_PATTERN, "example": "1234.50"}
    return {}


class ErrorSchema(Schema):
    """What every refusal looks like."""

    code = fields.String(metadata={"description": "Stable name of the refusal."})
    message = fields.String(metadata={"description": "One sentence in the language asked for."})
    retryable = fields.Boolean(metadata={"description": "Whether trying again may help."})
    fields = fields.Dict(  # type: ignore[assignment]
        metadata={"description": "What is wrong with which field, if it is one."}
    )
