"""Files of several formats by command: told apart, accepted or refused in one sentence."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kilokassa.core.clock import FixedClock
from kilokassa.db.session import Database
from metering.registry.places import Building, Channel, MeteringPoint, PlacesOrder
from metering.registry.service import register_places
from tests.jobs.conftest import Run

POINT = "P-0001"
CLOCKS = [f"{n // 2:02d}{n % 2 * 30:02d}" for n in range(48)]


@pytest.fixture
def town(installed: Run, bare_database: Database) -> Run:
    """An installation that knows one metering point."""
    order = PlacesOrder(
        buildings=(Building("B1", "Ленина 1", "Asia/Vladivostok"),),
        points=(MeteringPoint(POINT, "B1"),),
        channels=(Channel(POINT, 30),),
    )
    with bare_database.writing() as session:
        register_places(session, order, FixedClock(datetime(2022, 11, 1, tzinfo=UTC)))
    return installed


def exchange(path: Path, *, timezone: str) -> Path:
    periods = "".join(
        f'<period start="{start}" end="{end}"><value>1</value></period>'
        for start, end in zip(CLOCKS, [*CLOCKS[1:], "0000"], strict=True)
    )
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?><message class="80020" version="2" number="1">'
        "<datetime><timestamp>20221002000000</timestamp><daylightsavingtime>0"
        "</daylightsavingtime><day>20221001</day></datetime>"
        "<sender><inn>7700000000</inn><name>S</name></sender>"
        f'<area{timezone}><inn>7700000001</inn><name>A</name><measuringpoint code="{POINT}" '
        f'name="M"><measuringchannel code="01" desc="">{periods}</measuringchannel>'
        "</measuringpoint></area></message>"
    )
    return path


def test_a_file_says_itself_what_it_is(town: Run, tmp_path: Path):
    wide = tmp_path / "wide.csv"
    header = ";".join(f"{clock[:2]}:{clock[2:]}" for clock in CLOCKS)
    wide.write_text(f"point;date;{header}\n{POINT};2022-10-01;" + ";".join(["1"] * 48) + "\n")

    first = town("readings", "import", exchange(tmp_path / "day.xml", timezone=""), "--json")
    second = town("readings", "import", wide, "--json")

    assert (first.code, first.json["new"]) == (0, 48)
    assert (second.code, second.json["repeated"]) == (0, 48)


def test_a_changed_time_zone_is_refused_in_a_sentence_and_accepted_by_a_flag(
    town: Run, tmp_path: Path
):
    town("readings", "import", exchange(tmp_path / "a.xml", timezone=""))
    moved = exchange(tmp_path / "b.xml", timezone=' timezone="1"')

    refused = town("readings", "import", moved)
    accepted = town("readings", "import", moved, "--accept-timezone", "--json")

    assert refused.code == 1
    assert "the time zone was «» in the files before and is 1 in this one" in refused.err
    assert accepted.json["rows"] == 48


def test_a_batch_in_json_is_taken_where_it_is_called_one(town: Run, tmp_path: Path):
    batch = tmp_path / "batch.json"
    batch.write_text(f'[{{"point": "{POINT}", "time": "2022-10-01T00:00", "value": 0.5}}]')

    unasked = town("readings", "import", batch)
    asked = town("readings", "import", batch, "--format", "json", "--json")

    assert unasked.code == 1
    assert "JSON is taken as a request" in unasked.err
    assert asked.json["new"] == 1


def test_a_spike_is_listed_and_is_no_failure(town: Run, tmp_path: Path):
    values = tmp_path / "values.csv"
    rows = [
        f"{POINT};2022-09-{day:02d}T{clock[:2]}:{clock[2:]};{0.1 + number % 7 / 10:.1f}"
        for day in range(1, 31)
        for number, clock in enumerate(CLOCKS)
    ]
    rows[-1] = f"{POINT};2022-09-30T23:30;900"
    values.write_text("point;time;value\n" + "\n".join(rows) + "\n")

    ended = town("readings", "import", values)

    assert ended.code == 0
    assert "Findings: 1" in ended.out
    assert f"Point {POINT}: far above what it ever used: 900 kWh where 0.7 kWh" in ended.out
