"""Price series of the market: the list, a month or a day of one, files of prices and hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectChoice, SelectField, StringField
from wtforms.validators import Length, Regexp, ValidationError

from kilokassa.core.calendar import Month, intervals_in_day
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import Language, date_text, mark, month_text, sentence
from kilokassa.web.forms import FileForm, Form, month_asked
from kilokassa.web.kit import Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.price_chart import PricePicture, Steps, price_svg
from kilokassa.web.price_tables import (
    DayRevision,
    IntervalPrice,
    clocks_of,
    days_table,
    hours_table,
    intervals_table,
    series_table,
)
from kilokassa.web.visit import Visit, visit
from tariffs.prices import store
from tariffs.prices.files import LARGEST_BYTES
from tariffs.prices.prices import INTERVALS_MIN, StoredDay, missing_days
from tariffs.prices.service import (
    PeakHoursNamed,
    PricesTaken,
    SeriesOrder,
    begin_series,
    take_file,
    take_peak_hours_file,
)
from tariffs.prices.store import Series

CODE: Final = r"\A[a-z0-9][a-z0-9_-]{0,63}\Z"
_HOURS_A_LABEL: Final = 3
_DAYS_A_LABEL: Final = 5


class SeriesForm(Form):
    """A price series to begin."""

    code = StringField(
        mark("Code"),
        validators=[Regexp(CODE, message=mark("small Latin letters, digits, _ and -, at most 64"))],
    )
    name = StringField(mark("Name"), validators=[Length(1, 200)])
    name_en = StringField(mark("Name in English"), validators=[Length(max=200)])
    zone = StringField(mark("Time zone of its days"))
    interval = SelectField(mark("Length of an interval"), choices=[])
    source = StringField(mark("Where it is published"), validators=[Length(max=500)])

    chosen_zone: ZoneInfo

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        minutes = translate(mark("%(minutes)s minutes"))
        self.interval.choices = [
            SelectChoice(str(one), minutes % {"minutes": one}) for one in reversed(INTERVALS_MIN)
        ]

    def validate_zone(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Ask for a zone that exists."""
        try:
            self.chosen_zone = ZoneInfo((field.data or "").strip())
        except (KeyError, ValueError, OSError):
            raise ValidationError(
                translate(mark("Write a time zone such as Europe/Moscow."))
            ) from None


class PricesForm(FileForm):
    """A file of prices."""


class PeakHoursForm(FileForm):
    """A file of peak hours, and the list that it states."""

    list_code = StringField(
        mark("Code of the list"),
        validators=[Regexp(CODE, message=mark("small Latin letters, digits, _ and -, at most 64"))],
    )


def price_series() -> ResponseReturnValue:
    """List the series and the peak hours."""
    here = visit()
    table = series_table(store.all_series(here.session, here.scope), here.language)
    hours = hours_table(store.peak_hours(here.session, here.scope), here.zone)
    asked = export_asked()
    if asked:
        return (hours if asked == hours.name else table).csv()
    return _list_page(here, SeriesForm(zone=here.zone.key), PeakHoursForm(formdata=None))


def begin_price_series() -> ResponseReturnValue:
    """Begin a series."""
    here = visit()
    form, refusal = SeriesForm(), ""
    if form.validate():
        order = SeriesOrder(
            here.scope,
            form.code.data,
            form.name.data,
            form.chosen_zone,
            int(form.interval.data),
            form.name_en.data or "",
            form.source.data or "",
        )
        try:
            with here.writing() as session:
                begin_series(session, order, here.application.clock)
        except DomainError as error:
            refusal = sentence(error, here.language)
        else:
            return redirect(url_for("console.one_price_series", code=order.code))
    return _list_page(here, form, PeakHoursForm(formdata=None), refusal), 422


def import_peak_hours() -> ResponseReturnValue:
    """Take a file of peak hours in: of the months that it names it states all."""
    here = visit()
    form, refusal = PeakHoursForm(), ""
    if form.validate():
        content, name = _upload(form)
        zone = here.zone
        try:
            with here.writing() as session:
                named = take_peak_hours_file(
                    session,
                    here.scope,
                    form.list_code.data,
                    zone,
                    content,
                    name,
                    here.application.clock,
                )
        except DomainError as error:
            refusal = sentence(error, here.language)
        else:
            flash(_named_text(named), "good")
            return redirect(url_for("console.price_series"))
    return _list_page(here, SeriesForm(formdata=None, zone=here.zone.key), form, refusal), 422


def one_price_series(code: str) -> ResponseReturnValue:
    """Show a month of a series, or a day of it, with every revision."""
    here = visit()
    series = store.series_by_code(here.session, here.scope, code)
    asked = export_asked()
    if asked:
        return _month_shown(here, series).table_named(asked).csv()
    return _series_page(here, series, PricesForm(formdata=None))


def import_prices(code: str) -> ResponseReturnValue:
    """Take a file of prices in."""
    here = visit()
    form, refusal = PricesForm(), ""
    if form.validate():
        content, name = _upload(form)
        scope = here.scope
        try:
            with here.writing() as session:
                taken = take_file(session, scope, code, content, name, here.application.clock)
        except DomainError as error:
            refusal = sentence(error, here.language)
        else:
            flash(_taken_text(taken), "good")
            days = taken.changed or taken.new or taken.same
            return redirect(
                url_for("console.one_price_series", code=code, month=str(Month.of(days[-1])))
            )
    series = store.series_by_code(here.session, here.scope, code)
    return _series_page(here, series, form, refusal), 422


def _list_page(here: Visit, form: SeriesForm, hours_form: PeakHoursForm, refusal: str = "") -> str:
    return render_template(
        "console/prices.html",
        active="console.price_series",
        table=series_table(store.all_series(here.session, here.scope), here.language),
        hours=hours_table(store.peak_hours(here.session, here.scope), here.zone),
        form=form,
        hours_form=hours_form,
        refusal=refusal,
        may_write=here.may(Right.PUBLISH_TARIFFS) and here.scope.whole_retailer,
    )


@dataclass(frozen=True, slots=True)
class MonthShown:
    """A month of a series as its page shows it, and the day that was chosen, if one was."""

    month: Month
    chosen: date | None
    days: Sequence[DayRevision]
    table: Table[DayRevision]
    intervals: Table[IntervalPrice] | None

    def table_named(self, name: str) -> Table[Any]:
        """Return the table of a name; that of the days where there is none of it."""
        if self.intervals is not None and name == self.intervals.name:
            return self.intervals
        return self.table


def _month_shown(here: Visit, series: Series) -> MonthShown:
    month = month_asked("month") or Month.of(series.last_day or here.today)
    stored = store.days_of_month(here.session, here.scope, series, month)
    latest = {one.prices.day: one for one in stored}
    days = [DayRevision(one, one is latest[one.prices.day]) for one in stored]
    chosen = _day_asked(latest)
    intervals = None if chosen is None else intervals_table(series, chosen, days)
    return MonthShown(month, chosen, days, days_table(here, series, days), intervals)


def _series_page(here: Visit, series: Series, form: PricesForm, refusal: str = "") -> str:
    shown = _month_shown(here, series)
    month, chosen, days = shown.month, shown.chosen, shown.days
    until = min(month.days[-1], series.last_day or month.days[-1])
    since = max(month.first_day, series.first_day or until)
    picture = (
        _month_picture(series, month, days, here.language)
        if chosen is None
        else _day_picture(series, chosen, days, here.language)
    )
    return render_template(
        "console/price_series.html",
        active="console.price_series",
        series=series,
        name=series.name if here.language is Language.RUSSIAN else series.name_en,
        shown=shown,
        picture=price_svg(picture, here.language),
        title=picture.title,
        revised=any(not one.holds for one in days),
        missing=missing_days([one.stored.prices.day for one in days], since, until),
        form=form,
        refusal=refusal,
        may_write=here.may(Right.PUBLISH_TARIFFS) and here.scope.whole_retailer,
    )


def _day_asked(latest: Mapping[date, StoredDay]) -> date | None:
    try:
        day = date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        return None
    return day if day in latest else None


def _upload(form: FileForm) -> tuple[bytes, str]:
    upload = form.file.data
    return upload.read(LARGEST_BYTES + 1), (upload.filename or "prices.csv")[-100:]


def _taken_text(taken: PricesTaken) -> str:
    return translate(mark("Days: %(new)s new, %(changed)s changed, %(same)s as before.")) % {
        "new": len(taken.new),
        "changed": len(taken.changed),
        "same": len(taken.same),
    }


def _named_text(named: PeakHoursNamed) -> str:
    text = mark("Hours: %(named)s named, %(withdrawn)s withdrawn, %(same)s as before.")
    return translate(text) % {
        "named": named.named,
        "withdrawn": named.withdrawn,
        "same": named.same,
    }


def _month_picture(
    series: Series, month: Month, days: Sequence[DayRevision], language: Language
) -> PricePicture:
    counts = [intervals_in_day(day, series.zone, series.interval_min) for day in month.days]
    begins = {day: sum(counts[:number]) for number, day in enumerate(month.days)}
    known = {one.stored.prices.day for one in days}
    return PricePicture(
        title=translate(mark("Prices of %(month)s, ₽ per kWh"))
        % {"month": month_text(month, language)},
        count=sum(counts),
        steps=_steps(days, begins),
        holes=[
            (begins[day], begins[day] + counts[number])
            for number, day in enumerate(month.days)
            if day not in known and series.last_day is not None and day <= series.last_day
        ],
        labels=[
            (begins[day], str(day.day))
            for day in month.days
            if day.day == 1 or day.day % _DAYS_A_LABEL == 0
        ],
    )


def _steps(days: Sequence[DayRevision], begins: dict[date, int]) -> list[Steps]:
    """Return the days as steps; days in force that follow one another are one line."""
    steps = [
        Steps(begins[one.stored.prices.day], one.prices, former=True)
        for one in days
        if not one.holds
    ]
    first, line = 0, list[int]()
    for one in days:
        if not one.holds:
            continue
        begin = begins[one.stored.prices.day]
        if line and begin != first + len(line):
            steps.append(Steps(first, line))
            line = []
        if not line:
            first = begin
        line = line + one.prices
    return [*steps, Steps(first, line)] if line else steps


def _day_picture(
    series: Series, day: date, days: Sequence[DayRevision], language: Language
) -> PricePicture:
    of_day = [one for one in days if one.stored.prices.day == day]
    clocks = clocks_of(series, day)
    every = _HOURS_A_LABEL * 60 // series.interval_min
    return PricePicture(
        title=translate(mark("Prices of %(day)s, ₽ per kWh")) % {"day": date_text(day, language)},
        count=len(clocks),
        steps=[Steps(0, one.prices, former=not one.holds) for one in of_day],
        holes=(),
        labels=[(number, clock) for number, clock in enumerate(clocks) if number % every == 0],
    )
