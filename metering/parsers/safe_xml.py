"""XML from strangers, read by Expat as a stream: no document type, no entities, no network.

Why Expat: `docs/decisions/0031-expat-reads-xml.md`.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NoReturn
from xml.parsers import expat

from kilokassa.core.text import mark
from metering.imports import UnreadableFile

PIECE_BYTES: Final = 64 * 1024
TOKEN_MAX_BYTES: Final = 256 * 1024
"""Longer than any tag or comment of such a file; what is longer would be kept in memory whole."""
DEPTH_MAX: Final = 32

ENCODING: Final = mark("the encoding is not one that is read: UTF-8 or windows-1251")
BROKEN: Final = mark("the XML is not well formed")
_PROBLEMS: Final = {
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]: mark("the XML ends too early"),
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN]: mark("the XML ends too early"),
    expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR]: mark("the XML ends too early"),
    expat.errors.codes[expat.errors.XML_ERROR_TAG_MISMATCH]: mark(
        "an element is closed that is not the one last opened"
    ),
    expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]: mark(
        "there is a character that XML does not allow or that the encoding does not have"
    ),
    expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]: mark(
        "there is an entity, and entities are not taken"
    ),
    expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING]: ENCODING,
}
NOT_ALLOWED: Final = mark("a document type (DOCTYPE) or entities are not taken")


def new_parser(namespace_separator: str | None = None) -> expat.XMLParserType:
    """Return a parser that refuses every document type, and with it every entity of its own."""
    parser = expat.ParserCreate(namespace_separator=namespace_separator)
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def refuse(*_: object) -> NoReturn:
        raise UnreadableFile(line=parser.CurrentLineNumber, problem=NOT_ALLOWED)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    return parser


def feed(
    parser: expat.XMLParserType, stream: BinaryIO, check: Callable[[], None] | None = None
) -> Iterator[None]:
    """Push a stream through `parser` piece by piece, yielding after each.

    `check` is called after each piece: for bounds on what a reader gathers. A document that is not
    well formed, that ends early or that has a token without an end is refused by its line.
    """
    fed = 0
    while True:
        piece = stream.read(PIECE_BYTES)
        try:
            parser.Parse(piece, not piece)
        except expat.ExpatError as error:
            # A truncated file fails at its last byte with "no element found".
            problem = _PROBLEMS.get(error.code, BROKEN)
            raise UnreadableFile(line=error.lineno, problem=problem) from None
        except (LookupError, ValueError):
            if fed:
                raise
            # What Python says of an encoding it does not have, or that is not of single bytes.
            raise UnreadableFile(line=1, problem=ENCODING) from None
        fed += len(piece)
        if fed - max(parser.CurrentByteIndex, 0) > TOKEN_MAX_BYTES:
            raise UnreadableFile(
                line=parser.CurrentLineNumber, problem=mark("a tag or a comment is too long")
            )
        if check is not None:
            check()
        yield
        if not piece:
            return
