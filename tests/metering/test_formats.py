"""What a file of readings is, told by its first bytes."""

import pytest

from metering.imports import UnreadableFile
from metering.parsers.formats import Format, detect, make_reader

XML = b'<?xml version="1.0" encoding="windows-1251"?>\n'
FEED = b'<feed xmlns="http://www.w3.org/2005/Atom">'
HOURS = ";".join(f"{hour}:00" for hour in range(24)).encode()


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"PAR1\x15\x04", Format.PARQUET),
        (XML + b'<message class="80020" version="2"><datetime>', Format.EXCHANGE),
        (b'\xef\xbb\xbf  <message class="80040">', Format.EXCHANGE),
        ('<message class="80020">'.encode("utf-16"), Format.EXCHANGE),
        (b'<?xml version="1.0"?><!-- long -->' + FEED, Format.GREEN_BUTTON),
        (b'<a:entry xmlns:a="http://www.w3.org/2005/Atom">', Format.GREEN_BUTTON),
        (b"point;time;value\nP1;2026-10-01T00:00;1", Format.LONG),
        ("точка;канал;время;значение\r\n".encode("cp1251"), Format.LONG),
        (b"point;date;" + HOURS + b"\n", Format.WIDE),
        (b"meter;date;reading\n", Format.REGISTERS),
        (b"time;P1;P2\n", Format.TURNED),
    ],
)
def test_the_first_bytes_tell_the_format(head, found):
    assert detect(head) is found


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"PK\x03\x04rest", "this is a ZIP archive or a workbook; unpack it, or save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", "this is a document, not a file of readings"),
        (b"%PDF-1.7", "this is a document, not a file of readings"),
        (b"<html><body>", "neither 80020 nor Green Button: its root is html"),
        (b"<!-- only a comment", "neither 80020 nor Green Button: its root is «»"),
        (b'<!DOCTYPE message SYSTEM "x">', "a document type"),
        (b"<<", "the XML is not well formed"),
        (XML.replace(b"windows-1251", b"klingon") + b"<message/>", "the encoding is not one"),
        (b'[{"point": "P1"}]', "JSON is taken as a request, not as a file"),
        (b"what is this\n", "the header does not name the columns point, time and value"),
        (b"", "the file is empty"),
    ],
)
def test_what_is_no_file_of_readings_is_refused_by_what_it_is(head, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        detect(head)


@pytest.mark.parametrize(
    ("found", "head"),
    [
        (Format.LONG, b"point;time;value\n"),
        (Format.WIDE, b"point;date;" + HOURS + b"\n"),
        (Format.TURNED, b"time;P1\n"),
        (Format.EXCHANGE, b""),
        (Format.GREEN_BUTTON, b""),
        (Format.PARQUET, b"PAR1"),
    ],
)
def test_every_format_of_intervals_has_a_reader_without_series_at_first(found, head):
    assert make_reader(found, head).index.keys == []


@pytest.mark.parametrize("found", [Format.WIDE, Format.TURNED])
def test_a_file_that_is_not_what_it_was_said_to_be_is_refused(found):
    with pytest.raises(UnreadableFile, match="does not name a point, a date and the times"):
        make_reader(found, b"point;time;value\n")
