"""Headers that every answer carries: what a browser may load, and what others may not do."""

from typing import Final

from flask import Flask, Response, request

# Styles may stand inline: the charts' SVG sets them on its elements. Scripts may not.
_DIRECTIVES: Final = (
    "default-src 'self'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
POLICY: Final = "; ".join(_DIRECTIVES)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_YEAR_S: Final = 365 * 24 * 3600


def install_headers(app: Flask, *, secure: bool) -> None:
    """Add the headers to every answer; only a page of files may be kept by a browser."""

    @app.after_request
    def _add(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if secure:
            answer.headers["Strict-Transport-Security"] = f"max-age={_YEAR_S}; includeSubDomains"
        if request.endpoint != "static":
            answer.headers["Cache-Control"] = "no-store"
        return answer
