"""A file damaged anywhere is read or refused in one sentence; it never breaks an import."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.imports import UnreadableFile
from metering.parsers.csv_registers import parse_registers
from metering.parsers.detect import detect_layout
from metering.parsers.formats import HEAD_BYTES, Format, detect, make_reader
from metering.parsers.source import VALUE_MAX_UWH

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "import"
FILES = (
    "80020_7707083893_20261103_1_7728168971.xml",
    "green-button.xml",
    "readings-wide.csv",
    "readings-turned.csv",
    "readings.csv",
)
DAMAGE = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.integers(0, 40),
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b"<", b">", b"&amp;", b"<value>", b"</period>", b";", b'"', b"\n"]),
        ),
    ),
    min_size=1,
    max_size=4,
)


def rows_or_refusal(content):
    """Return how many rows are read, or the sentence that refuses the file."""
    try:
        found = detect(content[:HEAD_BYTES])
        if found is Format.REGISTERS:
            return 0
        reader = make_reader(found, content[:HEAD_BYTES])
        blocks = list(reader.blocks(BytesIO(content)))
    except UnreadableFile as refusal:
        return str(refusal)
    for rows in blocks:
        assert rows["series"].max(initial=-1) < len(reader.index.keys)
        assert np.abs(rows["value_uwh"]).max(initial=0) <= VALUE_MAX_UWH
    return sum(map(len, blocks))


@pytest.mark.parametrize("name", FILES)
@settings(deadline=None, max_examples=60)
@given(damage=DAMAGE)
def test_a_damaged_file_is_read_or_refused(name, damage):
    content = (FOLDER / name).read_bytes()
    for place, length, junk in damage:
        place %= len(content)
        content = content[:place] + junk + content[place + length :]

    assert rows_or_refusal(content) is not None


@pytest.mark.parametrize("name", FILES[:2])
@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, 9_999))
def test_xml_that_ends_anywhere_is_refused(name, place):
    whole = (FOLDER / name).read_bytes()
    content = whole[: place % (len(whole.rstrip()) - 1)]

    assert isinstance(rows_or_refusal(content), str)


@pytest.mark.parametrize(
    "line",
    [b'"P1";2026-10-01T00:00;1\r2', b'"' + b"x" * 200_000, b'"P1;2026-10-01T00:00;1'],
)
def test_a_line_that_no_csv_can_be_is_refused_by_its_number(line):
    for header in (b"point;time;value", b"meter;date;reading"):
        content = header + b"\n" + line + b"\n"

        with pytest.raises(UnreadableFile, match=r"Line \d: there are \d fields, not 3"):
            read_any(content)


def read_any(content):
    header, _, rest = content.partition(b"\n")
    if detect(content) is Format.REGISTERS:
        return parse_registers(rest, detect_layout(header))
    return list(make_reader(Format.LONG, content).blocks(BytesIO(content)))
