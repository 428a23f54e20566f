"""The commands of market prices, with the examples that are shipped."""

from pathlib import Path

from kilokassa.core.text import Language
from tests.jobs.conftest import Run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "prices"


def test_a_series_is_begun_filled_revised_and_shown(installed: Run):
    begin = ("prices", "begin", "day_ahead", "--name", "РСВ", "--zone", "Asia/Vladivostok")
    take = ("prices", "import", "--series", "day_ahead")

    assert installed(*begin).out == "The price series day_ahead has begun.\n"
    assert "nothing changed" in installed(*begin).out
    assert installed(*take, str(EXAMPLES / "day-ahead.csv")).out == (
        "Days: 7 new, 0 changed, 0 as before.\n"
    )
    revised = installed(*take, str(EXAMPLES / "day-ahead-revised.csv"))
    assert "  2026-10-07 has another price now; the former one is kept." in revised.out
    again = installed(*take, str(EXAMPLES / "day-ahead-revised.csv"), "--json")
    assert again.json == {"new": [], "changed": [], "same": ["2026-10-07"]}

    (listed,) = installed("prices", "list", "--json").json
    assert (listed["days"], listed["missing_days"], listed["revised_days"]) == (7, 0, 1)
    said = installed("prices", "list", language=Language.RUSSIAN).out
    assert "дней 7, пропущено 0, пересмотрено 1" in said
    shown = installed("prices", "show", "day_ahead", "--month", "2026-10", "--json").json
    assert [one["revision"] for one in shown if one["day"] == "2026-10-07"] == [1, 2]
    assert len(installed("prices", "show", "day_ahead", "--month", "2026-10").out.splitlines()) == 8


def test_a_wrong_file_is_one_sentence_and_nothing_is_taken(installed: Run, tmp_path: Path):
    installed("prices", "begin", "dam", "--name", "РСВ", "--zone", "Europe/Moscow")
    file = tmp_path / "cut.csv"
    file.write_text("date;hour;price_per_kwh\n2026-10-01;1;2,5\n")

    refused = installed("prices", "import", str(file), "--series", "dam")

    assert refused.code == 1
    assert refused.err == (
        "cut.csv: 2026-10-01 is not whole: 23 of 24 prices lack, first that of 01:00\n"
    )
    assert installed("prices", "import", str(file), "--series", "none").code == 1
    assert installed("prices", "list", "--json").json[0]["days"] == 0
    assert installed("prices", "begin", "x", "--name", "X", "--zone", "Mars/Base").code == 2


def test_peak_hours_are_stated_by_the_month(installed: Run):
    name = ("prices", "peak-hours", str(EXAMPLES / "peak-hours.csv"), "--list", "market_peaks")

    first = installed(*name, "--zone", "Asia/Vladivostok")
    again = installed(*name, "--zone", "Asia/Vladivostok", "--json")

    assert first.out == "Hours: 22 named, 0 withdrawn, 0 as before.\n"
    assert again.json == {"months": ["2026-10"], "named": 0, "withdrawn": 0, "same": 22}
