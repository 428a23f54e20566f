"""A file of readings as it lies on disk: opened, unpacked within bounds, looked into."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from kilokassa.core.errors import NotFound
from kilokassa.core.text import mark
from metering.imports import UnreadableFile

HEAD_BYTES: Final = 64 * 1024
"""What is looked into to tell a format."""
UNPACKED_MAX_BYTES: Final = 16 * 1024**3
"""More than any file of readings holds: 400 million values in long form."""
UNPACKED_FREE_BYTES: Final = 64 * 1024**2
PACKING_MAX: Final = 200
"""Readings pack 5 to 60 times; past the first `UNPACKED_FREE_BYTES` more than this is a trap."""

_GZIP: Final = b"\x1f\x8b"
_COPY_BYTES: Final = 1024 * 1024


class ReadingsFile:
    """An open file of readings; `head` is its first bytes, unpacked."""

    def __init__(self, raw: BinaryIO, stream: "BinaryIO | Unpacked", head: bytes) -> None:
        self._raw = raw
        self._stream = stream
        self.head = head

    @property
    def position(self) -> int:
        """How many bytes of the file on disk have been read."""
        return self._raw.tell()

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """Open the unpacked bytes from their start; once."""
        if isinstance(self._stream, Unpacked):
            self._stream.put_back(self.head)
        else:
            self._raw.seek(0)
        yield cast(BinaryIO, self._stream)

    def whole(self, most_bytes: int) -> bytes:
        """Return all bytes of a file that must be small."""
        with self.stream() as stream:
            content = stream.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise UnreadableFile(
                line=content.count(b"\n") + 1,
                problem=mark("the file is too large for register readings"),
            )
        return content


@contextmanager
def open_readings(path: Path) -> Iterator[ReadingsFile]:
    """Open a file, packed by gzip or not."""
    try:
        raw = path.open("rb")
    except OSError:
        raise NotFound(what="file", name=str(path)) from None
    with raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        stream = Unpacked(raw) if packed else raw
        yield ReadingsFile(raw, stream, stream.read(HEAD_BYTES))


class Unpacked(RawIOBase):
    """The bytes that a gzip file holds; what is damaged or unpacks without end is refused."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._packed = gzip.GzipFile(fileobj=raw)
        self._back = b""
        self._unpacked = 0
        self._line = 1

    def put_back(self, head: bytes) -> None:
        """Let the next reading begin with `head`, which was read before."""
        self._back = head

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as io has it
        """Fill `buffer` with the next bytes; return how many there were."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, `size` of them unless the end comes first; b"" at the end."""
        back, self._back = (self._back, b"") if size < 0 else self._split(size)
        if 0 <= size <= len(back):
            return back
        return back + self._next(size if size < 0 else size - len(back))

    def _split(self, size: int) -> tuple[bytes, bytes]:
        return self._back[:size], self._back[size:]

    def _next(self, size: int) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self._next(_COPY_BYTES), b""))
        try:
            piece = self._packed.read(size)
        except (OSError, EOFError, zlib.error):
            raise UnreadableFile(
                line=self._line, problem=mark("the compressed file is damaged")
            ) from None
        self._unpacked += len(piece)
        self._line += piece.count(b"\n")
        most = max(UNPACKED_FREE_BYTES, PACKING_MAX * self._raw.tell())
        if self._unpacked > min(most, UNPACKED_MAX_BYTES):
            raise UnreadableFile(
                line=self._line,
                problem=mark("the compressed file unpacks to more than readings ever do"),
            )
        return piece


Progress = Callable[[int, int], None]


class Teller:
    """Tells how far an import is: half of the way is reading, half is loading."""

    def __init__(self, progress: Progress | None, size: int) -> None:
        self._progress = progress
        self._size = max(size, 1)

    def read(self, position: int) -> None:
        """Tell that the file was read up to `position`."""
        self._tell(min(position, self._size))

    def loaded(self, rows: int, of_rows: int) -> None:
        """Tell that so many rows are loaded."""
        self._tell(self._size + (self._size * rows // of_rows if of_rows else self._size))

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, 2 * self._size)
