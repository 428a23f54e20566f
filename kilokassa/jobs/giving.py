"""Commands: what staff give to a wallet beside the payer's own money."""

from datetime import datetime
from typing import Final
from uuid import uuid4

import click

from kilokassa.core.money import parse_minor
from kilokassa.core.text import amount_text, mark
from kilokassa.jobs.console import Console, emit, json_option, pass_console


@click.command()
@click.argument("account")
@click.argument("amount")
@click.option("--kind", type=click.Choice(["compensation", "advance"]), default="compensation")
@click.option("--document", required=True, help="What it rests on: an order, a decision.")
@click.option("--service", default="", help="The only service it pays for, such as heat.")
@click.option("--payer", default="", help="Who paid an advance, and alone gets it back.")
@click.option("--tender", default="bank", help="How an advance came in: bank, card, sbp, cash.")
@click.option(
    "--through", type=click.DateTime(["%Y-%m-%d"]), help="The last day of a compensation."
)
@click.option("--key", help="Idempotency key: the same key and request again changes nothing.")
@json_option
@pass_console
def give(
    console: Console,
    account: str,
    amount: str,
    kind: str,
    document: str,
    service: str,
    payer: str,
    tender: str,
    through: datetime | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Put AMOUNT roubles that are not the payer's own into the wallet of the ACCOUNT.

    Example: kilokassa give 2799000004 1500.00 --service heat --document "order 17"
    """
    from billing.store import account_by_number
    from kilokassa.app import giving
    from kilokassa.core.ids import AccountId
    from wallet.lots import LotKind

    application = console.installed
    amount_minor = parse_minor(amount)
    with application.database.writing() as session:
        order = giving.GiftOrder(
            AccountId(account_by_number(session, console.scope, account).id),
            LotKind(kind),
            amount_minor,
            document,
            key or f"cli:{uuid4().hex}",
            service=service,
            payer=payer,
            tender=tender,
            through_on=None if through is None else through.date(),
        )
        moved = giving.give(session, console.scope, order, application.clock)
    if as_json:
        emit(
            {
                "entry": moved.entry_id,
                "repeated": moved.repeated,
                "balance_minor": moved.balance_minor,
                "covered_minor": moved.covered_minor,
            }
        )
        return
    console.say(
        mark("This request was done before: nothing changed.")
        if moved.repeated
        else mark("Put in %(amount)s; the balance is %(balance)s."),
        amount=amount_text(amount_minor, console.language),
        balance=amount_text(moved.balance_minor, console.language),
    )


COMMANDS: Final = (give,)
