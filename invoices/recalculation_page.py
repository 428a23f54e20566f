"""What the page of a document of the difference says, in the words of one language."""

from dataclasses import dataclass

from invoices.page import ChargeRow, Fact, charge_row, contacts_of
from invoices.recalculation import (
    REASONS,
    DifferenceRow,
    MonthDifference,
    RecalculationDocument,
)
from kilokassa.core.text import Language, amount_text, date_text, gettext, mark, month_text, told


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of the table: what was charged, what is right, and the difference."""

    label: str
    detail: str
    unit: str
    before: ChargeRow | None
    after: ChargeRow | None
    difference: str


@dataclass(frozen=True, slots=True)
class ShownMonth:
    """One month of the document."""

    month: str
    reason: str
    rows: tuple[ShownRow, ...]
    before: str
    after: str
    difference: str
    digests: str


@dataclass(frozen=True, slots=True)
class RecalculationPage:
    """All words and figures of the page."""

    language: str
    number: str
    demo: bool
    issued_on: str
    facts: tuple[Fact, ...]
    outcome: str
    amount: str
    explained: str
    months: tuple[ShownMonth, ...]
    payee: str
    contacts: str
    warnings: tuple[str, ...]


def recalculation_page(document: RecalculationDocument, language: Language) -> RecalculationPage:
    """Return what the page of `document` says in `language`."""
    payer = document.payer
    shown_in = month_text(document.shown_in, language)
    explained = mark("The same lines are on the payment document for %(month)s.")
    return RecalculationPage(
        language=str(language),
        number=document.number,
        demo=document.demo,
        issued_on=date_text(document.issued_on, language),
        facts=(
            Fact(gettext(mark("Account"), language), payer.account_number, strong=True),
            Fact(gettext(mark("Payer"), language), payer.name),
            Fact(gettext(mark("Address"), language), payer.address),
        ),
        outcome=gettext(_outcome(document.difference_minor), language),
        amount=amount_text(abs(document.difference_minor), language),
        explained=gettext(explained, language) % {"month": shown_in},
        months=tuple(_month(month, language) for month in document.months),
        payee=document.retailer.name,
        contacts=contacts_of(document.retailer),
        warnings=tuple(told(warning, language) for warning in document.warnings),
    )


def _outcome(difference_minor: int) -> str:
    if difference_minor > 0:
        return mark("Charged in addition")
    if difference_minor < 0:
        return mark("Given back to the account")
    return mark("Nothing changes in the sum")


def _month(one: MonthDifference, language: Language) -> ShownMonth:
    before = [row.before.amount_minor for row in one.rows if row.before is not None]
    after = [row.after.amount_minor for row in one.rows if row.after is not None]
    return ShownMonth(
        month=month_text(one.month, language),
        reason="; ".join(gettext(REASONS[reason], language) for reason in one.reasons),
        rows=tuple(_row(row, language) for row in one.rows),
        before=amount_text(sum(before), language, unit=False),
        after=amount_text(sum(after), language, unit=False),
        difference=amount_text(one.difference_minor, language, unit=False),
        digests=f"{one.before_digest[:16]} → {one.after_digest[:16]}",
    )


def _row(row: DifferenceRow, language: Language) -> ShownRow:
    before = None if row.before is None else charge_row(row.before, language)
    after = None if row.after is None else charge_row(row.after, language)
    shown = after or before
    assert shown is not None
    return ShownRow(
        label=shown.label,
        detail=_detail(before, after),
        unit=shown.unit,
        before=before,
        after=after,
        difference=amount_text(row.difference_minor, language, unit=False),
    )


def _detail(before: ChargeRow | None, after: ChargeRow | None) -> str:
    """Return the days of a line and what else is said of it; both where they are not the same."""
    details = dict.fromkeys(row.detail for row in (before, after) if row is not None)
    return " → ".join(detail or "–" for detail in details) if any(details) else ""
