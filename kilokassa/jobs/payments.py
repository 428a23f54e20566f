"""Commands about payments: files of banks, what came in, what waits in suspense."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kilokassa.core.text import amount_text, date_text, instant_text, mark
from kilokassa.jobs.console import (
    FINDINGS,
    Console,
    emit,
    existing_file,
    json_option,
    pass_console,
)

if TYPE_CHECKING:
    from wallet.payments.reading import RefusedRow
    from wallet.payments.store import Incoming, PaymentFilter, Sum


@click.group()
def payments() -> None:
    """Money that came in: files of banks, payments, suspense.

    Example: kilokassa payments import registry.txt --control control.txt
    """


@payments.command("import")
@click.argument("file", type=existing_file())
@click.option("--control", type=existing_file(), help="The control that came with the file.")
@click.option("--sender", default="", help="Code of the bank; else the layout of the file.")
@click.option("--check", is_flag=True, help="Only say what would become of it.")
@json_option
@pass_console
def import_file(
    console: Console, file: Path, control: Path | None, sender: str, check: bool, as_json: bool
) -> None:
    """Take a bank's FILE of payments in; one that was stopped is finished, the same is done once.

    Ends with 3 where something waits in suspense or was refused.

    Example: kilokassa payments import statement.txt --sender sber --check
    """
    from kilokassa.app.payment_files import import_payment_file, preview_payment_file
    from wallet.payments.payment import PaymentState
    from wallet.payments.reading import read_control
    from wallet.payments.service import FileOrder

    application = console.installed
    order = FileOrder(file.name, file.read_bytes(), sender)
    told = None if control is None else read_control(control.read_bytes())
    if check:
        with application.database.reading() as session:
            seen = preview_payment_file(session, console.scope, order, application.clock, told)
        sums = {PaymentState.TAKEN: seen.taken, PaymentState.SUSPENSE: seen.suspense}
        total, refused, repeated = seen.read.total_minor, seen.refused, seen.same_as is not None
        rows, file_id, readings = seen.read.rows, None, len(seen.read.readings)
    else:
        with console.progress(mark("Payments")) as progress:
            done = import_payment_file(
                application.database,
                console.scope,
                order,
                application.clock,
                control=told,
                progress=progress,
            )
        sums, total, refused = done.sums, done.file.total_minor, done.refused
        rows, file_id, readings = done.file.rows, done.file.id, len(done.readings)
        repeated = done.repeated
    if as_json:
        emit(
            {
                "file": file_id,
                "checked_only": check,
                "repeated": repeated,
                "rows": rows,
                "total_minor": total,
                **{str(state): _sum(each) for state, each in sums.items()},
                "refused": [_refused(console, row) for row in refused],
                "readings": readings,
            }
        )
    else:
        _say_file(console, sums, refused, total, rows, repeated=repeated)
    waiting = sums.get(PaymentState.SUSPENSE)
    if refused or (waiting is not None and waiting.count):
        click.get_current_context().exit(FINDINGS)


@payments.command("files")
@json_option
@pass_console
def list_files(console: Console, as_json: bool) -> None:
    """List the files of banks that were taken in, the latest first.

    Example: kilokassa payments files --json
    """
    from billing.store import retailer_zone
    from wallet.payments.store import files

    with console.installed.database.reading() as session:
        zone = retailer_zone(session)
        found = files(session, console.scope)
    if as_json:
        emit(
            [
                {
                    "id": one.id,
                    "name": one.name,
                    "format": one.format,
                    "sender": one.sender,
                    "rows": one.rows,
                    "total_minor": one.total_minor,
                    "received_at": one.received_at,
                    "done_at": one.done_at,
                }
                for one in found
            ]
        )
        return
    for one in found:
        at = instant_text(one.received_at, zone, console.language)
        total = amount_text(one.total_minor, console.language)
        stopped = "" if one.done_at else "  " + console.text(mark("stopped: import it again"))
        click.echo(f"{one.id:>6}  {at}  {one.name}  {one.rows}  {total}{stopped}")


@payments.command("list")
@click.option("--state", type=click.Choice(["taken", "suspense", "returned"]), help="Only these.")
@click.option("--search", default="", help="Account, transaction, payer or purpose.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@pass_console
def list_payments(
    console: Console, state: str | None, search: str, limit: int, as_json: bool
) -> None:
    """List payments that came in, the latest first.

    Example: kilokassa payments list --search Иванов --json
    """
    from wallet.payments.payment import PaymentState
    from wallet.payments.store import PaymentFilter

    asked = PaymentFilter(state=PaymentState(state) if state else None, search=search)
    _list(console, asked, limit, as_json)


@payments.command()
@json_option
@pass_console
def suspense(console: Console, as_json: bool) -> None:
    """List the money whose account was not found, and why.

    Example: kilokassa payments suspense
    """
    from wallet.payments.payment import PaymentState
    from wallet.payments.store import PaymentFilter

    _list(console, PaymentFilter(state=PaymentState.SUSPENSE), 10_000, as_json)


@payments.command()
@click.argument("payment", type=click.IntRange(1, 2**31 - 1))
@click.argument("account")
@json_option
@pass_console
def match(console: Console, payment: int, account: str, as_json: bool) -> None:
    """Put a PAYMENT that waits in suspense on an ACCOUNT, with receipt and notice.

    Example: kilokassa payments match 17 2799000004
    """
    from kilokassa.app.payment_matching import match_payment

    application = console.installed
    with application.database.writing() as session:
        taken = match_payment(session, console.scope, payment, account, application.clock)
    if as_json:
        receipt = None if taken is None else taken.receipt.number
        emit({"payment": payment, "repeated": taken is None, "receipt": receipt})
    elif taken is None:
        console.say(mark("Payment %(payment)s is on this account already."), payment=payment)
    else:
        console.say(
            mark("Took %(amount)s in, receipt %(receipt)s; the balance is %(balance)s."),
            amount=amount_text(taken.result.amount_minor, console.language),
            receipt=taken.receipt.number,
            balance=amount_text(taken.result.balance_minor, console.language),
        )


@payments.command()
@click.argument("payment", type=click.IntRange(1, 2**31 - 1))
@click.option("--note", required=True, help="Why.")
@json_option
@pass_console
def unmatch(console: Console, payment: int, note: str, as_json: bool) -> None:
    """Take a PAYMENT back from its account into suspense: the top-up is reversed.

    Example: kilokassa payments unmatch 17 --note "wrong flat"
    """
    from kilokassa.app.payment_matching import unmatch_payment

    application = console.installed
    with application.database.writing() as session:
        unmatch_payment(session, console.scope, payment, note, application.clock)
    if as_json:
        emit({"payment": payment, "state": "suspense"})
    else:
        console.say(mark("Payment %(payment)s waits in suspense again."), payment=payment)


@payments.command("return")
@click.argument("payment", type=click.IntRange(1, 2**31 - 1))
@click.option("--note", required=True, help="How it was sent back, and why.")
@json_option
@pass_console
def give_back(console: Console, payment: int, note: str, as_json: bool) -> None:
    """Say that a PAYMENT that waits in suspense was sent back to whoever paid.

    Example: kilokassa payments return 17 --note "payment order 512 of 2026-11-24"
    """
    from wallet.payments.service import return_payment

    application = console.installed
    with application.database.writing() as session:
        return_payment(session, console.scope, payment, note, application.clock)
    if as_json:
        emit({"payment": payment, "state": "returned"})
    else:
        console.say(mark("Payment %(payment)s is returned."), payment=payment)


def _list(console: Console, asked: "PaymentFilter", limit: int, as_json: bool) -> None:
    from billing.store import retailer_zone
    from kilokassa.app.payment_matching import account_numbers
    from kilokassa.core.calendar import local_date
    from kilokassa.core.ids import AccountId
    from kilokassa.core.text import told
    from wallet.payments.store import incoming

    with console.installed.database.reading() as session:
        zone = retailer_zone(session)
        found, total = incoming(session, console.scope, asked, limit=limit)
        ids = [AccountId(one.account_id) for one in found if one.account_id is not None]
        numbers = account_numbers(session, ids)
    if as_json:
        emit({"total": total, "items": [_payment(one, numbers) for one in found]})
        return
    for one in found:
        day = date_text(local_date(one.paid_at, zone), console.language)
        amount = amount_text(one.amount_minor, console.language)
        where = numbers[one.account_id] if one.account_id is not None else one.account_text or "—"
        why = told(one.problem, console.language) if one.problem else one.note
        click.echo(f"{one.id:>6}  {day}  {amount}  {one.state}  {where}  {one.payer}  {why}")
    minor = sum([one.amount_minor for one in found])
    console.say(
        mark("%(shown)s of %(total)s payments, %(amount)s"),
        shown=len(found),
        total=total,
        amount=amount_text(minor, console.language),
    )


def _payment(one: "Incoming", numbers: dict[Any, str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "source": one.source,
        "sender": one.sender,
        "transaction": one.transaction_id,
        "account_text": one.account_text,
        "account": None if one.account_id is None else numbers[one.account_id],
        "amount_minor": one.amount_minor,
        "paid_at": one.paid_at,
        "payer": one.payer,
        "state": one.state,
        "problem": one.problem,
        "note": one.note,
    }


def _sum(each: "Sum") -> dict[str, int]:
    return {"count": each.count, "amount_minor": each.amount_minor}


def _refused(console: Console, row: "RefusedRow") -> dict[str, Any]:
    from wallet.payments.reading import problem_text

    problem = problem_text(row.problem, console.language)
    return {"line": row.line, "problem": problem, "amount_minor": row.amount_minor}


def _say_file(
    console: Console,
    sums: "dict[Any, Sum]",
    refused: "tuple[RefusedRow, ...]",
    total_minor: int,
    rows: int,
    *,
    repeated: bool,
) -> None:
    from wallet.payments.payment import STATE_WORDS
    from wallet.payments.reading import problem_text

    if repeated:
        console.say(mark("This very file was taken in before; nothing was changed by it."))
    for state, each in sums.items():
        amount = amount_text(each.amount_minor, console.language)
        click.echo(f"{console.text(STATE_WORDS[state])}: {each.count}, {amount}")
    minor = sum([row.amount_minor or 0 for row in refused])
    console.say(
        mark("refused: %(count)s, %(amount)s"),
        count=len(refused),
        amount=amount_text(minor, console.language),
    )
    console.say(
        mark("in the file: %(count)s, %(amount)s"),
        count=rows,
        amount=amount_text(total_minor, console.language),
    )
    for row in refused:
        console.warn(
            mark("Line %(line)s: %(problem)s."),
            line=row.line,
            problem=problem_text(row.problem, console.language),
        )


COMMANDS = (payments,)
