"""Commands about documents: pdf, list."""

from pathlib import Path

import click

from kilokassa.core.text import Language, mark
from kilokassa.jobs.console import Console, emit, json_option, pass_console


@click.group()
def document() -> None:
    """Payment documents and receipts that were issued.

    Example: kilokassa document list 2799000004
    """


@document.command("pdf")
@click.argument("number")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it; else NUMBER.pdf here.",
)
@click.option("--language", type=click.Choice([str(each) for each in Language]))
@pass_console
def pdf(console: Console, number: str, output: Path | None, language: str | None) -> None:
    """Write the PDF of the document NUMBER; the same bytes each time.

    Example: kilokassa document pdf 2026-000123 -o bill.pdf
    """
    from kilokassa.app.documents import document_pdf, file_name

    chosen = None if language is None else Language(language)
    content = document_pdf(console.installed.database, console.scope, number, language=chosen)
    file = output or Path(file_name(number, "").replace("_.pdf", ".pdf"))
    file.write_bytes(content)
    console.say(mark("%(file)s: %(size)s bytes."), file=file, size=len(content))


@document.command("list")
@click.argument("account")
@json_option
@pass_console
def list_documents(console: Console, account: str, as_json: bool) -> None:
    """List the documents of the ACCOUNT, the latest first.

    Example: kilokassa document list 2799000004 --json
    """
    from billing.store import account_by_number
    from invoices.store import documents_of
    from kilokassa.core.ids import AccountId

    with console.installed.database.reading() as session:
        row = account_by_number(session, console.scope, account)
        found = documents_of(session, console.scope, AccountId(row.id))
    if as_json:
        emit(
            [
                {
                    "number": each.number,
                    "kind": each.kind,
                    "month": each.month,
                    "issued_on": each.issued_on,
                    "cancelled_by": each.cancelled_by or None,
                    "digest": each.digest,
                }
                for each in found
            ]
        )
        return
    for each in found:
        about = " ".join(str(part) for part in (each.month, each.cancelled_by) if part)
        click.echo(f"{each.number}  {each.kind}  {each.issued_on}  {about}".rstrip())


COMMANDS = (document,)
