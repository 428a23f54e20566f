"""The command that writes readings to files."""

from pathlib import Path

import polars as pl
import pytest

from tests.frozen_town import HEAT_PRICES, accounts_csv, readings_csv, tariff_documents
from tests.jobs.conftest import Run


@pytest.fixture
def town(installed: Run, tmp_path: Path) -> Run:
    """The frozen town with its readings."""
    for number, document in enumerate(tariff_documents()):
        file = tmp_path / f"tariff-{number}.yaml"
        file.write_text(document)
        assert installed("tariff", "publish", file).code == 0
    for day, per_gcal in HEAT_PRICES.items():
        ended = installed("heat", "price", "heat", per_gcal, "--from", day, "--source", "S1")
        assert ended.code == 0, ended.err
    for command, text in (("accounts", accounts_csv()), ("readings", readings_csv())):
        file = tmp_path / f"{command}.csv"
        file.write_text(text)
        ended = installed(command, "import", file)
        assert ended.code == 0, ended.err
    return installed


DAYS = ("--from", "2022-12-01", "--to", "2022-12-02")


def test_a_file_is_written_and_counted(town: Run, tmp_path: Path):
    ended = town("readings", "export", "--format", "parquet", *DAYS, tmp_path / "out.parquet")

    assert ended.code == 0, ended.err
    count = len(pl.read_parquet(tmp_path / "out.parquet"))
    assert f"Files: 1, values: {count}." in ended.out
    assert count > 0


def test_80020_is_a_folder_whose_files_are_named_in_json(town: Run, tmp_path: Path):
    ended = town("readings", "export", "--format", "80020", *DAYS, tmp_path / "out", "--json")

    files = ended.json["files"]
    assert ended.code == 0
    assert [Path(file).name.split("_")[2] for file in files] == ["20221201", "20221202"]
    assert all(Path(file).is_file() for file in files)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--format", "csv", "--from", "2022-12-02", "--to", "2022-12-01"), 1, "ends before it"),
        (("--format", "csv", *DAYS, "--building", "X"), 1, "There is no building X."),
        (("--format", "csv", "--from", "soon", "--to", "2022-12-01"), 2, "is not a day such as"),
        (("--format", "xls", *DAYS), 2, "Invalid value for '--format'"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_sentence(
    town: Run, tmp_path: Path, arguments, code, sentence
):
    ended = town("readings", "export", *arguments, tmp_path / "out.csv")

    assert ended.code == code
    assert sentence in ended.err
    assert not (tmp_path / "out.csv").exists()


def test_a_folder_that_is_not_there_is_named(town: Run, tmp_path: Path):
    ended = town("readings", "export", "--format", "csv", *DAYS, tmp_path / "no" / "out.csv")

    assert ended.code == 1
    assert str(tmp_path / "no") in ended.err
