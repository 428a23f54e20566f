"""The web application, put together: `create_app()` is what a server serves."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from flask import Flask, g, request, url_for
from flask_wtf.csrf import generate_csrf

from kilokassa.app.wiring import Application, open_application
from kilokassa.core.scope import Right
from kilokassa.core.text import Language
from kilokassa.web import account, api, console, pages
from kilokassa.web.access import ACCESS
from kilokassa.web.auth import install_auth
from kilokassa.web.errors import install_errors
from kilokassa.web.headers import install_headers
from kilokassa.web.language import chosen_language, chosen_theme, install_language
from kilokassa.web.metrics import install_metrics
from kilokassa.web.navigation import sections
from kilokassa.web.visit import Visit, visit
from kilokassa.web.words import word

MAX_UPLOAD_BYTES: Final = 64 * 1024 * 1024
_YEAR_S: Final = 365 * 24 * 3600
_STATIC: Final = Path(__file__).parent / "static"


def create_app(application: Application | None = None) -> Flask:
    """Return the web application; without an argument, as the environment sets it up."""
    wired = application or open_application()
    app = Flask("kilokassa.web", root_path=str(Path(__file__).parent))
    app.config |= {
        "MAX_CONTENT_LENGTH": MAX_UPLOAD_BYTES,
        "SEND_FILE_MAX_AGE_DEFAULT": _YEAR_S,
        "TEMPLATES_AUTO_RELOAD": False,
    }
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    _install_visits(app, wired)
    measured = install_metrics(app)
    install_headers(app, secure=wired.settings.secure_cookies)
    install_language(app)
    install_errors(app)
    install_auth(app, wired)
    app.register_blueprint(pages.blueprint(measured))
    app.register_blueprint(console.blueprint())
    app.register_blueprint(account.blueprint())
    api.install_api(app)
    _install_templates(app)
    return app


def _install_visits(app: Flask, application: Application) -> None:
    @app.before_request
    def _begin() -> None:
        g.visit = Visit(application, chosen_language(application.settings.language))

    @app.teardown_request
    def _end(_error: BaseException | None) -> None:
        found = g.pop("visit", None)
        if found is not None:
            found.end()


def _install_templates(app: Flask) -> None:
    app.jinja_env.globals.update(word=word, Right=Right, with_arguments=_with_arguments)

    @app.context_processor
    def _common() -> dict[str, Any]:
        here = g.get("visit")
        return {
            "visit": here,
            "language": str(here.language) if here else str(Language.ENGLISH),
            "theme": chosen_theme(),
            "csrf_token": generate_csrf,
            "may_open": _may_open,
            "sections": lambda: sections(_may_open),
            "hx": "HX-Request" in request.headers,
        }

    @app.url_defaults
    def _versioned(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and "v" not in values:
            values["v"] = _version(values["filename"])


def _may_open(endpoint: str) -> bool:
    access, scope = ACCESS.get(endpoint), visit().known_scope
    return access is not None and (access.anyone or (scope is not None and access.allows(scope)))


def _with_arguments(**changes: object) -> str:
    """Return the address of the page with some arguments changed; None takes one away."""
    arguments = {**(request.view_args or {}), **request.args.to_dict(), **changes}
    kept = {name: value for name, value in arguments.items() if value not in (None, "")}
    assert request.endpoint is not None
    return url_for(request.endpoint, **kept)


@cache
def _version(name: str) -> str:
    """Return a mark that changes with the file, so that browsers may keep it for a year."""
    file = _STATIC / name
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else "0"
