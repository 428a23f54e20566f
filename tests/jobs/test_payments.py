from pathlib import Path

import pytest

from kilokassa.core.text import Language
from tests.frozen_town import ACCOUNTS
from tests.jobs.conftest import Run
from tests.jobs.test_by_hand import town as town

KNOWN = ACCOUNTS[0].number
ROWS = (
    "account;sum;date;transaction;payer\n"
    f"{KNOWN};100.00;2022-12-01;a;Иванов\n"
    "9999999999;7.07;2022-12-01;b;Петров\n"
    "x y;7.07;2022-12-01;c;\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.csv"
    path.write_text(ROWS)
    return path


def test_a_file_is_checked_taken_in_once_and_its_rest_is_matched_and_returned(
    town: Run, file: Path, tmp_path: Path
):
    control, wrong = tmp_path / "control.txt", tmp_path / "wrong.txt"
    control.write_text("registry.csv;3;114.14\n")
    wrong.write_text("registry.csv;3;114.15\n")

    refused = town("payments", "import", file, "--control", wrong, language=Language.RUSSIAN)
    seen = town("payments", "import", file, "--check", "--json")
    done = town("payments", "import", file, "--control", control, "--json")
    again = town("payments", "import", file)

    assert (refused.code, "ничего не принято" in refused.err) == (1, True)
    assert seen.code == done.code == again.code == 3
    assert seen.json["taken"] == done.json["taken"] == {"count": 1, "amount_minor": 100_00}
    assert done.json["suspense"] == {"count": 1, "amount_minor": 7_07}
    assert done.json["total_minor"] == 114_14
    assert "taken in before" in again.out
    assert "Line 4: wrong in this row: account «x y»." in again.err
    waiting = town("payments", "suspense", "--json").json["items"]
    assert [one["account_text"] for one in waiting] == ["9999999999"]
    number = waiting[0]["id"]
    assert "there is no account 9999999999" in town("payments", "suspense").out
    assert town("payments", "match", number, KNOWN).code == 0
    assert town("payments", "match", number, KNOWN, "--json").json["repeated"] is True
    assert town("payments", "unmatch", number, "--note", "wrong flat").code == 0
    assert town("payments", "return", number, "--note", "order 5").code == 0
    late = town("payments", "match", number, KNOWN)
    assert (late.code, "not in suspense" in late.err) == (1, True)
    assert town("payments", "list", "--state", "taken", "--json").json["total"] == 1
    assert town("payments", "files", "--json").json[0]["rows"] == 3
