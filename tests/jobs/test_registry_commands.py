"""The registry from the command line, on both databases."""

from pathlib import Path

import pytest

from kilokassa.core.text import Language
from tests.jobs.conftest import Run

POINT = "KHB-A-1"
METER = "E-0001"


REGISTRY = f"""building;address;premises;area_m2;point;commodity;meter_serial;digits;installed_on;\
channels;interval
KHB-A;г. Хабаровск, ул. Опытная, д. 1;1;31.20;{POINT};electricity;{METER};6;2015-01-01;A+;30
KHB-A;;2;43.60;KHB-A-2;electricity;E-0002;6;2015-01-01;A+;30
KHB-A;;2;;KHB-A-2W;cold_water;W-0002;5;2021-01-01;;
"""


@pytest.fixture
def town(installed: Run, tmp_path: Path) -> Run:
    file = tmp_path / "town.csv"
    file.write_text(REGISTRY)
    ended = installed("registry", "import", file)
    assert ended.code == 0, ended.err
    return installed


def test_a_registry_goes_out_and_in_without_a_change(town: Run, tmp_path: Path):
    file = tmp_path / "registry.csv"

    out = town("registry", "export", file)
    back = town("registry", "import", file, "--json")

    assert out.code == 0, out.err
    assert (back.code, back.json["created"], back.json["updated"]) == (0, 0, 0)
    assert back.json["lines"] == 3


def test_a_registry_is_written_to_the_terminal_in_the_language(town: Run):
    ended = town("registry", "export", language=Language.RUSSIAN)

    assert ended.out.splitlines()[0].startswith("\ufeffкод дома;адрес")
    assert "электроэнергия" in ended.out


def test_a_fault_names_line_and_column_and_loads_nothing(town: Run, tmp_path: Path):
    file = tmp_path / "registry.csv"
    file.write_text(f"building;point;digits;meter_serial\nKHB-A;{POINT};x;{METER}\n")

    ended = town("registry", "import", file)

    assert ended.code == 1
    assert ended.err.splitlines()[0] == (
        "Line 2, field digits: 'x' is not a number with at most 0 decimals."
    )


def test_a_life_is_recorded_and_shown(town: Run):
    told = town(
        "meters", "record", POINT, METER, "verified", "--on", "2023-02-01", "--document", "С-7"
    )
    again = town(
        "meters", "record", POINT, METER, "verified", "--on", "2023-02-01", "--document", "С-7"
    )
    shown = town("meters", "show", POINT, "--json")

    assert told.code == 0, told.err
    assert "1 Feb 2023  verification  → 31 Jan 2033  С-7" in told.out
    assert "written down before" in again.out
    (meter,) = shown.json["meters"]
    assert meter["verified_until"] == "2033-01-31"
    assert meter["events"][-1]["document"] == "С-7"
    assert meter["events"][-1]["by"] == "cli"


def test_a_meter_is_replaced_with_what_both_showed(town: Run):
    ended = town(
        "meters", "replace", POINT, METER, "N-1",
        "--at", "2023-02-01T12:00", "--final", "999999", "--first", "0.5", "--digits", "5",
    )  # fmt: skip

    assert ended.code == 0, ended.err
    shown = town("meters", "show", POINT)
    assert "meter E-0001: removed" in shown.out
    assert "meter N-1: in service" in shown.out
    listed = town("meters", "list", "--search", "N-1", "--json")
    assert [one["meter"] for one in listed.json["points"]] == ["N-1"]


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("--at", "soon", "--final", "1", "--first", "0"), "is not a local time"),
        (("--at", "2023-02-01", "--final", "noon=1", "--first", "0"), "is not a zone"),
        (("--at", "2023-02-01", "--final", "1.2345", "--first", "0"), "is not a reading"),
        (("--at", "2023-02-01", "--final", "1", "--final", "2", "--first", "0"), "comes twice"),
        (("--at", "2023-02-01", "--final", "9999999", "--first", "0"), "6 digits"),
    ],
)
def test_a_replacement_that_makes_no_sense_is_one_sentence(town: Run, arguments, refusal):
    ended = town("meters", "replace", POINT, METER, "N-1", *arguments)

    assert ended.code == 1
    assert refusal in ended.err
    assert ended.err.count("\n") == 1


def test_what_is_due_is_listed_and_a_letter_is_written_once(town: Run, tmp_path: Path):
    file = tmp_path / "registry.csv"
    file.write_text(
        "building;point;meter_serial;verified_until;servicer;servicer_name;servicer_email\n"
        f"KHB-A;{POINT};{METER};2020-01-01;SERV;Метролог;serv@town.example\n"
    )
    assert town("registry", "import", file).code == 0

    due = town("meters", "due", "--no-unknown", "--json")
    first = town("meters", "notify", "--json")
    second = town("meters", "notify")

    assert due.code == 3
    assert due.json["overdue"] == 1
    assert [one["meter"] for one in due.json["meters"]] == [METER]
    assert first.json["written"] == 1
    assert first.json["told"][0]["email"] == "serv@town.example"
    assert second.out == "Notices written: 0.\n"


def test_a_point_that_is_not_there_is_refused(town: Run):
    ended = town("meters", "show", "NOWHERE", language=Language.RUSSIAN)

    assert ended.code == 1
    assert "NOWHERE" in ended.err
