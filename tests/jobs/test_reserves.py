"""Reserves at the terminal: published, calculated, signed, paid, broken, reported."""

import os

import pytest

from kilokassa.core.text import Language
from kilokassa.jobs import cli
from kilokassa.jobs.console import Console
from tests.jobs.conftest import Ended
from tests.web.seed import PREPAID, build
from wallet.reserves.documents import EXAMPLE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("reserves")
    build(made).database.dispose()
    return made


@pytest.fixture
def run(folder, capfd):
    environ = {"KILOKASSA_VAR": str(folder), "PATH": os.environ["PATH"]}

    def run(*words, language=Language.ENGLISH):
        capfd.readouterr()
        code = cli.run(list(map(str, words)), Console(environ=environ, chosen=language))
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def test_a_reserve_is_lived_at_the_terminal(run):
    run("wallet", "top-up", PREPAID, "5000", "--tender", "bank", "--key", "pay-for-a-reserve")
    first = run("reserve", "sign", PREPAID, "half_year", "2000", "--key", "s1", "--json").json
    again = run("reserve", "sign", PREPAID, "half_year", "2000", "--key", "s1", "--json").json
    number = first["reserve"]
    more = run("reserve", "add", PREPAID, number, "1000", "--json").json
    loss = run("reserve", "take-out", PREPAID, number, "500", "--dry-run", "--json").json
    out = run("reserve", "take-out", PREPAID, number, "500", "--json").json
    paid = run("reserve", "pay", "--json").json
    shown = run("reserve", "show", PREPAID, "--json").json
    report = run(
        "reserve", "report", "--from", "2023-01-01", "--until", "2023-01-02", "--json"
    ).json

    assert (again["repeated"], more["kept_minor"], out["kept_minor"]) == (
        True,
        3_000_00,
        2_500_00,
    )
    assert loss["returning_minor"] == 500_00
    assert paid["payments"] == 0
    assert [one["amount_minor"] for one in shown[0]["movements"]] == [2_000_00, 1_000_00, -500_00]
    assert report["credit_known"]
    assert run("verify").code == 0


def test_an_offer_is_checked_then_published(run, tmp_path):
    file = tmp_path / "year.yaml"
    file.write_text(EXAMPLE.replace("half_year", "year").replace("months: 6", "months: 12"))

    checked = run("reserve", "publish", file, "--dry-run")
    done = run("reserve", "publish", file)
    again = run("reserve", "publish", file)
    listed = run("reserve", "offers", "year", language=Language.RUSSIAN).out

    assert "can be published" in checked.out
    assert "Published: year, version 1." in done.out
    assert "nothing changed" in again.out
    assert "12 мес." in listed


def test_the_calculator_says_what_breaking_costs(run):
    words = ("reserve", "calculate", "half_year", "10000", "--on", "2026-10-10")

    found = run(*words, "--broken-on", "2027-01-15", "--json").json
    told = run(*words).out

    assert found["bonus_minor"] == 598_36
    assert {"on": "2027-01-15"}.items() <= found["broken"][3].items()
    assert "The bonus is" in told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sign", PREPAID, "nowhere", "500"), "There is no reserve offer nowhere."),
        (("sign", PREPAID, "half_year", "9000000"), "The reserve"),
        (("sign", "0", "half_year", "500"), "There is no account 0."),
        (("take-out", PREPAID, "99", "500"), "There is no reserve 99."),
        (("credit-rate", "much", "--from", "2023-01-01"), "is not per cent a year such as 18.5"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(run, words, sentence):
    ended = run("reserve", *words)

    assert ended.code == 1
    assert sentence in ended.err
    assert len(ended.err.strip().splitlines()) == 1
