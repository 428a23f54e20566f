"""PDFs of issued documents: one on demand, a month's over the executor; made after commit.

A PDF holds nothing that its snapshot does not, so it can be thrown away and made again, byte for
byte. A file carries in its identifier which content and which renderer made it: a repeated job
keeps the files that are right and makes the others.
"""

import multiprocessing
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from invoices import render, store
from invoices.documents import Document
from kilokassa.app.executor import run_parts
from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId, DocumentId
from kilokassa.core.scope import Scope
from kilokassa.core.text import Language
from kilokassa.db.session import Database

DOCUMENTS_A_PART = 20
"""Some two seconds of work: long enough to be worth the way to a worker."""

Progress = Callable[[int, int], None]
"""Told how many documents are done and how many there are."""


@dataclass(frozen=True, slots=True)
class PdfPart:
    """Documents that one task renders; travels to a worker, so it holds ids and no objects."""

    database_url: str
    document_ids: tuple[DocumentId, ...]
    folder: str


def document_pdf(
    database: Database, scope: Scope, number: str, *, language: Language | None = None
) -> bytes:
    """Return the PDF of a document in reach, in its own language unless another is named."""
    with database.reading() as session:
        document = store.document_by_number(session, scope, number)
    return _pdf(document, language)


def write_pdfs(
    database: Database,
    executor: Executor,
    *,
    month: Month,
    folder: Path,
    progress: Progress | None = None,
    accounts: Sequence[AccountId] | None = None,
    workers: int | None = None,
) -> int:
    """Write a PDF for each live payment document of `month`; return how many are there then.

    Files that are right already are kept, so that a job which was stopped goes on where it was.
    """
    with database.reading() as session:
        ids = store.live_document_ids(session, month, accounts)
    folder.mkdir(parents=True, exist_ok=True)
    url = database.url.render_as_string(hide_password=False)
    parts = (
        PdfPart(url, tuple(ids[start : start + DOCUMENTS_A_PART]), str(folder))
        for start in range(0, len(ids), DOCUMENTS_A_PART)
    )
    done = 0
    for count in run_parts(executor, write_part, parts, workers or os.cpu_count() or 1):
        done += count
        if progress is not None:
            progress(done, len(ids))
    return done


def write_part(part: PdfPart) -> int:
    """Write the PDFs of one part; runs in a worker, opens its own session, may be repeated."""
    database = Database(part.database_url)
    try:
        with database.reading() as session:
            documents = store.documents_by_ids(session, part.document_ids)
    finally:
        database.dispose()
    _tune_worker()
    for document in documents:
        file = Path(part.folder) / file_name(document.number, document.account_number)
        if not _is_current(file, document):
            _write_whole(file, _pdf(document))
    return len(documents)


def file_name(number: str, account_number: str) -> str:
    """Return the name of a document's file, of characters that every file system takes.

    >>> file_name("2026-000123", "А-55/021")
    '2026-000123_А-55_021.pdf'
    """
    return re.sub(r"[^\w.-]", "_", f"{number}_{account_number}") + ".pdf"


def _pdf(document: Document, language: Language | None = None) -> bytes:
    shown_in = language or document.language
    return render.render_document(document.kind, document.snapshot, shown_in)


@lru_cache(maxsize=1)
def _tune_worker() -> None:
    """Let a worker's collector run seldom, once; the parent's own process is left as it is."""
    if multiprocessing.parent_process() is not None:
        render.tune_for_bulk()


def _is_current(file: Path, document: Document) -> bool:
    """Say whether the file is whole and made from this content by this renderer."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return False
    stamp = render.content_stamp(document.snapshot, document.language).encode()
    end = content[-2048:]
    return stamp in end and end.rstrip().endswith(b"%%EOF")


def _write_whole(file: Path, content: bytes) -> None:
    """Write beside the file and rename, so that nobody ever sees half of one."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
