"""Explaining a charge line at the terminal."""

import os

import pytest

from kilokassa.core.text import Language
from kilokassa.jobs import cli
from kilokassa.jobs.console import Console
from tests.jobs.conftest import Ended
from tests.web.seed import BY_HAND, PREPAID, build


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("explained")
    build(made).database.dispose()
    return made


@pytest.fixture
def explain(folder, capfd):
    environ = {"KILOKASSA_VAR": str(folder), "PATH": os.environ["PATH"]}

    def run(*words, language=Language.ENGLISH):
        capfd.readouterr()
        words = ["explain", *map(str, words)]
        code = cli.run(words, Console(environ=environ, chosen=language))
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def test_a_clerk_follows_a_line_with_a_calculator(explain):
    listed = explain("--account", PREPAID, "--month", "2022-12", "--json").json
    line_id = next(one["line"] for one in listed if one["line_key"].startswith("night"))

    ended = explain(line_id)
    russian = explain(line_id, language=Language.RUSSIAN)

    assert ended.code == 0
    told = ended.out.replace("\u00a0", " ")
    assert f"Line {line_id}, account {PREPAID}, December 2022: Night" in told
    assert "38.457 kWh × ₽2.07/kWh = ₽79.60599" in told
    assert "rounded once, half up, to kopecks: ₽79.61" in told
    assert told.count("revision 1") == 32
    assert "the same kopeck, from inputs with the same digest" in told
    assert "38,457 кВт·ч × 2,07 ₽/кВт·ч = 79,60599 ₽" in russian.out.replace("\u00a0", " ")


def test_intervals_come_when_asked_for(explain):
    (line_id,) = (
        one["line"]
        for one in explain("--account", PREPAID, "--month", "2022-12", "--json").json
        if one["line_key"].startswith("night")
    )

    plain, full = explain(line_id, "--json").json, explain(line_id, "--json", "--intervals").json

    assert "intervals" not in plain
    assert sum(part["energy_wh"] for part in full["intervals"]) == full["quantity"] == 38_457
    assert plain["digest"] == full["digest"]
    assert plain["replay"]["verdict"] == "same"
    assert "2022-12-31" in explain(line_id, "--intervals", "--json").out


def test_the_lines_of_an_account_are_listed_with_their_numbers(explain):
    ended = explain("--account", BY_HAND)

    assert ended.code == 0
    assert len(ended.out.splitlines()) == 4
    assert all("Electricity, " in row for row in ended.out.splitlines())
    assert not any("/" in row for row in ended.out.splitlines()), "a key is for programs"


@pytest.mark.parametrize("words", [(), (1, "--account", PREPAID), (0,), ("x",)])
def test_what_is_not_a_line_is_wrong_usage(explain, words):
    assert explain(*words).code == 2


def test_a_line_or_account_that_is_not_there_is_refused_in_one_sentence(explain):
    for words in ((999_999,), (10**30,), ("--account", "none")):
        ended = explain(*words)

        assert (ended.code, ended.out) == (1, "")
        assert len(ended.err.splitlines()) == 1
