"""Files of device events that make no sense are refused by their line."""

import pytest

from metering.imports import UnreadableFile
from metering.parsers.csv_events import parse_events

HEADER = "point,kind,start,value\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('"' + "A" * 200_000 + '",magnet,2026-10-01T00:30,', "Line 2: there are 0 fields, not 4"),
        ("P1,clock_set,2026-10-01T00:30,9999999999", "Line 2: .* is more than any meter tells"),
        ("P1" + "\n" * 2000 + "\0,magnet,2026-10-01T00:30,", "neither UTF-8 nor windows-1251"),
    ],
)
def test_a_line_that_no_event_can_be_is_refused(line, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        parse_events((HEADER + line).encode())
