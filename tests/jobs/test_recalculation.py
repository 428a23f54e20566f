"""The command of recalculation, as a clerk runs it: look first, then post."""

import json
from pathlib import Path

import pytest

from tests.frozen_town import HEAT_PRICES, accounts_csv, readings_csv, tariff_documents
from tests.jobs.conftest import Run

PLAN = 1
"""The two-zone plan among the documents."""


@pytest.fixture
def learned(installed: Run, tmp_path: Path) -> Run:
    """The frozen town with two months closed, and then a price of one plan a kopeck dearer."""
    files = []
    for number, document in enumerate(tariff_documents()):
        file = tmp_path / f"tariff-{number}.yaml"
        file.write_text(document)
        assert installed("tariff", "publish", file).code == 0
        files.append(file)
    for day, per_gcal in HEAT_PRICES.items():
        price = ("heat", "price", "heat", per_gcal, "--from", day, "--source", "S1")
        assert installed(*price).code == 0
    for name, text in (("accounts", accounts_csv()), ("readings", readings_csv())):
        file = tmp_path / f"{name}.csv"
        file.write_text(text)
        assert installed(name, "import", file).code == 0
    for month in ("2022-11", "2022-12"):
        assert installed("bill", "--month", month).code == 0
    files[PLAN].write_text(files[PLAN].read_text().replace("7.42", "7.43"))
    assert installed("tariff", "publish", files[PLAN], "--replaces").code == 0
    return installed


def test_a_dry_run_says_what_would_be_posted_and_the_run_posts_it(learned: Run):
    looked = learned("recalculate", "--dry-run", "--json")
    posted = learned("recalculate", "--json")
    again = learned("recalculate")

    shown, report = json.loads(looked.out), json.loads(posted.out)
    assert {one["reason"] for one in shown["pending"]} == {"tariff"}
    assert {one["month"] for one in shown["pending"]} == {"2022-12"}
    assert report["difference_minor"] == shown["difference_minor"] > 0
    assert report["months"] == len(shown["pending"])
    assert all(number.startswith("D-") for number in report["documents"])
    assert again.out == "All closed months are as they should be.\n"


def test_a_person_reads_it_in_the_own_language(learned: Run):
    looked = learned("--lang", "ru", "recalculate", "--dry-run", "--account", "2799000003")

    assert "2022-12" in looked.out
    assert "Тариф опубликован за уже начисленные дни" in looked.out
    assert "1,98" in looked.out


def test_one_account_or_month_alone_is_put_right(learned: Run):
    nothing = learned("recalculate", "--month", "2022-11")
    one = learned("recalculate", "--account", "2799000003", "--json")

    assert nothing.out == "All closed months are as they should be.\n"
    assert json.loads(one.out)["corrected"] == 1


def test_what_does_not_exist_is_named(learned: Run):
    account = learned("recalculate", "--account", "0")
    month = learned("recalculate", "--month", "soon")

    assert (account.code, month.code) == (1, 2)
    assert "0" in account.err


def test_before_the_first_close_it_says_so(installed: Run):
    ended = installed("recalculate")

    assert (ended.code, ended.err) == (
        1,
        "No month is closed yet: there is nothing to recalculate.\n",
    )


def test_all_digests_are_right_after_it(learned: Run):
    learned("recalculate")

    assert learned("verify").code == 0
