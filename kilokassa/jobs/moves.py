"""Commands about moves, refunds, transfers and auto top-ups."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from kilokassa.core.ids import AccountId
from kilokassa.core.money import parse_minor
from kilokassa.core.text import amount_text, date_text, mark, told
from kilokassa.jobs.console import Console, DayType, emit, json_option, pass_console

if TYPE_CHECKING:
    from billing.moves.moves import MoveOrder
    from kilokassa.app.moving import Ending

_on = click.option("--on", type=DayType(), required=True, help="The first day of the change.")
_key = click.option("--key", help="Idempotency key; else a new one.")
_dry = click.option("--dry-run", is_flag=True, help="Show what would happen, and change nothing.")
_rest = click.option(
    "--rest",
    type=click.Choice(["keep", "refund", "transfer"]),
    default="keep",
    show_default=True,
    help="What becomes of what is left.",
)
_refund_to = click.option("--refund-to", default="", help="Who gets the refund; else the payer.")
_requisites = click.option("--requisites", default="", help="Bank requisites of the refund.")
_transfer_to = click.option("--transfer-to", default="", help="Account that the rest goes to.")
_note = click.option("--note", default="", help="Document or note.")


@click.group()
def move() -> None:
    """Who moves out, who moves in, who pays from a day on.

    Example: kilokassa move out 2799000004 --on 2026-11-15 --rest refund --dry-run
    """


@move.command("out")
@click.argument("number")
@_on
@_rest
@_refund_to
@_requisites
@_transfer_to
@_note
@_key
@_dry
@json_option
@pass_console
def move_out(console: Console, /, number: str, **options: Any) -> None:  # noqa: ANN401
    """Let account NUMBER end: it is charged up to the day, and gets its final statement.

    Example: kilokassa move out 2799000004 --on 2026-11-15 --rest refund --refund-to "Ivanov I."
    """
    from billing.models import AccountMoveKind
    from billing.moves.moves import MoveOrder, Rest

    order = MoveOrder(
        AccountMoveKind.MOVE_OUT,
        options["on"],
        options["key"] or f"cli:{uuid4().hex}",
        account_number=number,
        rest=Rest(options["rest"]),
        refund_to=options["refund_to"],
        requisites=options["requisites"],
        transfer_to=options["transfer_to"],
        note=options["note"],
    )
    _do(console, order, dry_run=options["dry_run"], as_json=options["as_json"])


@move.command("payer")
@click.argument("number")
@click.argument("new_number")
@click.argument("payer")
@_on
@click.option("--persons", default=1, show_default=True, help="Registered from then on.")
@_rest
@_refund_to
@_requisites
@_transfer_to
@_note
@_key
@_dry
@json_option
@pass_console
def change_payer(
    console: Console,
    /,
    number: str,
    new_number: str,
    payer: str,
    **options: Any,  # noqa: ANN401
) -> None:
    """Let PAYER pay by account NEW_NUMBER in place of account NUMBER; meters and plan stay.

    Example: kilokassa move payer 2799000004 2799000099 "Petrov P. P." --on 2026-11-15
    """
    from billing.models import AccountMoveKind
    from billing.moves.moves import MoveOrder, Newcomer, Rest

    order = MoveOrder(
        AccountMoveKind.PAYER_CHANGE,
        options["on"],
        options["key"] or f"cli:{uuid4().hex}",
        account_number=number,
        newcomer=Newcomer(new_number, payer, options["persons"]),
        rest=Rest(options["rest"]),
        refund_to=options["refund_to"],
        requisites=options["requisites"],
        transfer_to=options["transfer_to"],
        note=options["note"],
    )
    _do(console, order, dry_run=options["dry_run"], as_json=options["as_json"])


@move.command("in")
@click.argument("building")
@click.argument("premises")
@click.argument("number")
@click.argument("payer")
@_on
@click.option("--persons", default=1, show_default=True, help="How many are registered.")
@click.option("--plan", required=True, help="Code of the tariff plan.")
@click.option(
    "--settlement", type=click.Choice(["prepaid", "postpaid"]), required=True, help="When one pays."
)
@click.option(
    "--measurement",
    type=click.Choice(["intervals", "registers"]),
    required=True,
    help="How it is metered.",
)
@_note
@_key
@_dry
@json_option
@pass_console
def move_in(
    console: Console,
    /,
    building: str,
    premises: str,
    number: str,
    payer: str,
    **options: Any,  # noqa: ANN401
) -> None:
    """Open account NUMBER for PAYER at PREMISES of BUILDING where none is open.

    Example: kilokassa move in KHV-1 12 2799000099 "Petrov P. P." --on 2026-11-15 --plan single
    --settlement prepaid --measurement intervals
    """
    from billing.models import AccountMoveKind, Measurement, Settlement
    from billing.moves.moves import MoveOrder, Newcomer

    order = MoveOrder(
        AccountMoveKind.MOVE_IN,
        options["on"],
        options["key"] or f"cli:{uuid4().hex}",
        newcomer=Newcomer(
            number,
            payer,
            options["persons"],
            options["plan"],
            Settlement(options["settlement"]),
            Measurement(options["measurement"]),
        ),
        building_code=building,
        premises_number=premises,
        note=options["note"],
    )
    _do(console, order, dry_run=options["dry_run"], as_json=options["as_json"])


@move.command("settle")
@click.option("--account", help="Only the account with this number.")
@json_option
@pass_console
def settle(console: Console, account: str | None, as_json: bool) -> None:
    """Settle accounts that have ended and waited for a reading or the end of a month.

    Example: kilokassa move settle
    """
    from kilokassa.app.moving import settle_ended

    found = settle_ended(console.installed, console.scope, account_number=account)
    language = console.language
    if as_json:
        emit([{"account": a, "final_statement": n, "waits": list(w)} for a, n, w in found])
        return
    for number, document, waits in found:
        click.echo(f"{number}  {document or '; '.join(told(text, language) for text in waits)}")
    console.say(mark("Looked at %(count)s accounts that waited."), count=len(found))


@move.command("list")
@click.option("--limit", default=50, show_default=True, help="How many.")
@json_option
@pass_console
def list_moves(console: Console, limit: int, as_json: bool) -> None:
    """List the latest moves with their final statements.

    Example: kilokassa move list --json
    """
    from billing.moves.moves import KIND_WORDS
    from billing.moves.store import moves
    from kilokassa.app.final_statement import final_statements

    with console.installed.database.reading() as session:
        found = moves(session, console.scope, limit=limit)
        ids = [one.account_id for one in found if one.account_id is not None]
        documents = final_statements(session, ids)
    rows = [
        {
            "id": one.id,
            "kind": one.kind,
            "on": one.on,
            "account": one.account_number,
            "next_account": one.next_number,
            "final_statement": "" if one.account_id is None else documents.get(one.account_id, ""),
            "actor": one.actor,
        }
        for one in found
    ]
    if as_json:
        emit(rows)
        return
    for one, row in zip(found, rows, strict=True):
        kind = console.text(KIND_WORDS[one.kind])
        day = date_text(one.on, console.language)
        numbers = " → ".join(filter(None, (one.account_number, one.next_number)))
        click.echo(f"{day}  {kind}  {numbers}  {row['final_statement']}")


@move.command("verify")
@click.argument("number")
@pass_console
def verify(console: Console, number: str) -> None:
    """Compute the final statement NUMBER anew from wallet and charges; exit 3 where it differs.

    Example: kilokassa move verify F-2026-000001
    """
    from kilokassa.app.final_statement import replays

    with console.installed.database.reading() as session:
        right = replays(session, console.scope, number)
    if right:
        console.say(mark("%(number)s follows from what it was computed from."), number=number)
        return
    console.warn(mark("%(number)s does not follow from the rows it names."), number=number)
    raise click.exceptions.Exit(3)


@click.group()
def refund() -> None:
    """Money that payers ask back.

    Example: kilokassa refund list --state asked
    """


@refund.command("list")
@click.option("--state", type=click.Choice(["asked", "paid", "dropped"]), help="Only these.")
@click.option("--account", help="Only of the account with this number.")
@json_option
@pass_console
def list_refunds(console: Console, state: str | None, account: str | None, as_json: bool) -> None:
    """List refunds, the latest first.

    Example: kilokassa refund list --state asked
    """
    from billing.store import account_by_number
    from wallet.payments.payment import RefundState
    from wallet.payments.refunds.store import refunds

    with console.installed.database.reading() as session:
        account_id = None
        if account is not None:
            account_id = AccountId(account_by_number(session, console.scope, account).id)
        wanted = RefundState(state) if state else None
        found = refunds(session, console.scope, state=wanted, account_id=account_id)
    if as_json:
        emit(
            [
                {
                    "id": one.id,
                    "account": one.account_number,
                    "amount_minor": one.amount_minor,
                    "to": one.to_whom,
                    "state": one.state,
                    "asked_at": one.asked_at,
                    "reference": one.reference,
                }
                for one in found
            ]
        )
        return
    for one in found:
        amount = amount_text(one.amount_minor, console.language)
        click.echo(
            f"{one.id:>6}  {one.account_number}  {amount}  {one.to_whom}  {one.state}  "
            f"{one.reference}"
        )


@refund.command("ask")
@click.argument("number")
@click.argument("amount")
@click.option("--to", "to_whom", required=True, help="Who gets the money.")
@click.option("--requisites", default="", help="Bank requisites.")
@click.option("--advance-of", default="", help="The third person whose advance it is.")
@_key
@json_option
@pass_console
def ask(
    console: Console,
    number: str,
    amount: str,
    to_whom: str,
    requisites: str,
    advance_of: str,
    key: str | None,
    as_json: bool,
) -> None:
    """Hold AMOUNT roubles of account NUMBER to be paid back.

    Example: kilokassa refund ask 2799000004 500.00 --to "Ivanov I. I."
    """
    from billing.store import account_by_number
    from kilokassa.app.refunds import ask_for_refund
    from wallet.payments.refunds.refund import AskOrder

    application = console.installed
    amount_minor = parse_minor(amount)
    with application.database.writing() as session:
        account_id = AccountId(account_by_number(session, console.scope, number).id)
        order = AskOrder(
            account_id,
            amount_minor,
            to_whom,
            requisites,
            key or f"cli:{uuid4().hex}",
            advance_of=advance_of,
        )
        asked = ask_for_refund(session, console.scope, order, application.clock)
    if as_json:
        emit({"id": asked.id, "amount_minor": asked.amount_minor, "state": asked.state})
        return
    shown = amount_text(asked.amount_minor, console.language)
    console.say(mark("Refund %(number)s: %(amount)s is held."), number=asked.id, amount=shown)


@refund.command("pay")
@click.argument("refund_id", type=int)
@click.option("--reference", required=True, help="The payment order by which it was paid.")
@pass_console
def pay(console: Console, refund_id: int, reference: str) -> None:
    """Post refund REFUND_ID, which was paid out.

    Example: kilokassa refund pay 7 --reference "PO 113"
    """
    from billing.store import retailer_zone
    from wallet.payments.refunds.service import PayOrder, pay_refund

    application = console.installed
    with application.database.writing() as session:
        order = PayOrder(refund_id, reference, retailer_zone(session))
        paid = pay_refund(session, console.scope, order, application.clock)
    shown = amount_text(paid.amount_minor, console.language)
    console.say(mark("Refund %(number)s is paid: %(amount)s."), number=paid.id, amount=shown)


@refund.command("drop")
@click.argument("refund_id", type=int)
@click.option("--why", default="", help="Why it is not paid.")
@pass_console
def drop(console: Console, refund_id: int, why: str) -> None:
    """Give refund REFUND_ID up; the money is free again.

    Example: kilokassa refund drop 7 --why "wrong requisites"
    """
    from wallet.payments.refunds.service import drop_refund

    application = console.installed
    with application.database.writing() as session:
        drop_refund(session, console.scope, refund_id, application.clock, why=why)
    console.say(mark("Refund %(number)s is dropped."), number=refund_id)


@click.command()
@click.argument("source")
@click.argument("target")
@click.argument("amount")
@click.option("--why", default="", help="Needed where the payers are different.")
@_key
@json_option
@pass_console
def transfer(
    console: Console,
    source: str,
    target: str,
    amount: str,
    why: str,
    key: str | None,
    as_json: bool,
) -> None:
    """Move AMOUNT roubles of own money from account SOURCE to account TARGET.

    Example: kilokassa transfer 2799000004 2799000005 300.00 --why "paid by mistake"
    """
    from kilokassa.app.refunds import TransferOrder
    from kilokassa.app.refunds import transfer as do_transfer

    application = console.installed
    order = TransferOrder(source, target, parse_minor(amount), key or f"cli:{uuid4().hex}", why)
    with application.database.writing() as session:
        done = do_transfer(session, console.scope, order, application.clock)
    if as_json:
        emit(
            {
                "repeated": done.repeated,
                "amount_minor": done.amount_minor,
                "source_balance_minor": done.source_balance_minor,
                "target_balance_minor": done.target_balance_minor,
            }
        )
        return
    language = console.language
    console.say(
        mark("%(amount)s moved; %(source)s has %(left)s now, %(target)s %(there)s."),
        amount=amount_text(done.amount_minor, language),
        source=source,
        left=amount_text(done.source_balance_minor, language),
        target=target,
        there=amount_text(done.target_balance_minor, language),
    )


@click.group("auto-top-up")
def auto_top_up() -> None:
    """Top-ups that ask for themselves, by rules that residents agreed to.

    Example: kilokassa auto-top-up run
    """


@auto_top_up.command("run")
@json_option
@pass_console
def run(console: Console, as_json: bool) -> None:
    """Ask for what rules ask for today; twice on a day asks nobody twice.

    Example: kilokassa auto-top-up run
    """
    from billing.store import retailer_zone
    from kilokassa.app.auto_top_ups import run_auto_top_ups
    from kilokassa.core.calendar import local_date

    application = console.installed
    with application.database.reading() as session:
        today = local_date(application.clock.now(), retailer_zone(session))
    report = run_auto_top_ups(application, today)
    if as_json:
        emit(
            {
                "looked_at": report.looked_at,
                "asked": report.asked,
                "taken": report.taken,
                "refused": report.refused,
                "pending": report.pending,
                "taken_minor": report.taken_minor,
            }
        )
        return
    console.say(
        mark(
            "Looked at %(looked_at)s accounts; asked %(asked)s times: %(taken)s taken "
            "(%(amount)s), %(refused)s refused, %(pending)s under way."
        ),
        looked_at=report.looked_at,
        asked=report.asked,
        taken=report.taken,
        refused=report.refused,
        pending=report.pending,
        amount=amount_text(report.taken_minor, console.language),
    )


@auto_top_up.command("show")
@click.argument("number")
@json_option
@pass_console
def show(console: Console, number: str, as_json: bool) -> None:
    """Show what account NUMBER agreed to and what came of it.

    Example: kilokassa auto-top-up show 2799000004
    """
    from billing.store import account_by_number
    from wallet.payments.auto.store import attempts_of, rules_of
    from wallet.payments.auto.terms import terms_text

    with console.installed.database.reading() as session:
        account_id = AccountId(account_by_number(session, console.scope, number).id)
        rules = rules_of(session, console.scope, account_id)
        attempts = attempts_of(session, console.scope, account_id)
    if as_json:
        emit(
            {
                "rules": [
                    {"id": one.id, "stands": one.stands, "terms": terms_text(one.rule)}
                    for one in rules
                ],
                "attempts": [
                    {
                        "key": one.key,
                        "on": one.on,
                        "amount_minor": one.amount_minor,
                        "outcome": one.outcome,
                    }
                    for one in attempts
                ],
            }
        )
        return
    for one in rules:
        gone = "" if one.stands else f"  ({console.text(mark('does not stand any more'))})"
        click.echo(f"{one.id:>6}  {terms_text(one.rule)}  •••• {one.card_hint}{gone}")
    for tried in attempts:
        amount = amount_text(tried.amount_minor, console.language)
        day = date_text(tried.on, console.language)
        click.echo(f"  {day}  {amount}  {tried.outcome}  {tried.answer}")


def _do(console: Console, order: "MoveOrder", *, dry_run: bool, as_json: bool) -> None:
    from kilokassa.app.moving import move as do_move
    from kilokassa.app.moving import preview_move

    if dry_run:
        ending = preview_move(console.installed, console.scope, order).ending
        document, move_id = "", None
    else:
        report = do_move(console.installed, console.scope, order)
        ending, document, move_id = report.ending, report.document_number, report.moved.id
    if as_json:
        emit({"id": move_id, "final_statement": document, "ending": _json(ending)})
        return
    if ending is not None:
        _show(console, ending)
    if document:
        console.say(mark("The final statement is %(number)s."), number=document)
    elif not dry_run:
        console.say(mark("The move is recorded."))


def _json(ending: "Ending | None") -> dict[str, Any] | None:
    if ending is None:
        return None
    return {
        "before_minor": ending.before_minor,
        "charged_minor": ending.charged_minor,
        "reserve_minor": ending.reserve_minor,
        "clawed_back_minor": ending.clawed_back_minor,
        "bonus_lost_minor": ending.bonus_lost_minor,
        "credit_withdrawn_minor": ending.credit_withdrawn_minor,
        "transferred_minor": ending.transferred_minor,
        "refund_minor": ending.refund_minor,
        "after_minor": ending.after_minor,
        "waits": list(ending.waits),
    }


def _show(console: Console, ending: "Ending") -> None:
    language = console.language
    for message, minor, always in (
        (mark("in the wallet now %(amount)s"), ending.before_minor, True),
        (mark("still charged %(amount)s"), ending.charged_minor, True),
        (mark("back from the reserve %(amount)s"), ending.reserve_minor, False),
        (mark("bonus lost %(amount)s"), ending.bonus_lost_minor, False),
        (mark("emergency credit ends %(amount)s"), ending.credit_withdrawn_minor, False),
        (mark("moved to another account %(amount)s"), ending.transferred_minor, False),
        (mark("in the wallet then %(amount)s"), ending.after_minor, True),
        (mark("of it held for the refund %(amount)s"), ending.refund_minor, False),
    ):
        if minor or always:
            console.say(message, amount=amount_text(minor, language))
    for text in ending.waits:
        click.echo(told(text, language))


COMMANDS = (move, refund, transfer, auto_top_up)
