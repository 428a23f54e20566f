"""Issued documents: the list with its filters, and each as PDF."""

from typing import Final

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from invoices.numbering import DocumentKind
from kilokassa.web import queries, tables
from kilokassa.web.forms import month_asked
from kilokassa.web.kit import Paging, export_asked, page_asked
from kilokassa.web.pdf import pdf_answer
from kilokassa.web.visit import visit

PAGE_SIZE: Final = 50
EXPORT_MAX: Final = 100_000


def documents() -> ResponseReturnValue:
    """List the documents of accounts in reach, the latest first."""
    here = visit()
    wished = request.args.get("kind", "")
    kind = DocumentKind(wished) if wished in set(DocumentKind) else None
    month = month_asked("month")
    search = request.args.get("search", "")[:100].strip()
    page, exporting = page_asked(), bool(export_asked())
    found, total = queries.list_documents(
        here.session,
        here.scope,
        kind=kind,
        month=month,
        search=search,
        limit=EXPORT_MAX if exporting else PAGE_SIZE,
        offset=0 if exporting else (page - 1) * PAGE_SIZE,
    )
    table = tables.documents(found, "console.document_pdf", with_account=True)
    if exporting:
        return table.csv()
    return render_template(
        "console/documents.html",
        active="console.documents",
        table=table,
        paging=Paging(page, PAGE_SIZE, total),
        kinds=tuple(DocumentKind),
        kind=kind,
        months=queries.document_months(here.session, here.scope),
        month=month,
        search=search,
    )


def document_pdf(number: str) -> Response:
    """Return the PDF of a document in reach."""
    return pdf_answer(visit(), number)
