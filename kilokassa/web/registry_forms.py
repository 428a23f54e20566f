"""Forms of the registry: a building, a point, a step in the life of a meter, a replacement."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

from wtforms import DateField, DateTimeLocalField, IntegerField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError

from kilokassa.core.errors import DomainError
from kilokassa.core.text import mark, sentence
from kilokassa.core.zones import Zone
from kilokassa.web.forms import Form
from kilokassa.web.language import translate
from kilokassa.web.visit import visit
from kilokassa.web.words import word
from metering.register_values import parse_total
from metering.registry.places import PPM, Commodity, Coordinates, LifeEventKind

Value = TypeVar("Value")

ZONES: Final = (Zone.ALL, Zone.DAY, Zone.NIGHT, Zone.PEAK, Zone.SEMI_PEAK)


class _Placed(Form):
    """A form of something that has coordinates."""

    latitude = StringField(mark("Latitude"), validators=[Length(max=20)])
    longitude = StringField(mark("Longitude"), validators=[Length(max=20)])

    place: Coordinates | None = None

    def read_place(self, place: Coordinates | None) -> None:
        """Show where it is."""
        if place is not None:
            self.latitude.data, self.longitude.data = str(place.latitude), str(place.longitude)

    def validate_longitude(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Read both, or neither."""
        north, east = (self.latitude.data or "").strip(), (field.data or "").strip()
        if bool(north) != bool(east):
            raise ValidationError(translate(mark("A place has both a latitude and a longitude.")))
        if north:
            self.place = _read(lambda: Coordinates.parse(north, east))


class BuildingForm(_Placed):
    """What is registered of a building."""

    address = StringField(mark("Address"), validators=[InputRequired(), Length(max=200)])
    company = SelectField(mark("Management company"), choices=[])
    servicer = SelectField(mark("Meters serviced by"), choices=[])
    norm_code = StringField(mark("Code of its norms"), validators=[Length(max=50)])
    loss_percent = StringField(mark("Losses inside the house, %"), validators=[Length(max=20)])
    loss_w = IntegerField(
        mark("Losses without load, W"), validators=[Optional(), NumberRange(0, 1_000_000)]
    )

    loss_ppm = 0

    def offer(
        self, companies: Sequence[tuple[str, str]], servicers: Sequence[tuple[str, str]]
    ) -> None:
        """Offer these companies and servicers, and none."""
        for field, known in ((self.company, companies), (self.servicer, servicers)):
            field.choices = [SelectChoice("", translate(mark("None")))] + [
                SelectChoice(code, name) for code, name in known
            ]

    def validate_loss_percent(self, field: Any) -> None:  # noqa: ANN401
        """Read per cent exactly."""
        self.loss_ppm = percent_ppm(field.data or "0")


class PointForm(_Placed):
    """What is registered of a metering point."""

    exchange_code = StringField(mark("Exchange code"), validators=[Length(max=50)])
    delivery_point = SelectField(mark("Delivery point"), choices=[])
    capacity_kw = StringField(mark("Connected capacity, kW"), validators=[Length(max=20)])

    capacity_w: int | None = None

    def offer(self, codes: Sequence[str]) -> None:
        """Offer these delivery points, and none."""
        self.delivery_point.choices = [SelectChoice("", translate(mark("None")))] + [
            SelectChoice(code, code) for code in codes
        ]

    def validate_capacity_kw(self, field: Any) -> None:  # noqa: ANN401
        """Read kW to the watt."""
        text = (field.data or "").strip()
        if text:
            self.capacity_w = capacity_w(text)


class NewPointForm(Form):
    """A metering point that is added to a building, with its meter."""

    code = StringField(mark("Code of the point"), validators=[InputRequired(), Length(max=50)])
    commodity = SelectField(mark("Measures"), choices=[])
    premises = StringField(mark("Flat"), validators=[Length(max=30)])
    area_m2 = StringField(mark("Area, m²"), validators=[Length(max=20)])
    capacity_kw = StringField(mark("Connected capacity, kW"), validators=[Length(max=20)])
    interval = SelectField(mark("How it is read"), choices=[])
    serial = StringField(mark("Number of the meter"), validators=[Length(max=50)])
    model = StringField(mark("Model"), validators=[Length(max=100)])
    digits = IntegerField(mark("Whole digits"), validators=[Optional(), NumberRange(1, 9)])
    installed_on = DateField(mark("Installed"), validators=[Optional()])
    verified_until = DateField(mark("Verified until"), validators=[Optional()])
    made_on = DateField(mark("Made"), validators=[Optional()])
    service_life = IntegerField(
        mark("Service life, years"), validators=[Optional(), NumberRange(1, 60)]
    )

    capacity_w: int | None = None
    area_dm2: int | None = None

    def offer(self) -> None:
        """Offer what may be measured, and how it may be read."""
        self.commodity.choices = [SelectChoice(str(one), translate(word(one))) for one in Commodity]
        intervals = translate(mark("Intervals of %(minutes)s minutes"))
        self.interval.choices = [
            SelectChoice("", translate(mark("Registers, by hand"))),
            *(
                SelectChoice(str(minutes), intervals % {"minutes": minutes})
                for minutes in (30, 60, 15)
            ),
        ]

    def validate_capacity_kw(self, field: Any) -> None:  # noqa: ANN401
        """Read kW to the watt."""
        text = (field.data or "").strip()
        if text:
            self.capacity_w = capacity_w(text)

    def validate_area_m2(self, field: Any) -> None:  # noqa: ANN401
        """Read square metres to hundredths."""
        text = (field.data or "").strip().replace(",", ".")
        if not text:
            return
        if not re.fullmatch(r"\d{1,5}(\.\d{1,2})?", text) or not Decimal(text):
            raise ValidationError(translate(mark("Write an area such as 45.1.")))
        self.area_dm2 = int(Decimal(text) * 100)

    def validate_serial(self, field: Any) -> None:  # noqa: ANN401
        """Ask when it was installed; a date that is left out does not ask for itself."""
        if (field.data or "").strip() and self.installed_on.data is None:
            raise ValidationError(translate(mark("A meter says when it was installed.")))


class LifeEventForm(Form):
    """Something that happened to a meter."""

    serial = SelectField(mark("Meter"), choices=[])
    kind = SelectField(mark("What happened"), choices=[])
    happened_on = DateField(mark("When"), validators=[InputRequired()])
    valid_until = DateField(mark("Verified until"), validators=[Optional()])
    document = StringField(mark("Act or certificate"), validators=[Length(max=100)])
    note = StringField(mark("Remark"), validators=[Length(max=200)])

    def offer(self, serials: Sequence[str], kinds: Sequence[LifeEventKind]) -> None:
        """Offer these meters and events."""
        self.serial.choices = [SelectChoice(serial, serial) for serial in serials]
        self.kind.choices = [
            SelectChoice(str(kind), translate(word(kind)).capitalize()) for kind in kinds
        ]

    def validate_valid_until(self, field: Any) -> None:  # noqa: ANN401
        """Ask for it of a verification; leave it out of anything else."""
        if self.kind.data != LifeEventKind.VERIFIED:
            field.data = None
        elif field.data is None:
            raise ValidationError(translate(mark("A verification says until when it holds.")))


class ReplacementForm(Form):
    """One meter taken away and another put in its place."""

    at = DateTimeLocalField(
        mark("Local time of the change"),
        format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        validators=[InputRequired()],
    )
    document = StringField(mark("Number of the act"), validators=[Length(max=100)])
    note = StringField(mark("Remark"), validators=[Length(max=200)])
    serial = StringField(
        mark("Number of the new meter"), validators=[InputRequired(), Length(max=50)]
    )
    model = StringField(mark("Model"), validators=[Length(max=100)])
    digits = IntegerField(mark("Whole digits"), validators=[Optional(), NumberRange(1, 9)])
    made_on = DateField(mark("Made"), validators=[Optional()])
    verified_until = DateField(mark("Verified until"), validators=[Optional()])
    service_life = IntegerField(
        mark("Service life, years"), validators=[Optional(), NumberRange(1, 60)]
    )

    final_all = StringField(mark("Whole day"))
    final_day = StringField(mark("Day"))
    final_night = StringField(mark("Night"))
    final_peak = StringField(mark("Peak"))
    final_semi_peak = StringField(mark("Semi-peak"))
    first_all = StringField(mark("Whole day"))
    first_day = StringField(mark("Day"))
    first_night = StringField(mark("Night"))
    first_peak = StringField(mark("Peak"))
    first_semi_peak = StringField(mark("Semi-peak"))

    def field_of(self, when: str, zone: Zone) -> Any:  # noqa: ANN401 - a field of WTForms
        """Return the field of a zone's `final` or `first` reading."""
        return self[f"{when}_{zone}"]

    def totals(self, when: str, commodity: Commodity) -> dict[Zone, int]:
        """Return the readings that were filled in; raise for one that cannot be read."""
        filled = {zone: (self.field_of(when, zone).data or "").strip() for zone in ZONES}
        return {zone: parse_total(text, commodity) for zone, text in filled.items() if text}


def percent_ppm(text: str) -> int:
    """Return per cent with at most four decimals as millionths."""
    whole, _, fraction = text.strip().replace(",", ".").partition(".")
    digits = whole + fraction
    if not digits.isascii() or not digits.isdigit() or len(fraction) > 4 or len(whole) > 2:
        raise ValidationError(translate(mark("Write per cent such as 1.5.")))
    return int(whole or "0") * (PPM // 100) + int(fraction.ljust(4, "0"))


def capacity_w(text: str) -> int:
    """Return kW with at most three decimals as watts."""
    try:
        return parse_total(text, Commodity.ELECTRICITY)
    except DomainError:
        raise ValidationError(translate(mark("Write kilowatts such as 15 or 7.5."))) from None


def _read(parse: Callable[[], Value]) -> Value:
    try:
        return parse()
    except DomainError as refusal:
        raise ValidationError(sentence(refusal, visit().language)) from None
