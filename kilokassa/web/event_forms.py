"""Forms of events and quality: what people type becomes typed values, or a sentence beside it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from wtforms import HiddenField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import Length, Regexp, ValidationError

from kilokassa.core.text import mark
from kilokassa.web.forms import FileForm, Form
from kilokassa.web.language import translate
from kilokassa.web.words import word
from metering.events.kinds import KINDS_OF, QualityBasis, QualityEventKind, event_instant
from metering.registry.places import Commodity

WAYS: Final = tuple((commodity, kind) for commodity, kinds in KINDS_OF.items() for kind in kinds)
"""Every way in which a service can fall short: one choice of a form."""


class EventsForm(FileForm):
    """A file of device events."""


class QualityForm(Form):
    """A period in which a service fell short; local times of the building."""

    key = HiddenField(validators=[Regexp(r"\A[0-9a-f]{32}\Z")])
    building = SelectField(mark("Building"), choices=[])
    premises = StringField(mark("Flat"), validators=[Length(max=20)])
    way = SelectField(mark("What fell short"), choices=[])
    basis = SelectField(mark("Known from"), choices=[])
    starts = StringField(mark("From"))
    ends = StringField(mark("Until"))
    measured = StringField(mark("Measured, °C or V"))
    required = StringField(mark("Required, °C"))
    document = StringField(mark("Document"), validators=[Length(max=500)])
    note = TextAreaField(mark("Note"), validators=[Length(max=500)])

    def offer(self, buildings: Iterable[tuple[str, str]], bases: Sequence[QualityBasis]) -> None:
        """Offer these buildings and ways."""
        self.building.choices = [SelectChoice(code, address) for code, address in buildings]
        self.way.choices = [
            SelectChoice(
                f"{commodity}:{kind}",
                f"{translate(word(commodity))}: {translate(word(kind)).lower()}",
            )
            for commodity, kind in WAYS
        ]
        self.basis.choices = [SelectChoice(str(one), translate(word(one))) for one in bases]

    @property
    def chosen_way(self) -> tuple[Commodity, QualityEventKind]:
        """The service and in what it fell short."""
        commodity, _, kind = self.way.data.partition(":")
        return Commodity(commodity), QualityEventKind(kind)

    def validate_starts(self, field: Any) -> None:  # noqa: ANN401
        """Ask for a time."""
        if _local(field.data) is None:
            raise ValidationError(translate(mark("Write a date and a time.")))

    def validate_ends(self, field: Any) -> None:  # noqa: ANN401
        """Take nothing for what still lasts."""
        if field.data and _local(field.data) is None:
            raise ValidationError(translate(mark("Write a date and a time.")))

    def validate_measured(self, field: Any) -> None:  # noqa: ANN401
        """Read tenths."""
        _checked_tenths(field.data)

    def validate_required(self, field: Any) -> None:  # noqa: ANN401
        """Read tenths."""
        _checked_tenths(field.data)

    def starts_at(self, zone: ZoneInfo) -> datetime | None:
        """Return the instant it began; None where the clock skipped it."""
        local = _local(self.starts.data)
        return None if local is None else event_instant(local, zone)

    def ends_at(self, zone: ZoneInfo) -> datetime | None:
        """Return the instant it ended; None while it lasts."""
        local = _local(self.ends.data)
        return None if local is None else event_instant(local, zone)


class ComplaintForm(QualityForm):
    """What a resident tells about the own flat."""

    building = None
    premises = None
    basis = None
    required = None
    document = None

    def offer_ways(self) -> None:
        """Offer the ways in which a service can fall short."""
        self.way.choices = [
            SelectChoice(
                f"{commodity}:{kind}",
                f"{translate(word(commodity))}: {translate(word(kind)).lower()}",
            )
            for commodity, kind in WAYS
        ]


def tenths(text: str | None) -> int | None:
    """Return a number with at most one decimal as tenths; None where there is none."""
    cleaned = (text or "").strip().replace(",", ".").replace("−", "-")
    if not cleaned:
        return None
    return int(Decimal(cleaned).scaleb(1))


def _checked_tenths(text: str | None) -> None:
    cleaned = (text or "").strip().replace(",", ".").replace("−", "-")
    if not cleaned:
        return
    try:
        value = Decimal(cleaned)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or abs(value) > 10_000 or value.scaleb(1) % 1:
        raise ValidationError(
            translate(mark("Write a number with at most one decimal, such as 17.5."))
        )


def _local(text: str | None) -> datetime | None:
    """Return a local time as a browser's field writes it."""
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return found if found.tzinfo is None and 2000 <= found.year < 2100 else None
