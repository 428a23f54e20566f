"""The ledger: what its accounts come to, the last seal, and the money that waits beside it."""

from typing import Final

from flask import render_template
from flask.typing import ResponseReturnValue

from billing.models import Service
from kilokassa.app.payments import TENDERS
from kilokassa.core.text import mark
from kilokassa.web.kit import Column, Kind, Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import visit
from kilokassa.web.words import word
from wallet.export.service import WALLETS, trial_balance

Row = tuple[str, int, int]

ACCOUNTS: Final = {
    WALLETS: mark("Wallets of all accounts"),
    "cash": mark("Money received"),
    "revenue": mark("Charged"),
    "bonus_expense": mark("Bonuses"),
    "compensation_expense": mark("Compensations"),
    "opening": mark("Brought forward from earlier records"),
    "reserves": mark("Reserves of residents"),
    "emergency_credits": mark("Emergency credits"),
    "late_fees": mark("Late fees"),
    "interest": mark("Interest on instalments"),
    "transfers": mark("Moved between accounts of the payer"),
}


def ledger() -> ResponseReturnValue:
    """Show the trial balance: debits and credits of each account, which are one sum."""
    here = visit()
    rows = trial_balance(here.session)
    table = _table(rows)
    if export_asked():
        return table.csv()
    return render_template(
        "console/ledger.html",
        active="console.ledger",
        table=table,
        debit_minor=sum(row[1] for row in rows),
        credit_minor=sum(row[2] for row in rows),
    )


def _name(code: str) -> str:
    kind, _, part = code.partition(":")
    name = translate(ACCOUNTS[kind]) if kind in ACCOUNTS else kind
    if part in set(Service):
        part = word(Service(part))
    return f"{name} · {translate(TENDERS.get(part, part))}" if part else name


def _table(rows: tuple[Row, ...]) -> Table[Row]:
    return Table(
        name="trial-balance",
        caption=mark("Trial balance"),
        columns=(
            Column("account", mark("Account of the ledger"), lambda row: _name(row[0])),
            Column("debit", mark("Debits"), lambda row: row[1], Kind.MONEY),
            Column("credit", mark("Credits"), lambda row: row[2], Kind.MONEY),
            Column("balance", mark("Balance"), lambda row: row[2] - row[1], Kind.MONEY),
        ),
        items=rows,
        empty=mark("Nothing was posted yet."),
    )
