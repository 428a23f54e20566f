"""Facts of an account at the terminal: stated, looked at, taken back."""

import os

import pytest

from kilokassa.core.text import Language
from kilokassa.jobs import cli
from kilokassa.jobs.console import Console
from tests.jobs.conftest import Ended
from tests.web.seed import PREPAID, build


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("facts")
    build(made).database.dispose()
    return made


@pytest.fixture
def account(folder, capfd):
    environ = {"KILOKASSA_VAR": str(folder), "PATH": os.environ["PATH"]}

    def run(*words, language=Language.ENGLISH):
        capfd.readouterr()
        words = ["account", *map(str, words)]
        code = cli.run(words, Console(environ=environ, chosen=language))
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def test_a_clerk_states_what_changed_and_reads_its_history(account):
    grown = account("persons", PREPAID, 4, "--from", "2022-12-11", "--document", "act 7")
    again = account("persons", PREPAID, 4, "--from", "2022-12-11", "--document", "act 7", "--json")
    surveyed = account(
        "area", PREPAID, "61,7", "--handed-in", "2022-12-20", "--document", "EGRN 99", "--json"
    )
    history = account("history", PREPAID).out.replace("\u00a0", " ")

    assert "recalculated for it: December 2022" in grown.out
    assert again.json == {"changed": False, "closed_months": []}
    assert surveyed.json["changed"]
    assert "Persons registered" in history
    assert "4  act 7" in history
    assert "61.7 m²  EGRN 99" in history


def test_what_is_taken_back_stays_in_the_history(account):
    account("absence", PREPAID, "--from", "2022-12-01", "--until", "2022-12-09", "--document", "A")
    listed = account("history", PREPAID, "--json").json
    number = next(one["id"] for one in listed if one["subject"] == "absence")

    gone = account("withdraw", PREPAID, "absence", number, "--json").json
    history = account("history", PREPAID, language=Language.RUSSIAN).out

    assert gone["changed"]
    assert "больше не действует" in history


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("persons", PREPAID, "many", "--from", "2022-12-01"), "is not a number such as 3"),
        (("power", PREPAID, "0", "--from", "2022-12-01"), "more than zero"),
        (("plan", PREPAID, "nowhere", "--from", "2022-12-01"), "nowhere"),
        (("persons", "0", "1", "--from", "2022-12-01"), "There is no account 0."),
        (("withdraw", PREPAID, "plan", "0"), "There is no stated fact 0."),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(account, words, sentence):
    ended = account(*words)

    assert ended.code == 1
    assert sentence in ended.err
    assert len(ended.err.strip().splitlines()) == 1
