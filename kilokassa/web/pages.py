"""What stands before the door: the start, choices of language and colours, health, metrics."""

from typing import Final
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from kilokassa.app import schema
from kilokassa.app.users import UserRow
from kilokassa.core.scope import Right, Role
from kilokassa.core.text import Language
from kilokassa.web import queries
from kilokassa.web.language import LANGUAGE_COOKIE, THEME_COOKIE, THEMES
from kilokassa.web.metrics import Metrics, demand_watcher, metrics_text
from kilokassa.web.visit import visit

_YEAR_S: Final = 365 * 24 * 3600
_log = structlog.get_logger("kilokassa.web")


def blueprint(metrics: Metrics) -> Blueprint:
    """Return the pages that need no sign-in."""
    pages = Blueprint("pages", __name__)
    pages.get("/")(index)
    pages.post("/preferences")(preferences)
    pages.get("/health")(health)
    pages.get("/robots.txt")(robots)
    pages.get("/api/docs")(api_docs)

    @pages.get("/metrics", endpoint="metrics")
    def _metrics() -> Response:
        demand_watcher()
        watched = queries.watched(visit().session)
        metrics.accounts.set(watched.accounts)
        metrics.findings.set(watched.findings)
        metrics.debt.set(watched.debt_minor)
        return metrics_text(metrics)

    return pages


def index() -> ResponseReturnValue:
    """Send everyone to their own start."""
    here = visit()
    if here.known_scope is None:
        return redirect(url_for("security.login"))
    if here.scope.role is Role.RESIDENT:
        return redirect(url_for("account.choose"))
    return redirect(url_for("console.home"))


def preferences() -> ResponseReturnValue:
    """Keep the language or the colours that somebody chose, and go back to the page."""
    here = visit()
    answer = redirect(_own_path(request.form.get("back", "")))
    secure = here.application.settings.secure_cookies
    language = request.form.get("language")
    theme = request.form.get("theme")
    if language is not None:
        if language not in set(Language):
            abort(422)
        answer.set_cookie(
            LANGUAGE_COOKIE, language, max_age=_YEAR_S, secure=secure, httponly=True, samesite="Lax"
        )
        if here.user is not None and here.user.language != language:
            chosen = update(UserRow).where(UserRow.id == here.user.id).values(language=language)
            with here.writing() as session:
                session.execute(chosen)
    if theme is not None:
        if theme not in THEMES:
            abort(422)
        answer.set_cookie(
            THEME_COOKIE, theme, max_age=_YEAR_S, secure=secure, httponly=True, samesite="Lax"
        )
    return answer


def health() -> ResponseReturnValue:
    """Say whether the database answers and has the schema that this version needs."""
    database = visit().application.database
    try:
        found, needed = schema.current(database), schema.newest()
    except SQLAlchemyError:
        _log.warning("database not reachable", exc_info=True)
        return jsonify(status="unavailable", database="unreachable"), 503
    current = found == needed
    body = {
        "status": "ok" if current else "unavailable",
        "database": "reachable",
        "schema": "current" if current else "behind",
    }
    return jsonify(body), 200 if current else 503


def robots() -> Response:
    """Ask search engines to stay away: nothing here is for everyone."""
    return Response("User-agent: *\nDisallow: /\n", mimetype="text/plain")


def api_docs() -> str:
    """Show the description of the interface, drawn from it by our own page."""
    return render_template("api_docs.html", may_try=visit().may(Right.VIEW))


def _own_path(wish: str) -> str:
    """Return a path of this site, and nothing that a browser could take for another's."""
    parts = urlsplit(wish)
    own = not parts.scheme and not parts.netloc and wish.startswith("/")
    if not own or wish.startswith(("//", "/\\")) or not wish.isprintable():
        return url_for("pages.index")
    return wish
