"""The only door to WeasyPrint: a snapshot goes in, the bytes of a PDF come out, always the same.

WeasyPrint is imported at the first document, so that everything else runs where its system
libraries are missing. Fonts and style sheet are read once a process and kept for its life; never
render in two threads at once.
"""

import base64
import gc
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2

from invoices.final_statement import FinalStatement
from invoices.final_statement_page import final_statement_page
from invoices.numbering import DocumentKind
from invoices.page import cancellation_page, document_page, payment_of, receipt_page
from invoices.payment_document import PaymentDocument
from invoices.payment_qr import payment_payload, qr_png
from invoices.recalculation import RecalculationDocument
from invoices.recalculation_page import recalculation_page
from invoices.receipt import MoneyReceipt
from kilokassa.core.digest import digest_parts
from kilokassa.core.errors import DomainError
from kilokassa.core.text import Language, gettext, mark

FOLDER: Final = Path(str(files("invoices")))


class RenderingLibrariesMissing(DomainError):
    """WeasyPrint cannot load the system libraries it draws text with."""

    code = "rendering_libraries_missing"
    template = mark(
        "PDFs need the Pango library, which this machine lacks; install it with: %(command)s"
    )


INSTALL_COMMAND: Final = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


def render_document(kind: DocumentKind, snapshot: Mapping[str, Any], language: Language) -> bytes:
    """Return the PDF of an issued document of any kind that has a page."""
    if kind is DocumentKind.PAYMENT_DOCUMENT:
        return render_payment_document(snapshot, language)
    if kind is DocumentKind.RECEIPT:
        return render_receipt(snapshot, language)
    if kind is DocumentKind.RECALCULATION:
        return render_recalculation(snapshot, language)
    if kind is DocumentKind.FINAL_STATEMENT:
        return render_final_statement(snapshot, language)
    return render_cancellation(snapshot, language)


def render_payment_document(snapshot: Mapping[str, Any], language: Language) -> bytes:
    """Return the PDF of a payment document's snapshot, the number under its key `number`."""
    document = PaymentDocument.from_snapshot(snapshot)
    image = base64.b64encode(qr_png(payment_payload(payment_of(document)))).decode()
    return _pdf(
        "payment_document.html",
        language,
        snapshot,
        page=document_page(document, language),
        qr=f"data:image/png;base64,{image}",
    )


def render_receipt(snapshot: Mapping[str, Any], language: Language) -> bytes:
    """Return the PDF of a receipt of money, the number under its key `number`."""
    receipt = MoneyReceipt.from_snapshot(snapshot)
    return _pdf("receipt.html", language, snapshot, page=receipt_page(receipt, language))


def render_cancellation(snapshot: Mapping[str, Any], language: Language) -> bytes:
    """Return the PDF of a cancellation: which document no longer holds, since when and why."""
    return _pdf("cancellation.html", language, snapshot, page=cancellation_page(snapshot, language))


def render_recalculation(snapshot: Mapping[str, Any], language: Language) -> bytes:
    """Return the PDF of a document of the difference, the number under its key `number`."""
    document = RecalculationDocument.from_snapshot(snapshot)
    page = recalculation_page(document, language)
    return _pdf("recalculation.html", language, snapshot, page=page)


def render_final_statement(snapshot: Mapping[str, Any], language: Language) -> bytes:
    """Return the PDF of a final statement, the number under its key `number`."""
    document = FinalStatement.from_snapshot(snapshot)
    page = final_statement_page(document, language)
    return _pdf("final_statement.html", language, snapshot, page=page)


def pdf_of_page(text: str) -> bytes:
    """Return the PDF of a page that brings its own style, such as a report; it loads no files."""
    engine = _engine()
    page = engine.module.HTML(string=text, url_fetcher=engine.fetcher)
    pdf: bytes = page.write_pdf(
        font_config=engine.fonts, pdf_identifier=digest_parts([text.encode()]).encode()
    )
    return pdf


@cache
def renderer_version() -> str:
    """Return what decides the bytes besides the snapshot: libraries, templates, words, fonts."""
    russian = Path(str(files("kilokassa"))) / "locale" / "ru"
    words = [russian / f"{name}.po" for name in ("invoices", "moves", "recalculation")]
    code = [FOLDER / f"{name}.py" for name in _CODE]
    parts = [path.read_bytes() for path in [*sorted(_own_files()), *code, *words]]
    libraries = " ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"{libraries} templates {digest_parts(parts)[:12]}"


def content_stamp(snapshot: Mapping[str, Any], language: Language) -> str:
    """Return the identifier a PDF carries in clear: it is this content by this renderer."""
    shown = str(snapshot.get("digest", "")), str(snapshot.get("number", "")), str(language)
    return digest_parts(part.encode() for part in (*shown, renderer_version()))


def tune_for_bulk() -> None:
    """Let the collector run seldom; for a process that renders many documents and nothing else.

    Off altogether is no faster and takes twice the memory.
    """
    _engine()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


_CODE: Final = (
    "chart",
    "final_statement",
    "final_statement_page",
    "page",
    "payment_qr",
    "recalculation",
    "recalculation_page",
    "render",
    "words",
)
_LIBRARIES: Final = ("weasyprint", "pydyf", "segno", "babel", "num2words")


@dataclass(frozen=True, slots=True)
class _Engine:
    """What a process keeps for its life."""

    module: Any
    fonts: Any
    styles: Any
    fetcher: Any
    templates: jinja2.Environment


@cache
def _engine() -> _Engine:
    try:
        # Not at the top: everything but PDFs runs where Pango is missing.
        import weasyprint
        from weasyprint.text.fonts import FontConfiguration
        from weasyprint.urls import URLFetcher, URLFetcherResponse
    except OSError as error:
        raise RenderingLibrariesMissing(command=INSTALL_COMMAND) from error

    class OwnFiles(URLFetcher):  # type: ignore[misc]
        """Serves this package's templates and fonts, and images the page itself carries."""

        def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401
            """Return one of our files; anything else does not exist."""
            if url.startswith("data:image/png;base64,"):
                return super().fetch(url, headers)
            path = Path(url.removeprefix("file://")).resolve()
            if not url.startswith("file://") or path not in _own_files():
                raise ValueError("documents use their own files only")
            return URLFetcherResponse(url, path.read_bytes())

    fonts, fetcher = FontConfiguration(), OwnFiles()
    sheet = FOLDER / "templates" / "document.css"
    return _Engine(
        module=weasyprint,
        fonts=fonts,
        styles=weasyprint.CSS(
            string=sheet.read_text(encoding="utf-8"),
            base_url=sheet.as_uri(),
            font_config=fonts,
            url_fetcher=fetcher,
        ),
        fetcher=fetcher,
        templates=jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        ),
    )


@cache
def _own_files() -> frozenset[Path]:
    return frozenset(
        path.resolve()
        for folder in ("templates", "fonts")
        for path in (FOLDER / folder).iterdir()
        if path.is_file()
    )


def _pdf(template: str, language: Language, snapshot: Mapping[str, Any], **values: Any) -> bytes:  # noqa: ANN401
    engine = _engine()
    text = engine.templates.get_template(template).render(
        _=partial(gettext, language=language),
        digest=str(snapshot.get("digest", "")),
        **values,
    )
    page = engine.module.HTML(string=text, url_fetcher=engine.fetcher)
    pdf: bytes = page.write_pdf(
        stylesheets=[engine.styles],
        font_config=engine.fonts,
        pdf_identifier=content_stamp(snapshot, language).encode(),
    )
    return pdf
