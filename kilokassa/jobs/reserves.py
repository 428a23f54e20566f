"""Commands about reserves: offers, calculator, signing and breaking, payment, what they cost."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import click

from kilokassa.core.text import amount_text, date_text, mark, number_text
from kilokassa.jobs.console import Console, DayType, emit, existing_file, json_option, pass_console

if TYPE_CHECKING:
    from wallet.reserves.reserve import Cost
    from wallet.reserves.service import Done
    from wallet.reserves.signed import PublishedOffer, SignedReserve

_key: Final = click.option(
    "--key", help="Idempotency key: the same key and request again changes nothing. Else a new one."
)


@click.group()
def reserve() -> None:
    """Money that residents set aside for a term, and the bonus it earns.

    Example: kilokassa reserve calculate half_year 10000
    """


@reserve.command()
@click.argument("code", required=False)
@json_option
@pass_console
def offers(console: Console, code: str | None, as_json: bool) -> None:
    """List the offers, or all versions of the offer CODE.

    Example: kilokassa reserve offers half_year
    """
    from wallet.reserves import store

    with console.installed.database.reading() as session:
        found = store.offers(session, code)
    if as_json:
        emit([_offer_json(one) for one in found])
        return
    for one in found:
        click.echo(f"{one.code} {one.version}  {_offer_line(console, one)}")
    if not found:
        console.say(mark("No offer is published yet: kilokassa reserve publish offer.yaml"))


@reserve.command()
@click.argument("file", type=existing_file())
@click.option("--dry-run", is_flag=True, help="Check the document and publish nothing.")
@json_option
@pass_console
def publish(console: Console, file: Path, dry_run: bool, as_json: bool) -> None:
    """Publish the offer that FILE describes; a changed one becomes the next version.

    Example: kilokassa reserve publish half_year.yaml
    """
    from kilokassa.core.errors import Invalid
    from wallet.reserves.documents import read_offer
    from wallet.reserves.service import OfferOrder, publish_offer

    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Invalid(where=file.name, problem=mark("the text is not UTF-8")) from None
    if dry_run:
        read = read_offer(text, file.name)
        console.say(mark("The offer %(code)s can be published; nothing was."), code=read.code)
        return
    application = console.installed
    with application.database.writing() as session:
        order = OfferOrder(console.scope, text, file.name)
        done = publish_offer(session, order, application.clock)
    if as_json:
        emit(_offer_json(done.offer) | {"new": done.new})
        return
    message = (
        mark("Published: %(code)s, version %(version)s.")
        if done.new
        else mark("%(code)s, version %(version)s, is this document already: nothing changed.")
    )
    console.say(message, code=done.offer.code, version=done.offer.version)


@reserve.command()
@click.argument("code")
@click.argument("amount")
@click.option("--on", type=DayType(), help="The day of signing; else today.")
@click.option("--broken-on", type=DayType(), help="Also what breaking it on this day costs.")
@json_option
@pass_console
def calculate(
    console: Console,
    code: str,
    amount: str,
    on: date | None,
    broken_on: date | None,
    as_json: bool,
) -> None:
    """Show what AMOUNT roubles under the offer CODE would earn, and what breaking would cost.

    Example: kilokassa reserve calculate half_year 10000 --broken-on 2027-01-15
    """
    from kilokassa.core.money import parse_minor
    from wallet.reserves import store
    from wallet.reserves.calculator import calculate as calculated
    from wallet.reserves.reserve import STEP_WORDS

    amount_minor = parse_minor(amount)
    with console.installed.database.reading() as session:
        day = on or _today(console, session)
        offer = store.offer_on(session, code, day)
    found = calculated(offer.offer, day, amount_minor, broken_on=broken_on)
    if as_json:
        emit(
            {
                "offer": offer.code,
                "version": offer.version,
                "signed_on": day,
                "ends_on": found.reserve.ends_on,
                "bonus_minor": found.projection.bonus_minor,
                "steps": [
                    {
                        "on": step.on,
                        "kind": step.kind,
                        "amount_minor": step.amount_minor,
                        "kept_minor": step.kept_minor,
                        "bonus_minor": step.bonus_minor,
                    }
                    for step in found.projection.steps
                ],
                "broken": [
                    {
                        "on": one.on,
                        "paid_minor": one.paid_minor,
                        "clawed_back_minor": one.clawed_back_minor,
                        "bonus_minor": one.bonus_minor,
                    }
                    for one in found.broken
                ],
            }
        )
        return
    language = console.language
    click.echo(f"{offer.code} {offer.version}  {_offer_line(console, offer)}")
    for step in found.projection.steps:
        amount = amount_text(step.amount_minor, language)
        words = console.text(STEP_WORDS[step.kind])
        click.echo(f"  {date_text(step.on, language)}  {words}  {amount}")
    console.say(
        mark("The bonus is %(amount)s in all."),
        amount=amount_text(found.projection.bonus_minor, language),
    )
    for one in found.broken:
        console.say(
            mark("  broken on %(day)s: %(kept)s of the bonus stay, %(back)s go back"),
            day=date_text(one.on, language),
            kept=amount_text(one.bonus_minor, language),
            back=amount_text(one.clawed_back_minor, language),
        )


@reserve.command()
@click.argument("account")
@click.argument("code")
@click.argument("amount")
@_key
@json_option
@pass_console
def sign(
    console: Console, account: str, code: str, amount: str, key: str | None, as_json: bool
) -> None:
    """Set AMOUNT roubles of the ACCOUNT's own money aside under the offer CODE, from today.

    Example: kilokassa reserve sign 2799000004 half_year 10000 --key paper-17
    """
    from kilokassa.core.money import parse_minor
    from wallet.reserves import service

    amount_minor = parse_minor(amount)
    application = console.installed
    with application.database.writing() as session:
        account_id, zone = _account(console, session, account)
        order = service.SignOrder(account_id, code, amount_minor, zone, _key_or_new(key))
        done = service.sign(session, console.scope, order, application.clock)
    _say(console, done, as_json)


@reserve.command()
@click.argument("account")
@click.argument("number", type=int)
@click.argument("amount")
@_key
@json_option
@pass_console
def add(
    console: Console, account: str, number: int, amount: str, key: str | None, as_json: bool
) -> None:
    """Set AMOUNT roubles more aside in the reserve NUMBER of the ACCOUNT.

    Example: kilokassa reserve add 2799000004 3 5000 --key paper-18
    """
    from wallet.reserves import service

    application = console.installed
    with application.database.writing() as session:
        order = _move_order(console, session, account, number, amount, key)
        done = service.add(session, console.scope, order, application.clock)
    _say(console, done, as_json)


@reserve.command("take-out")
@click.argument("account")
@click.argument("number", type=int)
@click.argument("amount")
@click.option("--dry-run", is_flag=True, help="Only show what it costs.")
@_key
@json_option
@pass_console
def take_out(
    console: Console,
    account: str,
    number: int,
    amount: str,
    dry_run: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Take AMOUNT roubles out of the reserve NUMBER of the ACCOUNT before its end, as it asks.

    Example: kilokassa reserve take-out 2799000004 3 5000 --dry-run
    """
    from wallet.reserves import service

    application = console.installed
    if dry_run:
        with application.database.reading() as session:
            order = _move_order(console, session, account, number, amount, key)
            loss = service.loss_of(session, console.scope, order, application.clock)
        clawed_minor = loss.withdrawal.clawed_back_minor
        if as_json:
            emit(
                {
                    "returning_minor": loss.returning_minor,
                    "clawed_back_minor": clawed_minor,
                    "from_bonus_minor": loss.shares.from_bonus_minor,
                    "withheld_minor": loss.shares.from_reserve_minor,
                    "expired_minor": loss.shares.expired_minor,
                    "waived_minor": loss.shares.waived_minor,
                    "paid_minor": loss.withdrawal.paid_minor,
                }
            )
            return
        console.say(
            mark("It would return %(amount)s; %(back)s of the bonus would go back."),
            amount=amount_text(loss.returning_minor, console.language),
            back=amount_text(clawed_minor, console.language),
        )
        return
    with application.database.writing() as session:
        order = _move_order(console, session, account, number, amount, key)
        done = service.take_out(session, console.scope, order, application.clock)
    _say(console, done, as_json)


@reserve.command()
@click.argument("account")
@json_option
@pass_console
def show(console: Console, account: str, as_json: bool) -> None:
    """Show the reserves of the ACCOUNT, every movement of each, and when the next bonus is paid.

    Example: kilokassa reserve show 2799000004 --json
    """
    from wallet.reserves import store
    from wallet.reserves.reserve import STEP_WORDS
    from wallet.reserves.signed import STATE_WORDS

    with console.installed.database.reading() as session:
        account_id, _ = _account(console, session, account)
        found = store.reserves_of(session, console.scope, account_id)
        today = _today(console, session)
    if as_json:
        emit([_reserve_json(one, today) for one in found])
        return
    language = console.language
    for one in found:
        click.echo(
            f"{one.id}  {one.offer.code} {one.offer.version}"
            f"  {date_text(one.signed_on, language)} – {date_text(one.ends_on, language)}"
            f"  {amount_text(one.kept_minor, language)}  {console.text(STATE_WORDS[one.state])}"
        )
        for each in one.posted:
            words = console.text(STEP_WORDS[each.kind])
            amount = amount_text(each.amount_minor, language)
            click.echo(f"  {date_text(each.on, language)}  {words}  {amount}")
        following = one.next_pay_day(today)
        if following is not None:
            console.say(mark("  next bonus on %(day)s"), day=date_text(following, language))
    if not found:
        console.say(mark("Nothing is set aside."))


@reserve.command()
@click.option("--day", type=DayType(), help="Up to which local day; else today.")
@json_option
@pass_console
def pay(console: Console, day: date | None, as_json: bool) -> None:
    """Pay the bonuses that are due and return the reserves that have ended; twice changes nothing.

    Example: kilokassa reserve pay
    """
    from kilokassa.app.reserves import pay_reserve_bonuses

    application = console.installed
    with application.database.reading() as session:
        today = _today(console, session)
    paid = pay_reserve_bonuses(application, day or today)
    if as_json:
        emit(
            {
                "payments": paid.payments,
                "paid_minor": paid.paid_minor,
                "returned": paid.returned,
                "returned_minor": paid.returned_minor,
            }
        )
        return
    console.say(
        mark("%(payments)s bonuses paid, %(paid)s; %(returned)s reserves returned, %(back)s."),
        payments=paid.payments,
        paid=amount_text(paid.paid_minor, console.language),
        returned=paid.returned,
        back=amount_text(paid.returned_minor, console.language),
    )


@reserve.command()
@click.option("--from", "start", type=DayType(), required=True, help="The first day.")
@click.option("--until", "end", type=DayType(), required=True, help="The day after the last.")
@json_option
@pass_console
def report(console: Console, start: date, end: date, as_json: bool) -> None:
    """Show what reserves cost from one day up to another, and what credit would have cost.

    Example: kilokassa reserve report --from 2026-10-01 --until 2026-11-01
    """
    from wallet.reserves import service

    with console.installed.database.reading() as session:
        found = service.cost_report(session, console.scope, start, end)
    if as_json:
        emit(
            {
                "from": start,
                "until": end,
                "credit_known": found.credit_known,
                "total": _cost_json(found.total),
                "by_offer": [
                    {"offer": one.offer.code, "reserves": one.reserves} | _cost_json(one.cost)
                    for one in found.by_offer
                ],
            }
        )
        return
    for one in found.by_offer:
        click.echo(f"{one.offer.code}  {_cost_line(console, one.cost)}")
    click.echo(f"{console.text(mark('Total'))}  {_cost_line(console, found.total)}")
    if not found.credit_known:
        console.say(mark("No rate of credit is stated for the first day: it counts as nothing."))


@reserve.command("credit-rate")
@click.argument("percent")
@click.option("--from", "valid_from", type=DayType(), required=True, help="The first day.")
@click.option("--source", default="", help="Where it is written.")
@json_option
@pass_console
def credit_rate(
    console: Console, percent: str, valid_from: date, source: str, as_json: bool
) -> None:
    """State that credit costs the retailer PERCENT a year from a day on.

    Example: kilokassa reserve credit-rate 18.5 --from 2026-01-01 --source "contract 7"
    """
    from wallet.reserves.documents import read_percent
    from wallet.reserves.service import state_credit_rate

    rate_ppm = read_percent(percent)
    application = console.installed
    with application.database.writing() as session:
        changed = state_credit_rate(
            session, console.scope, valid_from, rate_ppm, source, application.clock
        )
    if as_json:
        emit({"changed": changed})
        return
    console.say(mark("Recorded.") if changed else mark("It was stated already: nothing changed."))


def _today(console: Console, session: Any) -> date:  # noqa: ANN401 - commands load no SQLAlchemy
    from billing.store import retailer_zone
    from kilokassa.core.calendar import local_date

    return local_date(console.installed.clock.now(), retailer_zone(session))


def _account(console: Console, session: Any, number: str) -> tuple[Any, Any]:  # noqa: ANN401
    from billing.store import account_by_number, retailer_zone
    from kilokassa.core.ids import AccountId

    account_id = AccountId(account_by_number(session, console.scope, number).id)
    return account_id, retailer_zone(session)


def _move_order(
    console: Console,
    session: Any,  # noqa: ANN401
    account: str,
    number: int,
    amount: str,
    key: str | None,
) -> Any:  # noqa: ANN401
    from kilokassa.core.money import parse_minor
    from wallet.reserves.service import MoveOrder

    account_id, zone = _account(console, session, account)
    return MoveOrder(account_id, number, parse_minor(amount), zone, _key_or_new(key))


def _key_or_new(key: str | None) -> str:
    return key or f"cli:{uuid4().hex}"


def _say(console: Console, done: "Done", as_json: bool) -> None:
    if as_json:
        emit(
            {
                "reserve": done.reserve_id,
                "entry": done.entry_id,
                "repeated": done.repeated,
                "kept_minor": done.kept_minor,
                "bonus_minor": done.bonus_minor,
                "balance_minor": done.balance_minor,
                "clawed_back_minor": done.clawed_back_minor,
                "withheld_minor": done.withheld_minor,
            }
        )
        return
    message = (
        mark("This request was done before, reserve %(number)s: nothing changed.")
        if done.repeated
        else mark("Reserve %(number)s: %(kept)s are set aside; the balance is %(balance)s.")
    )
    console.say(
        message,
        number=done.reserve_id,
        kept=amount_text(done.kept_minor, console.language),
        balance=amount_text(done.balance_minor, console.language),
    )


def _offer_line(console: Console, one: "PublishedOffer") -> str:
    from decimal import Decimal

    rates = ", ".join(
        f"{number_text(Decimal(rate.rate_ppm).scaleb(-4).normalize(), console.language)} %"
        f" ({date_text(rate.valid_from, console.language)})"
        for rate in one.offer.rates.rates
    )
    until = one.offer.offered_until
    ends = "" if until is None else f" – {date_text(until, console.language)}"
    months = console.text(mark("%(months)s months"), months=one.offer.term_months)
    since = date_text(one.offer.offered_from, console.language)
    return f"{one.named(console.language)}  {months}  {rates}  {since}{ends}"


def _offer_json(one: "PublishedOffer") -> dict[str, Any]:
    offer = one.offer
    return {
        "offer": one.code,
        "version": one.version,
        "name": one.name,
        "name_en": one.name_en,
        "offered_from": offer.offered_from,
        "offered_until": offer.offered_until,
        "term_months": offer.term_months,
        "rates": [{"from": r.valid_from, "rate_ppm": r.rate_ppm} for r in offer.rates.rates],
        "rate_holds": offer.rate_holds,
        "paid": offer.paid_when,
        "day_count": offer.day_count,
        "broken": offer.break_rule,
        "broken_rate_ppm": offer.broken_rate_ppm,
        "least_minor": offer.least_minor,
        "most_minor": offer.most_minor,
        "takes_additions": offer.takes_additions,
        "bonus_expires_after_days": offer.bonus_expires_after_days,
        "digest": one.digest,
        "published_by": one.published_by,
    }


def _reserve_json(one: "SignedReserve", today: date) -> dict[str, Any]:
    return {
        "reserve": one.id,
        "offer": one.offer.code,
        "version": one.offer.version,
        "state": one.state,
        "signed_on": one.signed_on,
        "ends_on": one.ends_on,
        "kept_minor": one.kept_minor,
        "bonus_minor": one.bonus_minor,
        "next_pay_day": one.next_pay_day(today),
        "movements": [
            {
                "number": each.number,
                "on": each.on,
                "kind": each.kind,
                "amount_minor": each.amount_minor,
                "entry": each.entry_id,
                "actor": each.actor,
            }
            for each in one.posted
        ],
    }


def _cost_json(cost: "Cost") -> dict[str, Any]:
    return {
        "average_minor": cost.average_minor,
        "bonus_minor": cost.bonus_minor,
        "credit_minor": cost.credit_minor,
        "saved_minor": cost.saved_minor,
    }


def _cost_line(console: Console, cost: "Cost") -> str:
    language = console.language
    return console.text(
        mark("%(average)s on average; cost %(bonus)s, on credit %(credit)s, saved %(saved)s"),
        average=amount_text(cost.average_minor, language),
        bonus=amount_text(cost.bonus_minor, language),
        credit=amount_text(cost.credit_minor, language),
        saved=amount_text(cost.saved_minor, language),
    )


COMMANDS = (reserve,)
