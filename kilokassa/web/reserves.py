"""Reserves of one account on pages of the resident and of staff: list, calculator, breaking."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, HiddenField, SelectChoice, SelectField, StringField
from wtforms.validators import Length, Optional, Regexp

from billing.models import AccountRow
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.money import half_up_ratio
from kilokassa.core.scope import Right, Role
from kilokassa.core.text import Language, amount_text, mark, number_text, sentence
from kilokassa.web.doers import Doers
from kilokassa.web.forms import Form, ResidentTopUpForm
from kilokassa.web.kit import Column, Kind, Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from wallet import store as wallet_store
from wallet.lots import LotKind, spendable_minor
from wallet.reserves import service, store
from wallet.reserves.calculator import Broken, Calculation, calculate
from wallet.reserves.reserve import (
    BREAK_WORDS,
    PARTS_A_KOPECK,
    STEP_WORDS,
    BreakRule,
    NotOwnMoney,
    ReserveAmount,
    Step,
    StepKind,
    Working,
    project,
    workings,
)
from wallet.reserves.signed import (
    STATE_WORDS,
    Posted,
    PublishedOffer,
    ReserveState,
    SignedReserve,
)
from wallet.reserves.wording import (
    DAY_WORDS,
    HOLDS_WORDS,
    PAID_WORDS,
    percent_text,
    rates_text,
)

STATE_TONES: Final = {
    ReserveState.KEPT: "good",
    ReserveState.BROKEN: "warn",
    ReserveState.RETURNED: "quiet",
}
SOURCES: Final = {
    '{"from":"bonus"}': mark("from the unspent bonus"),
    '{"from":"reserve"}': mark("withheld from the money that came back"),
    '{"from":"expired"}': mark("had expired already"),
    '{"from":"waived"}': mark("waived"),
}


class CalculatorForm(Form):
    """Which offer, how much, and on which day it might be broken."""

    offer = SelectField(mark("Offer"), choices=[], validate_choice=False)
    amount = StringField(mark("Amount, roubles"), validators=[Length(max=20)])
    broken_on = DateField(mark("If taken out on"), validators=[Optional()])

    amount_minor = 0
    validate_amount = ResidentTopUpForm.validate_amount

    def __init__(self, offers: Sequence[PublishedOffer], language: Language) -> None:
        super().__init__(formdata=request.values if "amount" in request.values else None)
        self.offer.choices = [SelectChoice(one.code, one.named(language)) for one in offers]


class SignForm(ResidentTopUpForm):
    """An offer's version as it was shown, with the amount and the key that makes it count once."""

    offer = HiddenField(validators=[Length(max=40)])
    version = HiddenField(validators=[Regexp(r"\A[0-9]{1,6}\Z")])


def may_keep(here: Visit) -> bool:
    """Say whether who looks may set money aside and take it out."""
    return here.scope.role is Role.RESIDENT or here.may(Right.MANAGE_WALLETS)


def reserves_page(here: Visit, row: AccountRow, section: str) -> ResponseReturnValue:
    """Show what an account has set aside, and the offers."""
    found = store.reserves_of(here.session, here.scope, AccountId(row.id))
    table = own_table(found, here, row, section)
    if export_asked() == table.name:
        return table.csv()
    return _page(
        here,
        row,
        section,
        "reserves/list.html",
        table=table,
        kept_minor=sum(one.kept_minor for one in found),
        bonus_minor=sum(one.bonus_minor for one in found),
        offers=store.offers_on(here.session, here.today),
        own_minor=own_minor(here, AccountId(row.id)),
    )


def new_reserve_page(here: Visit, row: AccountRow, section: str) -> ResponseReturnValue:
    """Calculate before signing; sign."""
    offers = store.offers_on(here.session, here.today)
    form = CalculatorForm(offers, here.language)
    refusal = ""
    if request.method == "POST":
        asked = SignForm()
        if asked.validate():
            order = service.SignOrder(
                AccountId(row.id),
                asked.offer.data or "",
                asked.amount_minor,
                here.zone,
                f"page:{asked.key.data}",
                int(asked.version.data or 0),
            )
            number = row.number
            try:
                scope, clock = here.scope, here.application.clock
                with here.writing() as session:
                    done = service.sign(session, scope, order, clock)
            except DomainError as error:
                refusal = refusal_text(error, here.language)
                row, _ = account_of(here, number)
            else:
                text = translate(mark("%(amount)s are set aside."))
                amount = amount_text(order.amount_minor, here.language)
                flash(text % {"amount": amount}, "good")
                return redirect(
                    url_for(f"{section}.reserve", number=number, reserve_id=done.reserve_id)
                )
        else:
            refusal = translate(mark("The form was not complete; calculate again."))
    calculation, offer = None, None
    if form.offer.data is None and offers:
        form.offer.data = offers[0].code
    if "amount" in request.values and form.validate():
        offer = next((one for one in offers if one.code == form.offer.data), None)
        try:
            if offer is not None:
                broken_on: date | None = form.broken_on.data
                calculation = calculate(
                    offer.offer, here.today, form.amount_minor, broken_on=broken_on
                )
        except DomainError as error:
            refusal = refusal or refusal_text(error, here.language)
    tables = {} if calculation is None else calculation_tables(calculation)
    if export_asked() in tables:
        return tables[export_asked()].csv()
    status = 422 if refusal or form.errors else 200
    page = _page(
        here,
        row,
        section,
        "reserves/new.html",
        form=form,
        offers=offers,
        offer=offer,
        terms=[] if offer is None else terms(offer, here.language),
        calculation=calculation,
        tables=tables,
        refusal=refusal,
        key=uuid4().hex,
        own_minor=own_minor(here, AccountId(row.id)),
    )
    return page, status


def reserve_page(
    here: Visit, row: AccountRow, section: str, reserve_id: int, refusal: str = ""
) -> ResponseReturnValue:
    """Show one reserve: how it stands, what moved, what comes, and how the bonus is made."""
    signed = store.reserve_of(here.session, here.scope, AccountId(row.id), reserve_id)
    today = here.today
    until = min(today, signed.ends_on)
    life = project(signed.reserve, signed.ends_on)
    doers = Doers(here, [one.actor for one in signed.posted]) if section == "console" else None
    coming = [step for step in life.steps if step.on > max(today, signed.last_on)]
    tables: dict[str, Table[Any]] = {
        "movements": posted_table(signed.posted, doers),
        "workings": workings_table(workings(signed.reserve, until)),
        "coming": steps_table(coming if signed.kept_minor else [], "coming", mark("What comes")),
    }
    if export_asked() in tables:
        return tables[export_asked()].csv()
    page = _page(
        here,
        row,
        section,
        "reserves/one.html",
        signed=signed,
        state=STATE_WORDS[signed.state],
        state_tone=STATE_TONES[signed.state],
        unpaid_parts=project(signed.reserve, until).unpaid_parts,
        next_day=signed.next_pay_day(today),
        whole_minor=life.bonus_minor,
        until=until,
        terms=terms(signed.offer, here.language),
        tables=tables,
        key=uuid4().hex,
        refusal=refusal,
        own_minor=own_minor(here, AccountId(row.id)),
    )
    return (page, 422) if refusal else page


def add_to_reserve(
    here: Visit, row: AccountRow, section: str, reserve_id: int
) -> ResponseReturnValue:
    """Set more aside."""
    return _move(
        here, row, section, reserve_id, service.add, mark("%(amount)s more are set aside.")
    )


def take_out_page(
    here: Visit, row: AccountRow, section: str, reserve_id: int
) -> ResponseReturnValue:
    """Show what taking out costs before it is confirmed; take out."""
    if request.method == "POST":
        done = mark("%(amount)s were taken out.")
        return _move(here, row, section, reserve_id, service.take_out, done)
    signed = store.reserve_of(here.session, here.scope, AccountId(row.id), reserve_id)
    asked = "amount" in request.args
    form = ResidentTopUpForm(formdata=request.args if asked else None)
    loss, refusal = None, ""
    form.key.data = uuid4().hex
    if not asked:
        whole = amount_text(signed.kept_minor, Language.ENGLISH, unit=False)
        form.amount.data = whole.replace(",", "").replace("\u00a0", "")
    elif form.validate():
        order = service.MoveOrder(
            AccountId(row.id), reserve_id, form.amount_minor, here.zone, f"page:{form.key.data}"
        )
        try:
            loss = service.loss_of(here.session, here.scope, order, here.application.clock)
        except DomainError as error:
            refusal = refusal_text(error, here.language)
    page = _page(
        here,
        row,
        section,
        "reserves/take_out.html",
        signed=signed,
        form=form,
        loss=loss,
        refusal=refusal,
        rule=BREAK_WORDS[signed.offer.offer.break_rule],
    )
    return page, 422 if refusal or form.errors else 200


def _move(
    here: Visit,
    row: AccountRow,
    section: str,
    reserve_id: int,
    what: Callable[..., service.Done],
    told: str,
) -> ResponseReturnValue:
    form = ResidentTopUpForm()
    number = row.number
    if not form.validate():
        errors = " ".join(str(text) for found in form.errors.values() for text in found)
        return reserve_page(here, row, section, reserve_id, errors)
    order = service.MoveOrder(
        AccountId(row.id), reserve_id, form.amount_minor, here.zone, f"page:{form.key.data}"
    )
    try:
        scope, clock = here.scope, here.application.clock
        with here.writing() as session:
            done = what(session, scope, order, clock)
    except DomainError as error:
        # The session that the account was read in has ended.
        account, _ = account_of(here, number)
        return reserve_page(here, account, section, reserve_id, refusal_text(error, here.language))
    text = translate(told) % {"amount": amount_text(order.amount_minor, here.language)}
    if done.clawed_back_minor:
        back = translate(mark("%(amount)s of the bonus went back."))
        text += " " + back % {"amount": amount_text(done.clawed_back_minor, here.language)}
    flash(text, "good")
    return redirect(url_for(f"{section}.reserve", number=number, reserve_id=reserve_id))


def own_minor(here: Visit, account_id: AccountId) -> int:
    """Return the own money that could be set aside now, in kopecks."""
    balance = wallet_store.balances(here.session, [account_id], here.now).get(account_id)
    if balance is None or balance.new_debt_minor:
        return 0
    lots = wallet_store.lots_of(here.session, here.scope, account_id)
    own = [one.lot for one in lots if one.lot.kind is LotKind.OWN]
    return max(0, spendable_minor(own, here.now) - balance.held_minor)


def refusal_text(error: DomainError, language: Language) -> str:
    """Return a refusal as people read it, amounts in roubles."""

    def money(name: str) -> str:
        return amount_text(error.values[name], language)

    if isinstance(error, ReserveAmount):
        text = mark("This reserve holds from %(least)s to %(most)s; it would hold %(kept)s.")
        return translate(text) % {name: money(name) for name in ("least", "most", "kept")}
    if isinstance(error, NotOwnMoney):
        text = mark(
            "Of your own money %(free)s can be set aside: a bonus cannot, nor anything while "
            "something is unpaid."
        )
        return translate(text) % {"free": money("free")}
    return sentence(error, language)


def terms(one: PublishedOffer, language: Language) -> list[tuple[str, str]]:
    """Return the terms of an offer as pairs of a label and what it says."""
    offer = one.offer
    broken = translate(BREAK_WORDS[offer.break_rule])
    if offer.break_rule is BreakRule.LOWER_RATE:
        broken += f" ({percent_text(offer.broken_rate_ppm, language)})"
    least, most = (amount_text(minor, language) for minor in (offer.least_minor, offer.most_minor))
    return [
        (translate(mark("Rate a year")), rates_text(offer, language)),
        (translate(mark("Term, months")), str(offer.term_months)),
        (translate(mark("The rate that holds")), translate(HOLDS_WORDS[offer.rate_holds])),
        (translate(mark("Bonus is paid")), translate(PAID_WORDS[offer.paid_when])),
        (translate(mark("Days are counted")), translate(DAY_WORDS[offer.day_count])),
        (translate(mark("Taken out early")), broken),
        (translate(mark("Amount")), f"{least} – {most}"),
        (
            translate(mark("Additions")),
            translate(mark("are taken") if offer.takes_additions else mark("are not taken")),
        ),
        (translate(mark("A bonus lives for, days")), str(offer.bonus_expires_after_days)),
    ]


def own_table(
    found: Sequence[SignedReserve], here: Visit, row: AccountRow, section: str
) -> Table[SignedReserve]:
    """Return the reserves of an account, each leading to its page."""
    number, today = row.number, here.today
    return Table(
        name="reserves",
        caption=mark("Reserves"),
        columns=(
            Column(
                "offer",
                mark("Offer"),
                lambda one: one.offer.named(here.language),
                link=lambda one: url_for(f"{section}.reserve", number=number, reserve_id=one.id),
            ),
            *reserve_columns(),
            Column("next", mark("Next bonus"), lambda one: one.next_pay_day(today), Kind.DATE),
        ),
        items=found,
        empty=mark("Nothing is set aside. Calculate below what it would bring."),
    )


def reserve_columns() -> tuple[Column[SignedReserve], ...]:
    """Return the columns that every list of reserves has."""
    return (
        Column("kept", mark("Set aside"), lambda one: one.kept_minor, Kind.MONEY),
        Column("bonus", mark("Bonus so far"), lambda one: one.bonus_minor, Kind.MONEY),
        Column("signed", mark("Signed"), lambda one: one.signed_on, Kind.DATE, minor=True),
        Column("ends", mark("Comes back"), lambda one: one.ends_on, Kind.DATE, minor=True),
        Column(
            "state",
            mark("State"),
            lambda one: STATE_WORDS[one.state],
            Kind.MESSAGE,
            tone=lambda one: STATE_TONES[one.state],
        ),
    )


def posted_table(found: Sequence[Posted], doers: Doers | None) -> Table[Posted]:
    """Return what moved; who asked for it is shown where `doers` are given."""
    who: tuple[Column[Posted], ...] = ()
    if doers is not None:
        who = (
            Column("by", mark("By"), lambda one: doers.name(one.actor), minor=True),
            Column(
                "recorded", mark("Recorded"), lambda one: one.recorded_at, Kind.INSTANT, minor=True
            ),
        )
    return Table(
        name="movements",
        caption=mark("What moved"),
        columns=(
            Column("on", mark("Day"), lambda one: one.on, Kind.DATE),
            Column("kind", mark("Step"), lambda one: STEP_WORDS[one.kind], Kind.MESSAGE),
            Column(
                "amount",
                mark("Amount"),
                lambda one: one.amount_minor,
                Kind.MONEY,
                tone=lambda one: "good" if one.kind is StepKind.PAID else "",
            ),
            Column("from", mark("Note"), lambda one: SOURCES.get(one.detail), Kind.MESSAGE),
            *who,
        ),
        items=found,
    )


def steps_table(found: Sequence[Step], name: str, caption: str) -> Table[Step]:
    """Return steps of a projection."""
    return Table(
        name=name,
        caption=caption,
        columns=(
            Column("on", mark("Day"), lambda one: one.on, Kind.DATE),
            Column("kind", mark("Step"), lambda one: STEP_WORDS[one.kind], Kind.MESSAGE),
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
            Column("kept", mark("Set aside"), lambda one: one.kept_minor, Kind.MONEY, minor=True),
            Column("bonus", mark("Bonus so far"), lambda one: one.bonus_minor, Kind.MONEY),
        ),
        items=found,
        empty=mark("Nothing more comes."),
    )


def workings_table(found: Sequence[Working]) -> Table[Working]:
    """Return the table behind a bonus: amount x rate x days / days of the year."""
    return Table(
        name="workings",
        caption=mark("How the bonus is made"),
        columns=(
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
            Column("rate", mark("Rate a year"), lambda one: one.rate_ppm, Kind.PERCENT),
            Column("start", mark("From"), lambda one: one.start, Kind.DATE),
            Column("end", mark("Up to, not counted"), lambda one: one.end, Kind.DATE, minor=True),
            Column("days", mark("Nights"), lambda one: one.days, Kind.NUMBER),
            Column(
                "year", mark("Days of the year"), lambda one: one.year_days, Kind.NUMBER, minor=True
            ),
            Column("earned", mark("Earned, ₽"), earned_text),
        ),
        items=found,
        empty=mark("Nothing is earned yet."),
    )


def earned_text(one: Working) -> str:
    """Return what a row earned in roubles, with four decimals: rows add up before rounding."""
    return parts_text(one.parts)


def parts_text(parts: int) -> str:
    """Return parts of a kopeck as roubles with four decimals, rounded half up for the eye alone."""
    hundredths = half_up_ratio(parts * 100, PARTS_A_KOPECK)
    return number_text(Decimal(hundredths).scaleb(-4), visit().language, decimals=4)


def calculation_tables(found: Calculation) -> dict[str, Table[Any]]:
    """Return the tables of the calculator."""
    broken: Table[Broken] = Table(
        name="broken",
        caption=mark("If all of it were taken out early"),
        columns=(
            Column("on", mark("Day"), lambda one: one.on, Kind.DATE),
            Column("paid", mark("Bonus paid by then"), lambda one: one.paid_minor, Kind.MONEY),
            Column("back", mark("Of it goes back"), lambda one: one.clawed_back_minor, Kind.MONEY),
            Column("stays", mark("Bonus that stays"), lambda one: one.bonus_minor, Kind.MONEY),
            Column(
                "lost",
                mark("Less than kept to the end"),
                lambda one: one.lost_minor,
                Kind.MONEY,
                minor=True,
            ),
        ),
        items=found.broken,
        empty=mark("The term is one month: nothing lies between."),
    )
    steps = steps_table(found.projection.steps, "steps", mark("What it pays and when"))
    return {"steps": steps, "broken": broken, "workings": workings_table(found.workings)}


def _page(here: Visit, row: AccountRow, section: str, template: str, **values: object) -> str:
    return render_template(
        template,
        active="account.reserves" if section == "account" else "console.accounts",
        account=row,
        section=section,
        may_keep=may_keep(here) and row.closed_on is None,
        parts_text=parts_text,
        rates_text=rates_text,
        **values,
    )
