"""Staff see reserves, keep them on a resident's behalf, publish offers and see what they cost."""

from datetime import date
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.file import FileField
from sqlalchemy import select
from wtforms import DateField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from billing.models import AccountRow
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right
from kilokassa.core.text import Language, mark, sentence
from kilokassa.db.slices import in_slices
from kilokassa.web import reserves as pages
from kilokassa.web.doers import Doers
from kilokassa.web.forms import YEARS_SHOWN, Form
from kilokassa.web.kit import Column, Kind, Paging, Table, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from wallet.reserves import service, store
from wallet.reserves.documents import EXAMPLE, MOST_BYTES, read_percent
from wallet.reserves.service import CostReport, OfferCost
from wallet.reserves.signed import PublishedOffer, SignedReserve
from wallet.reserves.store import StatedRate
from wallet.reserves.wording import rates_text

SECTION: Final = "console"
RESERVES_A_PAGE: Final = 100


class OfferForm(Form):
    """A document, as a file or as text."""

    file = FileField(mark("File"))
    document = TextAreaField(mark("Document"), validators=[Length(max=MOST_BYTES)])


class CreditRateForm(Form):
    """What credit costs from a day on."""

    percent = StringField(mark("Per cent a year"), validators=[InputRequired(), Length(max=20)])
    valid_from = DateField(mark("From"), validators=[InputRequired()])
    source = StringField(mark("Source"), validators=[Length(max=200)])


def reserves(number: str) -> ResponseReturnValue:
    """Show what an account has set aside, and the offers."""
    here = visit()
    return pages.reserves_page(here, account_of(here, number)[0], SECTION)


def new_reserve(number: str) -> ResponseReturnValue:
    """Calculate before signing; sign on the resident's behalf."""
    here = visit()
    return pages.new_reserve_page(here, account_of(here, number)[0], SECTION)


def reserve(number: str, reserve_id: int) -> ResponseReturnValue:
    """Show one reserve, and who asked for what."""
    here = visit()
    return pages.reserve_page(here, account_of(here, number)[0], SECTION, reserve_id)


def add_to_reserve(number: str, reserve_id: int) -> ResponseReturnValue:
    """Set more aside."""
    here = visit()
    return pages.add_to_reserve(here, account_of(here, number)[0], SECTION, reserve_id)


def take_out_of_reserve(number: str, reserve_id: int) -> ResponseReturnValue:
    """Show what taking out costs; take out as the resident asked."""
    here = visit()
    return pages.take_out_page(here, account_of(here, number)[0], SECTION, reserve_id)


def all_reserves() -> ResponseReturnValue:
    """List the reserves of every account in reach, the newest first."""
    here = visit()
    paging = Paging(page_asked(), RESERVES_A_PAGE, store.count(here.session, here.scope))
    exported = export_asked() == "all_reserves"
    found = (
        store.all_reserves(here.session, here.scope)
        if exported
        else store.all_reserves(
            here.session, here.scope, offset=paging.offset, limit=RESERVES_A_PAGE
        )
    )
    table = _all_table(here, found)
    if exported:
        return table.csv()
    return render_template(
        "console/reserves.html", active="console.all_reserves", table=table, paging=paging
    )


def reserve_offers() -> ResponseReturnValue:
    """List the offers with every version; publish one."""
    here = visit()
    form, refusal = OfferForm(), ""
    if request.method == "POST":
        try:
            text = _document(form)
            order = service.OfferOrder(here.scope, text, translate(mark("The document")))
            clock = here.application.clock
            with here.writing() as session:
                done = service.publish_offer(session, order, clock)
        except DomainError as error:
            refusal = sentence(error, here.language)
        else:
            told = (
                mark("%(offer)s, version %(version)s, is published.")
                if done.new
                else mark("%(offer)s, version %(version)s, is this document already.")
            )
            values = {"offer": done.offer.named(here.language), "version": done.offer.version}
            flash(translate(told) % values, "good")
            return redirect(url_for("console.reserve_offer", code=done.offer.code))
    table = _offers_table(here, store.offers(here.session))
    if export_asked() == table.name:
        return table.csv()
    page = render_template(
        "console/reserve_offers.html",
        active="console.reserve_offers",
        table=table,
        form=form,
        refusal=refusal,
        example=EXAMPLE,
        publishing=here.may(Right.PUBLISH_TARIFFS) and here.scope.whole_retailer,
    )
    return page, 422 if refusal else 200


def reserve_offer(code: str) -> ResponseReturnValue:
    """Show every version of an offer with its terms and its document."""
    here = visit()
    versions = store.offers(here.session, code)
    if not versions:
        raise NotFound(what=mark("reserve offer"), name=code[:60])
    return render_template(
        "console/reserve_offer.html",
        active="console.reserve_offers",
        versions=versions,
        terms={one.version: pages.terms(one, here.language) for one in versions},
        doers=Doers(here, [one.published_by for one in versions]),
    )


def reserve_costs() -> ResponseReturnValue:
    """Show what reserves cost in a period and what credit would have; state a rate of credit."""
    here = visit()
    form, refusal = CreditRateForm(), ""
    if request.method == "POST" and form.validate():
        try:
            rate_ppm = read_percent(form.percent.data)
            scope, clock = here.scope, here.application.clock
            with here.writing() as session:
                service.state_credit_rate(
                    session, scope, form.valid_from.data, rate_ppm, form.source.data or "", clock
                )
        except DomainError as error:
            refusal = sentence(error, here.language)
        else:
            flash(translate(mark("Recorded.")), "good")
            return redirect(url_for("console.reserve_costs"))
    start, end = _period(here)
    found = service.cost_report(here.session, here.scope, start, end)
    table, rates = _costs_table(found, here.language), _rates_table(here)
    for one in (table, rates):
        if export_asked() == one.name:
            return one.csv()
    page = render_template(
        "console/reserve_costs.html",
        active="console.reserve_costs",
        report=found,
        table=table,
        rates=rates,
        form=form,
        refusal=refusal,
        publishing=here.may(Right.PUBLISH_TARIFFS) and here.scope.whole_retailer,
    )
    return page, 422 if refusal or form.errors else 200


def _document(form: OfferForm) -> str:
    """Return the text of the file, else the one that was typed."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return (form.document.data or "").replace("\r\n", "\n")
    content = file.stream.read(MOST_BYTES + 1)
    return content.decode("utf-8", errors="replace")


def _period(here: Visit) -> tuple[date, date]:
    """Return the days that the address asks for, else the running year up to and with today."""
    found = []
    for name in ("from", "until"):
        try:
            day = date.fromisoformat(request.args.get(name, ""))
        except ValueError:
            continue
        if day.year in YEARS_SHOWN:
            found.append(day)
    if len(found) == 2 and found[0] < found[1]:
        return found[0], found[1]
    return here.today.replace(month=1, day=1), Month.of(here.today).plus(1).first_day


def _all_table(here: Visit, found: tuple[SignedReserve, ...]) -> Table[SignedReserve]:
    accounts: dict[AccountId, tuple[str, str]] = {}
    for part in in_slices(sorted({one.account_id for one in found})):
        query = select(AccountRow.id, AccountRow.number, AccountRow.payer_name)
        for row in here.session.execute(query.where(AccountRow.id.in_(part))):
            accounts[AccountId(row.id)] = (row.number, row.payer_name)
    return Table(
        name="all_reserves",
        caption=mark("Reserves"),
        columns=(
            Column(
                "account",
                mark("Account"),
                lambda one: accounts[one.account_id][0],
                link=lambda one: url_for(
                    "console.reserve", number=accounts[one.account_id][0], reserve_id=one.id
                ),
            ),
            Column("payer", mark("Payer"), lambda one: accounts[one.account_id][1], minor=True),
            Column("offer", mark("Offer"), lambda one: one.offer.named(here.language)),
            *pages.reserve_columns(),
        ),
        items=found,
        empty=mark("Nobody has set money aside yet. Publish an offer, and residents can."),
    )


def _offers_table(here: Visit, found: tuple[PublishedOffer, ...]) -> Table[PublishedOffer]:
    doers = Doers(here, [one.published_by for one in found])
    return Table(
        name="reserve_offers",
        caption=mark("Offers of reserves"),
        columns=(
            Column(
                "name",
                mark("Offer"),
                lambda one: one.named(here.language),
                link=lambda one: url_for("console.reserve_offer", code=one.code),
            ),
            Column("version", mark("Version"), lambda one: one.version, Kind.NUMBER),
            Column("rate", mark("Rate a year"), lambda one: rates_text(one.offer, here.language)),
            Column("term", mark("Term, months"), lambda one: one.offer.term_months, Kind.NUMBER),
            Column("since", mark("Offered from"), lambda one: one.offer.offered_from, Kind.DATE),
            Column(
                "until",
                mark("Offered until"),
                lambda one: one.offer.offered_until,
                Kind.DATE,
                minor=True,
            ),
            Column(
                "by", mark("Published by"), lambda one: doers.name(one.published_by), minor=True
            ),
            Column(
                "recorded", mark("Published"), lambda one: one.recorded_at, Kind.INSTANT, minor=True
            ),
        ),
        items=found,
        empty=mark("No offer is published yet: write one below."),
    )


def _costs_table(found: CostReport, language: Language) -> Table[Any]:
    columns: list[Column[OfferCost]] = [
        Column("offer", mark("Offer"), lambda one: one.offer.named(language)),
        Column("reserves", mark("Reserves"), lambda one: one.reserves, Kind.NUMBER, minor=True),
        Column(
            "average",
            mark("Set aside on average"),
            lambda one: one.cost.average_minor,
            Kind.MONEY,
            minor=True,
        ),
        Column("bonus", mark("Cost in bonus"), lambda one: one.cost.bonus_minor, Kind.MONEY),
        Column("credit", mark("On credit"), lambda one: one.cost.credit_minor, Kind.MONEY),
        Column(
            "saved",
            mark("Saved"),
            lambda one: one.cost.saved_minor,
            Kind.MONEY,
            tone=lambda one: "good" if one.cost.saved_minor > 0 else "bad",
        ),
    ]
    return Table(
        name="reserve_costs",
        caption=mark("By offer"),
        columns=columns,
        items=found.by_offer,
        empty=mark("Nothing was set aside in these days."),
    )


def _rates_table(here: Visit) -> Table[StatedRate]:
    found = store.stated_rates(here.session)
    doers = Doers(here, [one.actor for one in found])
    return Table(
        name="credit_rates",
        caption=mark("What credit costs"),
        columns=(
            Column("since", mark("From"), lambda one: one.rate.valid_from, Kind.DATE),
            Column("rate", mark("Rate a year"), lambda one: one.rate.rate_ppm, Kind.PERCENT),
            Column("source", mark("Source"), lambda one: one.source),
            Column("by", mark("Stated by"), lambda one: doers.name(one.actor), minor=True),
        ),
        items=found,
        empty=mark("No rate is stated yet; without one, credit counts as nothing."),
    )
