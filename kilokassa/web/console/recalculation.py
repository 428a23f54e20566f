"""Recalculations: what is pending, the button that posts it, and what was posted."""

from collections.abc import Sequence
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from invoices.numbering import DocumentKind
from invoices.recalculation import REASONS, MonthDifference, RecalculationDocument
from invoices.store import documents_of_kind
from kilokassa.app.recalculating import (
    Beyond,
    NothingClosed,
    Pending,
    Preview,
    Wish,
    preview,
)
from kilokassa.app.recalculating import recalculate as run
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.text import amount_text, mark, month_text, sentence
from kilokassa.web.access import ACCESS
from kilokassa.web.forms import month_asked
from kilokassa.web.kit import Column, Kind, Paging, Table, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit

PAGE_SIZE: Final = 50
EXPORT_MAX: Final = 100_000
MONTHS_OFFERED: Final = 14


def recalculations() -> ResponseReturnValue:
    """Show what is pending for accounts in reach, and the documents that were issued."""
    here = visit()
    wish = Wish(month_asked("month"), request.args.get("account", "")[:40].strip() or None)
    found, refusal = _look(here, wish)
    exported = export_asked()
    page = 1 if exported else page_asked()
    documents, total = documents_of_kind(
        here.session,
        here.scope,
        DocumentKind.RECALCULATION,
        limit=EXPORT_MAX if exported else PAGE_SIZE,
        offset=(page - 1) * PAGE_SIZE,
    )
    pending = _pending_table(found)
    beyond = _beyond_table(() if found is None else found.beyond)
    posted = _posted_table([RecalculationDocument.from_snapshot(one.snapshot) for one in documents])
    for table in (pending, beyond, posted):
        if exported == table.name:
            return table.csv()
    current = Month.of(here.today)
    return render_template(
        "console/recalculations.html",
        active="console.recalculations",
        found=found,
        refusal=refusal,
        pending=pending,
        beyond=beyond,
        posted=posted,
        paging=Paging(page, PAGE_SIZE, total),
        month=wish.month,
        account=wish.account_number or "",
        months=[current.plus(-n) for n in range(1, MONTHS_OFFERED)],
        may_post=ACCESS["console.recalculate"].allows(here.scope),
    )


def recalculate() -> ResponseReturnValue:
    """Post what is pending, of all or of the month and account that were looked at."""
    here = visit()
    asked = request.form.get("month", "")
    account = request.form.get("account", "")[:40].strip() or None
    scope, language = here.scope, here.language
    try:
        wish = Wish(Month.parse(asked) if asked else None, account)
        here.end()  # the run opens sessions of its own
        report = run(here.application, wish, scope=scope)
    except DomainError as error:
        flash(sentence(error, language), "bad")
        return redirect(url_for("console.recalculations"))
    if report.corrected:
        text = translate(
            mark("%(accounts)s accounts were put right in %(months)s months: %(amount)s in all.")
        ) % {
            "accounts": report.corrected,
            "months": report.months,
            "amount": amount_text(report.difference_minor, language),
        }
    else:
        text = translate(mark("All closed months are as they should be."))
    flash(text, "good")
    return redirect(url_for("console.recalculations"))


def _look(here: Visit, wish: Wish) -> tuple[Preview | None, str]:
    """Return what is pending, or why nothing can be looked at."""
    try:
        return preview(here.session, here.scope, wish, at=here.now), ""
    except NothingClosed:
        return None, ""
    except DomainError as error:
        return None, sentence(error, here.language)


def _tone(difference_minor: int) -> str:
    return "good" if difference_minor < 0 else ""


def _pending_table(found: Preview | None) -> Table[Pending]:
    left = found is not None and found.left > 0
    return Table(
        name="pending",
        caption=mark("Not as they should be"),
        columns=(
            Column(
                "account",
                mark("Account"),
                lambda one: one.account_number,
                link=lambda one: url_for("console.account", number=one.account_number),
            ),
            Column("payer", mark("Payer"), lambda one: one.payer_name, minor=True),
            Column("place", mark("Address"), lambda one: one.building_address, minor=True),
            Column("month", mark("Month"), lambda one: one.month, Kind.MONTH),
            Column(
                "difference",
                mark("Difference"),
                lambda one: one.difference_minor,
                Kind.MONEY,
                tone=lambda one: _tone(one.difference_minor),
            ),
            Column("reason", mark("Reason"), lambda one: REASONS[one.reason], Kind.MESSAGE),
        ),
        items=() if found is None else found.pending,
        empty=mark("None of the months compared here would change.")
        if left
        else mark("All closed months are as they should be."),
        filterable=True,
    )


def _beyond_table(items: tuple[Beyond, ...]) -> Table[Beyond]:
    return Table(
        name="beyond",
        caption=mark("Too far back to be put right of itself"),
        columns=(
            Column(
                "account",
                mark("Account"),
                lambda one: one.account_number,
                link=lambda one: url_for("console.account", number=one.account_number),
            ),
            Column("month", mark("Month"), lambda one: one.month, Kind.MONTH),
            Column("reason", mark("Reason"), lambda one: REASONS[one.reason], Kind.MESSAGE),
        ),
        items=items,
        filterable=True,
    )


def _posted_table(items: list[RecalculationDocument]) -> Table[RecalculationDocument]:
    return Table(
        name="posted",
        caption=mark("Documents of the difference"),
        columns=(
            Column(
                "number",
                mark("Document"),
                lambda one: one.number,
                link=lambda one: url_for("console.document_pdf", number=one.number),
            ),
            Column(
                "account",
                mark("Account"),
                lambda one: one.payer.account_number,
                link=lambda one: url_for("console.account", number=one.payer.account_number),
            ),
            Column("payer", mark("Payer"), lambda one: one.payer.name, minor=True),
            Column("issued", mark("Issued"), lambda one: one.issued_on, Kind.DATE, minor=True),
            Column(
                "months",
                mark("Months"),
                lambda one: ", ".join(_months(one.months)),
                minor=True,
            ),
            Column(
                "reason", mark("Reason"), lambda one: "; ".join(_reasons(one.months)), minor=True
            ),
            Column(
                "difference",
                mark("Difference"),
                lambda one: one.difference_minor,
                Kind.MONEY,
                tone=lambda one: _tone(one.difference_minor),
            ),
        ),
        items=items,
        empty=mark("No closed month was put right yet."),
    )


def _months(differences: Sequence[MonthDifference]) -> list[str]:
    """Return the months, a row of them as the first and the last."""
    language = visit().language
    months = [month_text(one.month, language) for one in differences]
    return months if len(months) < 3 else [f"{months[0]} – {months[-1]}"]


def _reasons(differences: Sequence[MonthDifference]) -> list[str]:
    return [
        translate(REASONS[one]) for one in dict.fromkeys(r for d in differences for r in d.reasons)
    ]
