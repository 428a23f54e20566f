"""The commands of estimates as a person runs them, on both databases."""

from pathlib import Path

import pytest

from tests.frozen_town import HEAT_PRICES, accounts_csv, readings_csv, tariff_documents
from tests.jobs.conftest import Run

NORMS = """\
code,commodity,valid_from,rooms,persons,quantity,source
city,electricity,2012-09-01,,,77,a test
"""


@pytest.fixture
def town(installed: Run, tmp_path: Path) -> Run:
    return loaded(installed, tmp_path, readings_csv())


def loaded(installed: Run, tmp_path: Path, readings: str) -> Run:
    """Load the frozen town with these half hours; nobody read the hand-read meter again."""
    for number, document in enumerate(tariff_documents()):
        file = tmp_path / f"tariff-{number}.yaml"
        file.write_text(document)
        assert installed("tariff", "publish", file).code == 0
    for day, per_gcal in HEAT_PRICES.items():
        installed("heat", "price", "heat", per_gcal, "--from", day, "--source", "S1")
    for name, text in (("accounts", accounts_csv()), ("readings", readings)):
        if not text:
            continue
        file = tmp_path / f"{name}.csv"
        file.write_text(text)
        ended = installed(name, "import", file)
        assert ended.code == 0, ended.err
    return installed


def test_norms_come_from_a_file_or_with_the_product_and_twice_without_harm(
    installed: Run, tmp_path: Path
):
    file = tmp_path / "norms.csv"
    file.write_text(NORMS)

    first = installed("estimates", "norms", "import", file, "--json")
    again = installed("estimates", "norms", "import", file)
    published = installed("estimates", "norms", "import", "--published", "--json")

    assert first.json == {"norms": 1, "new": 1, "changed": 0}
    assert again.out == "1 norms: 0 new, 0 changed.\n"
    assert published.json == {"norms": 60, "new": 60, "changed": 0}
    assert installed("estimates", "norms", "import").code == 2


def test_a_run_says_what_it_could_not_estimate(installed: Run, tmp_path: Path):
    town = loaded(installed, tmp_path, "")

    ended = town("estimates", "run", "--month", "2022-11", "--json")
    said = town("estimates", "run", "--month", "2022-11")
    listed = town("estimates", "list", "--month", "2022-11", "--json")

    assert (ended.code, said.code) == (3, 3)
    assert ended.json["left"] == [{"point": "KHB-A-8", "trigger": "missing_reading"}]
    assert said.out.endswith("  KHB-A-8: no rule has what it needs\n")
    assert listed.json == []


def test_a_house_without_norms_is_estimated_by_its_measured_flats(town: Run):
    ended = town("estimates", "run", "--month", "2022-11", "--account", "2799000008", "--json")
    listed = town("estimates", "list", "--month", "2022-11", "--json")

    (found,) = listed.json
    assert (ended.code, ended.json["registers"]) == (0, 2)
    assert (found["method"], found["account"]) == ("house_mean", "2799000008")
    assert found["quantity_kwh"] == ended.json["quantity_kwh"]


def test_a_gap_is_filled_listed_and_filled_once(installed: Run, tmp_path: Path):
    rows = readings_csv().splitlines()
    whole = [row for row in rows if not row.startswith("KHB-A-1;2022-11-16T10:")]
    town = loaded(installed, tmp_path, "\n".join(whole))

    first = town("estimates", "run", "--month", "2022-11", "--json")
    again = town("estimates", "run", "--month", "2022-11", "--json")
    listed = town("estimates", "list", "--month", "2022-11")

    assert len(rows) - len(whole) == 2
    assert (first.json["gaps"], again.json["gaps"]) == (1, 0)
    assert listed.out.startswith("KHB-A-1  ")
    assert "interpolated between known readings" in listed.out


def test_a_month_that_still_runs_is_refused(town: Run):
    ended = town("estimates", "run", "--month", "2030-01")

    assert ended.code == 1
    assert "is not over" in ended.err


def test_how_a_price_change_is_told_apart_is_shown_and_set(installed: Run):
    before = installed("price-split", "--json")
    after = installed("price-split", "days", "--json")
    stands = installed("price-split")

    assert before.json == {"price_split": "reading"}
    assert after.json == {"price_split": "days"}
    assert stands.out.endswith(": days\n")
    assert installed("price-split", "weeks").code == 2
