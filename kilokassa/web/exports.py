"""Files of readings that a browser or a program takes away; made whole before the first byte."""

import os
from typing import BinaryIO, Final

from flask import Response

from kilokassa.app.readings_export import ExportFormat, ExportOrder, open_export
from kilokassa.web.visit import Visit

MEDIA_TYPES: Final = {
    ExportFormat.CSV: "text/csv",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.EXCHANGE: "application/zip",
}
PIECE_BYTES: Final = 256 * 1024


def export_answer(here: Visit, order: ExportOrder) -> Response:
    """Return the readings in reach as a file to be kept, sent in pieces."""
    scope = here.scope
    here.end()  # the export opens sessions of its own
    stream = open_export(
        here.application.database, order, scope=scope, clock=here.application.clock
    )
    answer = Response(_Pieces(stream), mimetype=MEDIA_TYPES[order.fmt])
    answer.content_length = os.fstat(stream.fileno()).st_size
    answer.headers.set("Content-Disposition", "attachment", filename=order.name)
    answer.headers["Cache-Control"] = "no-store"
    return answer


class _Pieces:
    """A file piece by piece; closed at its end, by the server, or when nobody wants it any more."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __iter__(self) -> "_Pieces":
        return self

    def __next__(self) -> bytes:
        piece = b"" if self._stream.closed else self._stream.read(PIECE_BYTES)
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        """Close the file, which has no name any more and is gone."""
        self._stream.close()

    def __del__(self) -> None:
        self.close()
