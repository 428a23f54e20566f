"""Debts at the terminal: debtors, one debt, flags, agreements, late fees, deciding anew."""

import os

import pytest

from kilokassa.core.text import Language
from kilokassa.jobs import cli
from kilokassa.jobs.console import REFUSED, USAGE, Console
from tests.jobs.conftest import Ended
from tests.web.seed import DEBTOR, build


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("debts")
    build(made).database.dispose()
    return made


@pytest.fixture
def debt(folder, capfd):
    environ = {"KILOKASSA_VAR": str(folder), "PATH": os.environ["PATH"]}

    def run(*words, language=Language.ENGLISH, **more):
        capfd.readouterr()
        words = ["debt", *map(str, words)]
        code = cli.run(words, Console(environ=environ | more, chosen=language))
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def test_services_are_decided_and_debtors_listed_with_every_guard(debt):
    debt("decide")
    again = debt("decide", "--json").json
    (listed,) = [
        one
        for one in debt("list", "--json").json
        if one["account"] == DEBTOR and one["service"] == "electricity"
    ]
    shown = debt("show", DEBTOR).out

    assert again["changed"] == 0
    assert "vulnerable" in {held["guard"] for held in listed["held_by"]}
    assert "it is not known whether: a vulnerable person lives here" in shown


def test_a_flag_is_stated_listed_and_taken_back(debt):
    stated = debt("flag", DEBTOR, "vulnerable", "no", "--document", "visit", "--json").json
    number = stated["flags"][0]["id"]
    back = debt("flag", DEBTOR, "vulnerable", "--withdraw", number, "--json").json
    refused = debt("flag", DEBTOR, "guard_set", "none")

    assert stated["changed"]
    assert not back["flags"][0]["stands"]
    assert refused.code == REFUSED
    assert "there is no guard set 'none'" in refused.err


def test_an_agreement_is_computed_before_it_is_signed(debt):
    terms = ("--months", 4, "--first-due", "2099-01-15")
    computed = debt("agreement", DEBTOR, *terms, "--dry-run", "--json").json
    wrong = debt("agreement", DEBTOR, "--months", 4)

    assert len(computed["schedule"]) == 4
    assert computed["agreements"] == []
    assert wrong.code == USAGE


def test_late_fees_are_told_and_posted_only_where_that_is_switched_on(debt):
    told = debt("late-fees", "--through", "2023-03-31", "--json").json
    posted = debt(
        "late-fees", "--through", "2023-03-31", "--json", KILOKASSA_CHARGE_LATE_FEES="1"
    ).json
    again = debt(
        "late-fees", "--through", "2023-03-31", "--json", KILOKASSA_CHARGE_LATE_FEES="1"
    ).json

    assert told["charged_minor"] > 0
    assert not told["charging"]
    assert posted["charged_minor"] == told["charged_minor"]
    assert again["charged_minor"] == 0
