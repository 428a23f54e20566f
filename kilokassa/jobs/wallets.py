"""Commands about wallets: show, top-up."""

import json
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import click

from kilokassa.core.money import parse_minor
from kilokassa.core.text import amount_text, instant_text, mark
from kilokassa.jobs.console import Console, emit, json_option, pass_console


@click.group()
def wallet() -> None:
    """Balances, lots and top-ups of accounts.

    Example: kilokassa wallet show 2799000004
    """


@wallet.command("show")
@click.argument("account")
@click.option("--entries", default=10, show_default=True, help="How many operations to list.")
@json_option
@pass_console
def show(console: Console, account: str, entries: int, as_json: bool) -> None:
    """Show the balance of the ACCOUNT, how long it lasts, its lots and latest operations.

    Example: kilokassa wallet show 2799000004 --json
    """
    from billing.store import account_by_number, retailer_zone
    from kilokassa.app.overview import account_overview
    from kilokassa.core.calendar import local_date
    from kilokassa.core.ids import AccountId
    from wallet.store import entries_of, lots_of

    application = console.installed
    with application.database.reading() as session:
        account_id = AccountId(account_by_number(session, console.scope, account).id)
        zone = retailer_zone(session)
        view = account_overview(session, console.scope, account_id, application.clock.now())
        lots = lots_of(session, console.scope, account_id)
        journal = entries_of(session, console.scope, account_id, limit=entries)
    balance, left = view.balance, view.runway
    if as_json:
        emit(
            {
                "account": account,
                "posted_minor": balance.posted_minor,
                "held_minor": balance.held_minor,
                "rated_minor": balance.rated_minor,
                "estimated_minor": balance.estimated_minor,
                "available_minor": balance.available_minor,
                "bonus_minor": balance.bonus_minor,
                "uncovered_minor": balance.uncovered_minor,
                "opening_debt_minor": balance.opening_debt_minor,
                "known_until": balance.known_until,
                "runway_days": None if left is None else left.days,
                "runway_until": None if left is None else left.until,
                "lots": [
                    {
                        "number": each.lot.number,
                        "kind": each.lot.kind,
                        "remaining_minor": each.lot.remaining_minor,
                        "expires_at": each.lot.expires_at,
                    }
                    for each in lots
                ],
                "entries": [
                    {
                        "sequence": each.sequence,
                        "reason": each.reason,
                        "valid_at": each.valid_at,
                        "amount_minor": each.amount_minor,
                        "balance_after": each.balance_after,
                        "detail": _parsed(each.detail),
                    }
                    for each in journal
                ],
            }
        )
        return
    language = console.language
    for message, minor in (
        (mark("posted %(amount)s"), balance.posted_minor),
        (mark("held %(amount)s"), balance.held_minor),
        (mark("rated, not posted yet %(amount)s"), balance.rated_minor),
        (mark("available %(amount)s"), balance.available_minor),
    ):
        console.say(message, amount=amount_text(minor, language))
    if balance.known_until is not None:
        known = instant_text(balance.known_until, zone, language)
        console.say(mark("known up to %(at)s"), at=known)
    if left is not None:
        day = local_date(left.until, zone)
        console.say(mark("lasts %(days)s days, until %(day)s"), days=left.days, day=day)
    for each in lots:
        until = "" if each.lot.expires_at is None else f" → {each.lot.expires_at:%Y-%m-%d}"
        amount = amount_text(each.lot.remaining_minor, language)
        click.echo(f"  {each.lot.number:>4}  {each.lot.kind}  {amount}{until}")
    for entry in journal:
        at = instant_text(entry.valid_at, zone, language)
        amount = amount_text(entry.amount_minor, language)
        click.echo(f"  {at}  {entry.reason}  {amount}")


@wallet.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_console
def export(console: Console, file: Path) -> None:
    """Write the whole ledger into FILE as lines of JSON, to be checked without the database.

    Example: kilokassa wallet export ledger.jsonl
    """
    from kilokassa.app.verification import write_ledger

    with console.progress(mark("wallets")) as progress:
        count = write_ledger(console.installed, file, progress)
    console.say(mark("%(count)s lines written to %(file)s."), count=count, file=file)


@wallet.command("trial-balance")
@json_option
@pass_console
def show_trial_balance(console: Console, as_json: bool) -> None:
    """Show what each account of the ledger comes to; debits and credits are the same sum.

    Example: kilokassa wallet trial-balance --json
    """
    from wallet.export.service import trial_balance

    with console.installed.database.reading() as session:
        found = trial_balance(session)
    if as_json:
        emit([{"account": c, "debit_minor": d, "credit_minor": k} for c, d, k in found])
        return
    for code, debit_minor, credit_minor in found:
        debit = amount_text(debit_minor, console.language)
        click.echo(f"{code:<32}  {debit:>20}  {amount_text(credit_minor, console.language):>20}")
    debits = amount_text(sum(row[1] for row in found), console.language)
    owed = amount_text(sum(row[2] for row in found), console.language)
    click.echo(f"{'=':<32}  {debits:>20}  {owed:>20}")


@wallet.command("top-up")
@click.argument("account")
@click.argument("amount")
@click.option(
    "--tender",
    type=click.Choice(["card", "sbp", "bank", "cash"]),
    required=True,
    help="How the money came in.",
)
@click.option(
    "--key",
    help="Idempotency key: the same key and request again changes nothing. Else a new one.",
)
@click.option("--reference", default="", help="Number of the payment at the bank.")
@json_option
@pass_console
def top_up(
    console: Console,
    account: str,
    amount: str,
    tender: str,
    key: str | None,
    reference: str,
    as_json: bool,
) -> None:
    """Take AMOUNT roubles in for the ACCOUNT, with a receipt and a notice.

    Example: kilokassa wallet top-up 2799000004 1500.00 --tender bank --key pay-77123
    """
    from billing.store import account_by_number
    from kilokassa.app.cash_desk import take_at_desk
    from kilokassa.app.payments import Payment
    from kilokassa.core.ids import AccountId

    application = console.installed
    amount_minor = parse_minor(amount)
    with application.database.writing() as session:
        account_id = AccountId(account_by_number(session, console.scope, account).id)
        payment = Payment(
            account_id=account_id,
            amount_minor=amount_minor,
            tender=tender,
            paid_at=application.clock.now(),
            idempotency_key=key or f"cli:{uuid4().hex}",
            reference=reference,
        )
        taken = take_at_desk(session, console.scope, payment, application.clock)
    result = taken.result
    if as_json:
        emit(
            {
                "entry": result.entry_id,
                "repeated": result.repeated,
                "amount_minor": result.amount_minor,
                "covered_debt_minor": result.covered_debt_minor,
                "bonus_minor": result.bonus_minor,
                "balance_minor": result.balance_minor,
                "receipt": taken.receipt.number,
            }
        )
        return
    message = (
        mark("This request was done before, receipt %(receipt)s: nothing changed.")
        if result.repeated
        else mark("Took %(amount)s in, receipt %(receipt)s; the balance is %(balance)s.")
    )
    console.say(
        message,
        amount=amount_text(result.amount_minor, console.language),
        receipt=taken.receipt.number,
        balance=amount_text(result.balance_minor, console.language),
    )


def _parsed(detail: str) -> object:
    with suppress(json.JSONDecodeError):
        return json.loads(detail)
    return detail


COMMANDS = (wallet,)
