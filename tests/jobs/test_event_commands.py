"""Commands about findings, events and quality, as a person runs them."""

from pathlib import Path

import pytest

from kilokassa.core.text import Language
from tests.frozen_town import accounts_csv, readings_csv, tariff_documents
from tests.jobs.conftest import Run


@pytest.fixture
def town(installed: Run, tmp_path: Path) -> Run:
    for number, document in enumerate(tariff_documents()):
        file = tmp_path / f"tariff-{number}.yaml"
        file.write_text(document)
        assert installed("tariff", "publish", file).code == 0
    ended = installed("heat", "price", "heat", "2000", "--from", "2022-01-01", "--source", "S1")
    assert ended.code == 0, ended.err
    for name, text in (("accounts", accounts_csv()), ("readings", readings_csv())):
        file = tmp_path / f"{name}.csv"
        file.write_text(text)
        ended = installed(name, "import", file)
        assert ended.code == 0, ended.err
    return installed


def events_file(folder: Path, *rows: str) -> Path:
    file = folder / "events.csv"
    file.write_text("\n".join(["точка;событие;начало;конец;значение", *rows]), encoding="cp1251")
    return file


def test_events_are_imported_once_and_listed(town: Run, tmp_path: Path):
    file = events_file(
        tmp_path,
        "KHB-A-1;магнитное поле;03.11.2022 18:20;03.11.2022 18:29;",
        "KHB-A-2;clock_set;2022-11-03T04:00;;-3600",
    )

    first, again = (town("events", "import", file, "--json") for _ in range(2))
    listed = town("events", "list", "--tampering", "--json")

    assert (first.code, again.code) == (0, 0)
    assert (first.json["new"], again.json["new"], again.json["repeated"]) == (2, 0, 2)
    assert [(one["point"], one["kind"]) for one in listed.json["events"]] == [("KHB-A-1", "magnet")]
    assert listed.json["events"][0]["starts_at"] == "2022-11-03T08:20:00+00:00"


def test_a_line_that_cannot_be_placed_is_told_and_the_others_are_kept(town: Run, tmp_path: Path):
    file = events_file(
        tmp_path, "NOWHERE;magnet;2022-11-03T18:20;;", "KHB-A-1;magnet;2022-11-03T18:20;;"
    )

    ended = town("events", "import", file, language=Language.RUSSIAN)

    assert ended.code == 3
    assert "Строка 2: точка учёта или прибор не найдены" in ended.out
    assert town("events", "list", "--json").json["total"] == 1


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("KHB-A-1;earthquake;2022-11-03T18:20;;", "Line 2: 'earthquake' is not a kind of event"),
        ("KHB-A-1;magnet;yesterday;;", "is not a time such as"),
        ("KHB-A-1;magnet;2022-11-03T18:20;;7", "but this kind has none"),
        ("KHB-A-1;clock_set;2022-11-03T18:20;;soon", "is not a whole number"),
        ("KHB-A-1;magnet;2022-11-03T18:20", "there are 3 fields, not 5"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_whole(
    town: Run, tmp_path: Path, row: str, sentence: str
):
    file = events_file(tmp_path, row, "KHB-A-1;magnet;2022-11-03T18:20;;")

    ended = town("events", "import", file)

    assert ended.code == 1
    assert sentence in ended.err
    assert town("events", "list", "--json").json["total"] == 0


def test_a_check_finds_a_clock_and_a_person_accepts_it(town: Run, tmp_path: Path):
    file = events_file(tmp_path, "KHB-A-2;clock_set;2022-11-03T04:00;;-3600")
    assert town("events", "import", file).code == 0

    first = town("findings", "check", "--month", "2022-11", "--json")
    again = town("findings", "check", "--month", "2022-11", "--json")
    listed = town("findings", "list", "--kind", "clock_drift", "--json").json
    (found,) = listed["findings"]
    accepted = town("findings", "accept", found["id"], "--note", "часы заменены")
    twice = town("findings", "accept", found["id"], "--note", "ещё раз", "--json")

    assert (first.code, first.json["opened"]) == (3, 1)
    assert (again.code, again.json["opened"]) == (0, 0)
    assert listed["total"] == 1
    assert accepted.code == 0
    assert (twice.code, twice.json["closed_before"][0]["closed_by"]) == (3, "cli")

    assert town("findings", "reopen", found["id"]).code == 0
    assert town("findings", "reopen", found["id"]).code == 1


def test_a_period_is_recorded_counted_and_decided(town: Run):
    period = ("--from", "2022-11-03T08:00", "--until", "2022-11-03T20:00")
    act = ("--building", "KHB-B", "--flat", "1", "--service", "heat", "--document", "акт 17")
    cold = ("--kind", "room_temperature", "--measured", "16.5", "--key", "act-17")

    first = town("quality", "record", *act, *period, *cold)
    again = town("quality", "record", *act, *period, *cold)
    confirmed = town("quality", "confirm", "1")
    twice = town("quality", "reject", "1", "--note", "нет", language=Language.RUSSIAN)

    assert (first.code, again.code, confirmed.code) == (0, 0, 0)
    assert first.out == again.out == "Recorded under number 1.\n"
    assert (twice.code, twice.err) == (1, "Решение уже принял(а) cli: Подтверждено.\n")
    listed = town("quality", "list", "--month", "2022-11", "--json").json
    (one,) = listed["quality"]
    assert (one["state"], one["decided_by"]) == ("confirmed", "cli")
    (counted,) = one["counted"]
    assert (counted["item"], counted["counted_min"], counted["tenth_degree_minutes"]) == (
        "15",
        720,
        720 * 15,
    )


def test_a_period_that_lasts_is_ended(town: Run):
    lasting = ("--building", "KHB-A", "--service", "electricity", "--kind", "no_supply")
    assert town("quality", "record", *lasting, "--from", "2022-11-03T08:00").code == 0

    ended = town("quality", "end", "1", "--at", "2022-11-05T08:00")

    assert ended.code == 0
    (one,) = town("quality", "list", "--month", "2022-11", "--json").json["quality"]
    assert one["ends_at"] == "2022-11-04T22:00:00+00:00"
    assert [(c["item"], c["counted_min"]) for c in one["counted"]] == [("9", 24 * 60)]
