"""Documents as PDF, for pages and for the interface alike."""

from flask import Response, make_response, request

from kilokassa.app.documents import document_pdf, file_name
from kilokassa.core.text import Language
from kilokassa.web.visit import Visit


def pdf_answer(here: Visit, number: str) -> Response:
    """Return the PDF of a document in reach, as a file that a browser shows."""
    language = request.args.get("language", "")
    chosen = Language(language) if language in set(Language) else None
    scope = here.scope
    here.end()  # rendering takes its time; no session stays open for it
    content = document_pdf(here.application.database, scope, number, language=chosen)
    answer = make_response(content)
    answer.mimetype = "application/pdf"
    name = file_name(number, "").replace("_.pdf", ".pdf")
    answer.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return answer
