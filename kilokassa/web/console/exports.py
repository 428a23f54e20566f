"""The page that writes readings to a file: which days, which building, which format."""

from datetime import timedelta
from typing import Final

from flask import render_template
from flask.typing import ResponseReturnValue
from wtforms import DateField, SelectChoice, SelectField
from wtforms.validators import ValidationError

from kilokassa.app.readings_export import ExportFormat, ExportOrder
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, sentence
from kilokassa.web.exports import export_answer
from kilokassa.web.forms import Form
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from metering.exchange.store import export_buildings

FORMATS: Final = {
    ExportFormat.CSV: mark("CSV: a line a value"),
    ExportFormat.PARQUET: mark("Parquet: for analysis"),
    ExportFormat.EXCHANGE: mark("80020: half hours for the market, a file a day"),
}


class ExportForm(Form):
    """The days, the building and the format."""

    first = DateField(mark("From the day"))
    last = DateField(mark("To the day"))
    building = SelectField(mark("Building"), choices=[])
    fmt = SelectField(mark("Format"), choices=[])

    def validate_last(self, field: DateField) -> None:
        """Refuse days in the wrong order, beside the field."""
        if self.first.data and field.data and field.data < self.first.data:
            raise ValidationError(translate(mark("This day is before the first one.")))

    def offer(self, here: Visit) -> None:
        """Offer the buildings and formats in reach, and the last month where nothing is said."""
        every = SelectChoice("", translate(mark("All")))
        found = export_buildings(here.session, here.scope)
        self.building.choices = [every, *(SelectChoice(code, text) for code, text in found)]
        self.fmt.choices = [
            SelectChoice(str(fmt), translate(words))
            for fmt, words in FORMATS.items()
            if fmt is not ExportFormat.EXCHANGE or may_exchange(here)
        ]
        month = Month.of(here.today).plus(-1)
        if self.first.data is None and not self.first.raw_data:
            self.first.data = month.first_day
        if self.last.data is None and not self.last.raw_data:
            self.last.data = month.plus(1).first_day - timedelta(days=1)


def may_exchange(here: Visit) -> bool:
    """Say whether the actor may send in the retailer's name."""
    return here.scope.whole_retailer and here.may(Right.IMPORT_READINGS)


def may_import(here: Visit) -> bool:
    """Say whether the menu leads to the import, beside which this page stands."""
    return here.may(Right.IMPORT_READINGS)


def export_readings() -> ResponseReturnValue:
    """Show the form."""
    return _page(visit(), ExportForm())


def exported_readings() -> ResponseReturnValue:
    """Return the file that was asked for."""
    here = visit()
    form = ExportForm()
    form.offer(here)
    if not form.validate():
        return _page(here, form, status=422)
    try:
        order = ExportOrder(
            ExportFormat(form.fmt.data), form.first.data, form.last.data, form.building.data or None
        )
        return export_answer(here, order)
    except DomainError as error:
        return _page(here, form, refusal=sentence(error, here.language), status=422)


def _page(
    here: Visit,
    form: ExportForm,
    *,
    refusal: str = "",
    status: int = 200,
) -> ResponseReturnValue:
    form.offer(here)
    return (
        render_template(
            "console/export.html",
            active=f"console.{'import' if may_import(here) else 'export'}_readings",
            form=form,
            refusal=refusal,
            exchange=may_exchange(here),
        ),
        status,
    )
