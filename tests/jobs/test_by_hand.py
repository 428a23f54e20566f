"""Commands about readings by hand, as a person runs them, on both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from tests.frozen_town import accounts_csv, heat_prices, registers_csv, tariff_documents
from tests.jobs.conftest import Run


@pytest.fixture
def town(installed: Run, tmp_path: Path) -> Run:
    """The frozen town with what its hand-read meter showed."""
    for number, document in enumerate(tariff_documents()):
        file = tmp_path / f"tariff-{number}.yaml"
        file.write_text(document)
        assert installed("tariff", "publish", file).code == 0
    for price in heat_prices():
        rate = price.rate_scaled / 10**6
        installed("heat", "price", "heat", rate, "--from", price.valid_from, "--source", "S1")
    for name, text in (("accounts", accounts_csv()), ("readings", registers_csv())):
        file = tmp_path / f"{name}.csv"
        file.write_text(text)
        ended = installed(name, "import", file)
        assert ended.code in (0, 3), ended.err
    return installed


def yesterday() -> str:
    return (datetime.now(UTC) - timedelta(days=1)).date().isoformat()  # noqa: TID251


def test_a_walk_round_is_opened_entered_and_closed(town: Run, tmp_path: Path):
    photo = tmp_path / "meter.png"
    Image.new("RGB", (60, 40)).save(photo)
    opened = town("walk-rounds", "open", "KHB-A", "--day", yesterday(), "--json").json
    round_id = opened["id"]

    entered = town(
        "walk-rounds", "enter", round_id, "E-0008", "day=9000", "night=5000", "--photo", photo
    )
    shown = town("walk-rounds", "show", round_id, "--json").json
    listed = town("walk-rounds", "list", "--json").json
    closed = town("walk-rounds", "close", round_id)
    late = town("walk-rounds", "enter", round_id, "E-0008", "day=9001")

    assert (entered.code, entered.out) == (0, "Stored.\n")
    assert (shown["done"], shown["whole"]) == (1, 1)
    line = shown["lines"][0]
    assert (line["outcome"], line["photo"]) == ("read", 1)
    assert [one["reading"] for one in line["registers"]] == ["9000", "5000"]
    assert (listed["total"], listed["items"][0]["done"]) == (1, 1)
    assert closed.code == 0
    assert (late.code, "closed" in late.err) == (1, True)


def test_what_is_unlikely_is_entered_with_a_confirmation(town: Run):
    round_id = town("walk-rounds", "open", "KHB-A", "--day", yesterday(), "--json").json["id"]

    asked = town("walk-rounds", "enter", round_id, "E-0008", "day=900000")
    taken = town("walk-rounds", "enter", round_id, "E-0008", "day=900000", "--confirm")
    less = town("walk-rounds", "enter", round_id, "E-0008", "day=5")

    assert asked.code == 3
    assert "enter it with --confirm" in asked.err
    assert taken.code == 0
    assert less.code == 3
    assert "less than" in less.err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("E-0008",), 2, "give readings, or an outcome"),
        (("E-9999", "5"), 1, "There is no meter E-9999."),
        (("E-0008", "dusk=5"), 1, "E-0008: the meter has no register of the zone dusk"),
        (("E-0008", "day=x"), 1, "E-0008: 'x' is not what a meter shows"),
    ],
)
def test_what_cannot_be_entered_is_said(town: Run, words, code, sentence):
    round_id = town("walk-rounds", "open", "KHB-A", "--day", yesterday(), "--json").json["id"]

    ended = town("walk-rounds", "enter", round_id, *words)

    assert ended.code == code
    assert sentence in ended.err


def test_an_outcome_is_entered_with_a_note(town: Run):
    round_id = town("walk-rounds", "open", "KHB-A", "--day", yesterday(), "--json").json["id"]

    town("walk-rounds", "enter", round_id, "E-0008", "--outcome", "no_access", "--note", "собака")

    line = town("walk-rounds", "show", round_id, "--json").json["lines"][0]
    assert (line["outcome"], line["note"]) == ("no_access", "собака")


def test_the_days_are_shown_set_and_shown_again(town: Run):
    shipped = town("readings", "window", "show")

    done = town("readings", "window", "set", "--from", 10, "--to", 20, "--building", "KHB-A")
    shown = town("readings", "window", "show", "--json").json
    wrong = town("readings", "window", "set", "--from", 30, "--to", 20)

    assert "KHB-A: days 15 to 25" in shipped.out
    assert "not checked against your contracts" in shipped.err
    assert (done.code, done.out) == (0, "The days are set.\n")
    assert {one["building"]: (one["first_day"], one["confidence"]) for one in shown} == {
        "KHB-A": (10, "setting"), "KHB-B": (15, "memory"),
    }  # fmt: skip
    assert wrong.code == 1


def test_reminding_again_changes_nothing(town: Run):
    town("readings", "window", "set", "--from", 1, "--to", 31, "--remind", 20)

    first = town("readings", "remind", "--json").json
    again = town("readings", "remind", "--json").json

    assert again["written"] == 0
    assert first["houses"] == again["houses"]
