"""The services of a house: which it has, and what its common property used and is charged for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, DateField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, Optional

from billing.common_areas.service import common_area_codes, yearly_preview
from billing.house import store as house_store
from billing.house.served import AssignedService, CommonAreaMonth, CommonFlow, ServedHouse
from billing.house.service import AssignOrder, EndOrder, assign_service, end_service
from billing.models import CommonAreaMethod
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import Language, mark, month_text, number_text, sentence
from kilokassa.web.doers import Doers
from kilokassa.web.forms import FileForm, Form, month_asked
from kilokassa.web.kit import Chart, Column, Kind, Stack, Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from kilokassa.web.words import word
from tariffs.services.common_area import MonthBasis
from tariffs.services.prices import ServicePrice, Stretch, stretches
from tariffs.services.service import ServiceOrder, publish_service
from tariffs.services.store import published_services, service_prices

MONTHS_SHOWN: Final = 12
DOCUMENT_MAX: Final = 256 * 1024


class AssignForm(Form):
    """A service for the house from a day on."""

    service = SelectField(mark("Service"), choices=[])
    valid_from = DateField(mark("From"), validators=[InputRequired()])
    valid_until = DateField(mark("Last day, where known"), validators=[Optional()])
    method = SelectField(mark("Common areas are charged"), choices=[])
    document = StringField(mark("Document"), validators=[Length(max=200)])

    def offer(self, prices: dict[str, tuple[ServicePrice, ...]], language: Language) -> None:
        """Offer the services that have prices, and the methods of the owners."""
        self.service.choices = [
            SelectChoice(code, name_of(documents[-1], language))
            for code, documents in sorted(prices.items())
        ]
        self.method.choices = [SelectChoice("", translate(mark("Not common areas")))] + [
            SelectChoice(str(method), translate(word(method))) for method in CommonAreaMethod
        ]


class PricesForm(FileForm):
    """The price document of a service."""

    replaces = BooleanField(mark("It takes the place of prices of the same date"))


class EndForm(Form):
    """The last day of a service."""

    service = SelectField(mark("Service"), choices=[])
    last_day = DateField(mark("The last day"), validators=[InputRequired()])


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """A service of the house as a row of the table."""

    assigned: AssignedService
    name: str
    stretch: Stretch | None
    """What it costs today, or on its last day; None where it has no price then."""

    @property
    def price(self) -> str:
        """What it is priced for."""
        return "" if self.stretch is None else translate(word(self.stretch.price.basis))


@dataclass(frozen=True, slots=True)
class YearLine:
    """A month of a year that is put right."""

    month: Month
    charged_wh: int
    actual_wh: int | None

    @property
    def difference_wh(self) -> int | None:
        """What is charged for it later; None where that is not known."""
        return None if self.actual_wh is None else self.actual_wh - self.charged_wh


def services() -> ResponseReturnValue:
    """List the services that have prices; publish a price document."""
    here = visit()
    form = PricesForm()
    if request.method == "POST" and form.validate():
        try:
            document = form.file.data.read(DOCUMENT_MAX + 1).decode("utf-8")
            with here.writing() as session:
                order = ServiceOrder(here.scope, document, replaces=form.replaces.data)
                done = publish_service(session, order, here.application.clock)
        except UnicodeDecodeError:
            form.form_errors.append(translate(mark("The file is no text in UTF-8.")))
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            published = mark("The prices were published.")
            flash(translate(published if done.new else mark("That was recorded before.")), "good")
            return redirect(url_for("console.service", code=done.price.code))
    table = _catalogue(here)
    if export_asked():
        return table.csv()
    answer = render_template(
        "console/services.html",
        active="console.services",
        table=table,
        form=form,
        publishing=here.may(Right.PUBLISH_TARIFFS),
    )
    return answer, 422 if request.method == "POST" else 200


def service(code: str) -> str:
    """Show a service: its prices by date, and the text as published."""
    here = visit()
    versions = published_services(here.session, code)
    return render_template(
        "console/service.html",
        active="console.services",
        versions=versions,
        name=name_of(versions[0].price, here.language),
        doers=Doers(here, [one.published_by for one in versions]),
    )


def _catalogue(here: Visit) -> Table[tuple[ServicePrice, Stretch | None]]:
    tomorrow = here.today + timedelta(days=1)
    found = [
        (documents[-1], next(iter(stretches(documents, here.today, tomorrow)), None))
        for _, documents in sorted(service_prices(here.session).items())
    ]
    return Table(
        name="service-prices",
        caption=mark("Services of houses"),
        columns=(
            Column(
                "name",
                mark("Service"),
                lambda one: name_of(one[0], here.language),
                link=lambda one: url_for("console.service", code=one[0].code),
            ),
            Column("code", mark("Code"), lambda one: one[0].code, minor=True),
            Column(
                "rate",
                mark("Price today, ₽"),
                lambda one: one[1].rate_scaled if one[1] else None,
                Kind.RATE,
            ),
            Column("basis", mark("Charged for"), lambda one: one[0].basis, Kind.WORD),
            Column(
                "heating",
                mark("And for 1 Gcal, ₽"),
                lambda one: (one[1].heat_rate_scaled or None) if one[1] else None,
                Kind.RATE,
                minor=True,
            ),
            Column(
                "from",
                mark("Published for"),
                lambda one: one[0].valid_from,
                Kind.DATE,
                minor=True,
            ),
        ),
        items=found,
        empty=mark("No prices of services are published yet."),
    )


def house_services(code: str) -> ResponseReturnValue:
    """Show the services of a house, and a year of its common-area electricity."""
    here = visit()
    house = house_store.house_in_reach(here.session, here.scope, code)
    assign, end = AssignForm(), EndForm()
    return _page(here, house, assign, end)


def assign(code: str) -> ResponseReturnValue:
    """Let the house have a service from a day on."""
    here = visit()
    house = house_store.house_in_reach(here.session, here.scope, code)
    form = AssignForm()
    form.offer(service_prices(here.session), here.language)
    if form.validate():
        order = AssignOrder(
            scope=here.scope,
            building_code=code,
            service_code=form.service.data,
            valid_from=form.valid_from.data,
            valid_until=form.valid_until.data,
            method=CommonAreaMethod(form.method.data) if form.method.data else None,
            document=(form.document.data or "").strip(),
        )

        def deed(session: Any) -> bool:  # noqa: ANN401 - a session
            return assign_service(session, order, here.application.clock)

        if _done(here, form, deed, mark("The service was recorded.")):
            return redirect(url_for("console.house_services", code=code))
    return _page(here, house, form, EndForm(), refused=True)


def end(code: str) -> ResponseReturnValue:
    """Let a service of the house end."""
    here = visit()
    house = house_store.house_in_reach(here.session, here.scope, code)
    form = EndForm()
    assigned = house_store.all_services_of(here.session, house.id)
    form.service.choices = sorted({one.code for one in assigned})
    if form.validate():
        order = EndOrder(here.scope, code, form.service.data, form.last_day.data)

        def deed(session: Any) -> bool:  # noqa: ANN401 - a session
            return end_service(session, order, here.application.clock)

        if _done(here, form, deed, mark("The end of the service was recorded.")):
            return redirect(url_for("console.house_services", code=code))
    return _page(here, house, AssignForm(), form, refused=True)


def _done(here: Visit, form: Form, deed: Callable[[Any], bool], message: str) -> bool:
    try:
        with here.writing() as session:
            changed = deed(session)
    except DomainError as error:
        form.form_errors.append(sentence(error, here.language))
        return False
    flash(translate(message if changed else mark("That was recorded before.")), "good")
    return True


def _page(
    here: Visit, house: ServedHouse, assign: AssignForm, end: EndForm, *, refused: bool = False
) -> ResponseReturnValue:
    prices = service_prices(here.session)
    assigned = house_store.all_services_of(here.session, house.id)
    last = month_asked("month") or Month.of(here.today).plus(-1)
    months = [
        row
        for _, row in sorted(
            house_store.common_area_months(
                here.session, [house.id], last.plus(1 - MONTHS_SHOWN), last
            ).items()
        )
    ]
    tables: dict[str, Table[Any]] = {
        "services": _services([_line(one, prices, here.today, here.language) for one in assigned]),
        "common-area": _months(list(reversed(months))),
    }
    year = _year(here, house, last)
    if year is not None:
        tables["yearly"] = _yearly(year)
    asked = export_asked()
    if asked in tables:
        return tables[asked].csv()
    assign.offer(prices, here.language)
    end.service.choices = [
        SelectChoice(code, name_of(prices[code][-1], here.language))
        for code in sorted({one.code for one in assigned})
        if code in prices
    ]
    if request.method == "GET":
        assign.valid_from.data = Month.of(here.today).first_day
    common = any(one.method is not None for one in assigned)
    answer = render_template(
        "console/house_services.html",
        active="console.buildings",
        house=house,
        tables=tables,
        shown=months[-1] if months else None,
        steps=_steps(months[-1]) if months else (),
        chart=_chart(months, here.language),
        common=common,
        year=year,
        year_known_wh=sum(one.difference_wh or 0 for one in year or ()),
        put_right_in=_put_right_in(here, assigned, last),
        assign=assign,
        end=end,
        editing=here.may(Right.MANAGE_ACCOUNTS),
    )
    return answer, 422 if refused else 200


def name_of(price: ServicePrice, language: Language) -> str:
    """Return the name of a service in a language."""
    return price.name if language is Language.RUSSIAN else price.name_en or price.name


def _line(
    one: AssignedService,
    prices: dict[str, tuple[ServicePrice, ...]],
    today: date,
    language: Language,
) -> ServiceLine:
    documents = prices[one.code]
    day = max(today, one.valid_from) if one.valid_until is None else min(today, one.valid_until)
    found = stretches(documents, day, date.fromordinal(day.toordinal() + 1))
    return ServiceLine(one, name_of(documents[-1], language), found[0] if found else None)


# --- common-area electricity ---


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the month's working."""

    name: str
    energy_wh: int | None
    total: bool = False


def _steps(one: CommonAreaMonth) -> tuple[Step, ...]:
    """Return how a month's volume came about, as a clerk would write it down."""
    found = [
        Step(mark("The house took"), one.house_wh),
        Step(mark("Flats and other premises used"), one.flats_wh),
        Step(mark("Left for the common property"), one.actual_wh, total=True),
    ]
    if one.basis is MonthBasis.ACTUAL:
        found.append(Step(mark("Below zero from months before"), one.carried_in_wh))
    else:
        found.append(Step(mark("By the norm"), one.detail["norm_wh"]))
    found.append(Step(mark("Charged for the month"), one.own_wh, total=True))
    if one.yearly:
        found.append(Step(mark("The year before put right"), one.yearly_wh))
    if one.carried_out_wh:
        found.append(Step(mark("Below zero, carried to the next month"), one.carried_out_wh))
    return tuple(found)


def _months(months: Sequence[CommonAreaMonth]) -> Table[CommonAreaMonth]:
    def energy(
        key: str, title: str, take: Callable[[CommonAreaMonth], int | None], *, minor: bool = False
    ) -> Column[CommonAreaMonth]:
        return Column(key, title, take, Kind.KWH, minor=minor)

    return Table(
        name="common-area",
        caption=mark("Common-area electricity by month, kWh"),
        columns=(
            Column("month", mark("Month"), lambda one: one.month, Kind.MONTH),
            Column("basis", mark("Way of charging"), lambda one: one.basis, Kind.WORD),
            energy("house", mark("House"), lambda one: one.house_wh, minor=True),
            energy("flats", mark("Flats"), lambda one: one.flats_wh, minor=True),
            Column(
                "actual",
                mark("Remainder"),
                lambda one: one.actual_wh,
                Kind.KWH,
                tone=lambda one: "bad" if (one.actual_wh or 0) < 0 else "",
            ),
            energy("in", mark("Carried in"), lambda one: one.carried_in_wh, minor=True),
            energy("charged", mark("Volume charged"), lambda one: one.charged_wh),
            energy("out", mark("Carried out"), lambda one: one.carried_out_wh, minor=True),
            Column("m2", mark("Per m²"), per_m2, minor=True),
        ),
        items=months,
        empty=mark("No month is settled yet: that is done when a month is closed."),
    )


def per_m2(one: CommonAreaMonth) -> str:
    """Return kWh for a square metre with three decimals, as receipts print it."""
    language = visit().language
    if not one.area_dm2:
        return ""
    exact = Decimal(one.charged_wh) / 10 / Decimal(one.area_dm2)
    return number_text(exact.quantize(Decimal("0.001")), language, decimals=3)


def _chart(months: Sequence[CommonAreaMonth], language: Language) -> Chart:
    return Chart(
        name="common-area-year",
        title=mark("Used by the common property, and charged for it"),
        categories=tuple(month_text(one.month, language) for one in months),
        category_title=mark("Month"),
        stacks=(
            Stack(CommonFlow.USED, tuple(one.actual_wh or 0 for one in months)),
            Stack(CommonFlow.CHARGED, tuple(one.charged_wh for one in months), line=True),
        ),
        empty=mark("No month is settled yet: that is done when a month is closed."),
    )


def _year(here: Visit, house: ServedHouse, last: Month) -> list[YearLine] | None:
    """Return the months that the next recalculation puts right; None where there are none."""
    for year in (last.year, last.year - 1):
        found = yearly_preview(here.session, house, year)
        if found:
            return [YearLine(*one) for one in found]
    return None


def _put_right_in(here: Visit, assigned: Sequence[AssignedService], last: Month) -> Month | None:
    prices = common_area_codes(here.session)
    for one in assigned:
        if one.code in prices:
            return Month(last.year + 1, prices[one.code][-1].recalculated_in)
    return None


def _yearly(year: Sequence[YearLine]) -> Table[YearLine]:
    return Table(
        name="yearly",
        caption=mark("What the year's recalculation comes to, kWh"),
        columns=(
            Column("month", mark("Month"), lambda one: one.month, Kind.MONTH),
            Column("charged", mark("Volume charged"), lambda one: one.charged_wh, Kind.KWH),
            Column("actual", mark("Really used"), lambda one: one.actual_wh, Kind.KWH),
            Column(
                "difference",
                mark("Difference"),
                lambda one: one.difference_wh,
                Kind.KWH,
                tone=lambda one: "good" if (one.difference_wh or 0) < 0 else "",
            ),
        ),
        items=year,
    )


def _services(lines: Sequence[ServiceLine]) -> Table[ServiceLine]:
    return Table(
        name="services",
        caption=mark("Services"),
        columns=(
            Column("name", mark("Service"), lambda one: one.name),
            Column(
                "rate",
                mark("Price, ₽"),
                lambda one: None if one.stretch is None else one.stretch.rate_scaled,
                Kind.RATE,
            ),
            Column("basis", mark("Charged for"), lambda one: one.price),
            Column("from", mark("From"), lambda one: one.assigned.valid_from, Kind.DATE),
            Column(
                "until",
                mark("Provided until"),
                lambda one: one.assigned.valid_until,
                Kind.DATE,
                minor=True,
            ),
            Column(
                "method",
                mark("Method of the owners"),
                lambda one: one.assigned.method,
                Kind.WORD,
                minor=True,
            ),
            Column("document", mark("Document"), lambda one: one.assigned.document, minor=True),
        ),
        items=lines,
        empty=mark("The house has no services yet."),
    )
