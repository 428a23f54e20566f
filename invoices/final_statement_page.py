"""What the page of a final statement says, in the words of one language."""

from dataclasses import dataclass
from datetime import timedelta

from invoices.final_statement import FinalStatement
from invoices.page import (
    ChargeRow,
    Fact,
    MeterRow,
    StatementRow,
    charge_row,
    contacts_of,
    meter_row,
    requisites_facts,
    statement_rows,
)
from kilokassa.core.calendar import Month
from kilokassa.core.text import Language, amount_text, date_text, gettext, mark, month_text, told


@dataclass(frozen=True, slots=True)
class ShownCharges:
    """The charges of one month."""

    month: str
    rows: tuple[ChargeRow, ...]
    total: str


@dataclass(frozen=True, slots=True)
class FinalStatementPage:
    """All words and figures of the page."""

    language: str
    number: str
    demo: bool
    issued_on: str
    facts: tuple[Fact, ...]
    outcome: str
    amount: str
    explained: str
    months: tuple[ShownCharges, ...]
    total: str
    statement: tuple[StatementRow, ...]
    meters: tuple[MeterRow, ...]
    payee: str
    requisites: tuple[Fact, ...]
    """Where a debt is to be paid; empty where there is none."""
    contacts: str
    warnings: tuple[str, ...]


def final_statement_page(document: FinalStatement, language: Language) -> FinalStatementPage:
    """Return what the page of `document` says in `language`."""
    payer = document.payer
    days = f"{date_text(document.opened_on, language)} – " + date_text(
        document.ended_on - timedelta(days=1), language
    )
    facts = [
        Fact(gettext(mark("Account"), language), payer.account_number, strong=True),
        Fact(gettext(mark("Payer"), language), payer.name),
        Fact(gettext(mark("Address"), language), payer.address),
        Fact(gettext(mark("The account was open"), language), days),
    ]
    if document.documents:
        shown = ", ".join(document.documents)
        facts.append(Fact(gettext(mark("Payment documents of these months"), language), shown))
    outcome, amount_minor, explained = _outcome(document, language)
    months: dict[Month, list[ChargeRow]] = {}
    sums: dict[Month, int] = {}
    for month, line in document.lines:
        months.setdefault(month, []).append(charge_row(line, language))
        sums[month] = sums.get(month, 0) + line.amount_minor
    return FinalStatementPage(
        language=str(language),
        number=document.number,
        demo=document.demo,
        issued_on=date_text(document.issued_on, language),
        facts=tuple(facts),
        outcome=outcome,
        amount=amount_text(amount_minor, language),
        explained=explained,
        months=tuple(
            ShownCharges(
                month_text(month, language),
                tuple(rows),
                amount_text(sums[month], language, unit=False),
            )
            for month, rows in sorted(months.items())
        ),
        total=amount_text(sum(sums.values()), language, unit=False),
        statement=statement_rows(document.statement, language),
        meters=tuple(meter_row(meter, language) for meter in document.meters),
        payee=document.retailer.name,
        requisites=requisites_facts(document.retailer, language) if document.debt_minor else (),
        contacts=contacts_of(document.retailer),
        warnings=tuple(told(warning, language) for warning in document.warnings),
    )


def _outcome(document: FinalStatement, language: Language) -> tuple[str, int, str]:
    """Return what it comes to in the end: a heading, an amount and a sentence."""
    if document.debt_minor:
        text = gettext(mark("The account has ended: this is what is still owed."), language)
        return gettext(mark("To pay"), language), document.debt_minor, text
    if document.refund_minor:
        text = gettext(mark("The money goes to %(name)s."), language)
        text %= {"name": document.refund_to}
        return gettext(mark("To be paid out"), language), document.refund_minor, text
    if document.transferred_minor:
        text = gettext(mark("What was left is on account %(number)s now."), language)
        text %= {"number": document.transferred_to}
        return gettext(mark("Moved"), language), document.transferred_minor, text
    if document.kept_minor:
        text = gettext(mark("It waits in the wallet; its owner may ask for it."), language)
        return gettext(mark("Left in the wallet"), language), document.kept_minor, text
    text = gettext(mark("Neither side owes the other anything."), language)
    return gettext(mark("Settled in full"), language), 0, text
