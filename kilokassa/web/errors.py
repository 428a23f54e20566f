"""How a refusal reaches people and machines: its code becomes a status, its sentence is shown."""

from collections.abc import Mapping
from traceback import format_exception
from typing import Any, Final

import structlog
from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from kilokassa.core.errors import DomainError
from kilokassa.core.text import Language, gettext, mark, sentence
from kilokassa.web.auth import is_api

STATUS: Final[Mapping[str, int]] = {
    "not_signed_in": 401,
    "not_authentic": 401,
    "not_in_suspense": 409,
    "payment_not_taken": 409,
    "payment_taken": 409,
    "forbidden": 403,
    "not_found": 404,
    "request_conflict": 409,
    "readings_conflict": 409,
    "finding_not_accepted": 409,
    "quality_decided": 409,
    "version_exists": 409,
    "draft_changed": 409,
    "draft_not_open": 409,
    "second_person_needed": 403,
    "month_not_over": 409,
    "month_skipped": 409,
    "document_exists": 409,
    "document_cancelled": 409,
    "document_not_cancellable": 409,
    "rendering_libraries_missing": 503,
    "not_set_up": 503,
}
"""What is not named here is a value that cannot be accepted: 422."""

_HTTP_SENTENCES: Final[Mapping[int, str]] = {
    400: mark("The request could not be understood."),
    401: mark("Sign in first, or send an e-mail address and a password."),
    403: mark("You have no right to do this."),
    404: mark("There is nothing at this address, or it is not yours to see."),
    405: mark("This address cannot be used in this way."),
    413: mark("The file is too large."),
    415: mark("The request is of a kind that is not understood here."),
    422: mark("A value cannot be accepted."),
    429: mark("Too many requests; try again later."),
    500: mark("Something went wrong on our side. It was written down; please try again."),
    503: mark("The installation is not set up yet: run kilokassa init."),
}
_TITLES: Final[Mapping[int, str]] = {
    401: mark("Not signed in"),
    403: mark("Not allowed"),
    404: mark("Not found"),
    409: mark("This was done or changed already"),
    413: mark("Too large"),
    422: mark("This cannot be accepted"),
    500: mark("Our mistake"),
    503: mark("Not set up"),
}
_log = structlog.get_logger("kilokassa.web")


def status_of(error: DomainError) -> int:
    """Return the HTTP status that the code of a refusal stands for."""
    return STATUS.get(error.code, 422)


def install_errors(app: Flask) -> None:
    """Answer every error as a page or, under /api/, as JSON."""

    @app.errorhandler(DomainError)
    def _refused(error: DomainError) -> Response:
        return _answer(status_of(error), error.code, sentence(error, _language()), error.retryable)

    @app.errorhandler(CSRFError)
    def _forged(_error: CSRFError) -> Response:
        text = mark("The page was open for too long or came from elsewhere; load it again.")
        return _answer(400, "csrf", gettext(text, _language()))

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or 500
        if status < 400:
            return make_response(error.get_response())
        if isinstance(error, InternalServerError):
            _write_down(error.original_exception)
        text = _HTTP_SENTENCES.get(status, _HTTP_SENTENCES[400])
        data: Any = getattr(error, "data", None)
        fields = data.get("messages") if isinstance(data, dict) else None
        code = error.name.lower().replace(" ", "_")
        answer = _answer(status, code, gettext(text, _language()), fields=fields)
        for name, value in error.get_headers():
            if name.lower() in {"allow", "retry-after"}:
                answer.headers[name] = value
        return answer


def _write_down(cause: BaseException | None) -> None:
    # The lines of the way to the mistake, without the values on it: those are of people.
    trace = "" if cause is None else "".join(format_exception(cause))
    _log.error("request failed", path=request.path, method=request.method, trace=trace)


def _answer(
    status: int,
    code: str,
    text: str,
    retryable: bool = False,
    fields: Any = None,  # noqa: ANN401 - marshmallow's own shape
) -> Response:
    if is_api():
        body: dict[str, Any] = {"code": code, "message": text, "retryable": retryable}
        if fields:
            body["fields"] = fields
        answer = jsonify(body)
        if status == 401:
            answer.headers["WWW-Authenticate"] = 'Basic realm="kilokassa", charset="UTF-8"'
    elif "HX-Request" in request.headers:
        answer = make_response(render_template("kit/refusal.html", text=text))
    else:
        title = gettext(_TITLES.get(status, mark("This did not work")), _language())
        answer = make_response(render_template("error.html", title=title, text=text, status=status))
    answer.status_code = status
    return answer


def _language() -> Language:
    found = g.get("visit")
    return found.language if found is not None else Language.ENGLISH
