"""Comparing, choosing and rehearsing as commands."""

import json

import pytest

from kilokassa.app.wiring import Application
from kilokassa.jobs.console import Console
from tests.app.test_comparing import publish_plans
from tests.app.test_rehearsing import DEARER
from tests.web import seed


@pytest.fixture
def town(tmp_path):
    made = publish_plans(seed.build(tmp_path))
    yield made
    made.database.dispose()


@pytest.fixture
def command(town: Application, capsys):
    from kilokassa.jobs.cli import run as run_command

    def ran(*arguments):
        console = Console({"LANG": "en_US.UTF-8"}, _application=town)
        code = run_command([str(argument) for argument in arguments], console)
        told = capsys.readouterr()
        return code, told.out, told.err

    return ran


def test_an_account_is_compared_and_changes_its_plan(command):
    code, told, _ = command("compare", seed.PREPAID)
    assert code == 0
    assert "Two zones *" in told
    assert "The plan Digital would have saved" in told

    code, told, _ = command("choose-plan", seed.PREPAID, "digital", "--json")
    assert (code, json.loads(told)["next_plan"]) == (0, "digital")
    code, told, _ = command("choose-plan", seed.PREPAID, "two_zone")
    assert told == f"The account {seed.PREPAID} keeps its plan.\n"
    code, _, refused = command("choose-plan", seed.PREPAID, "closed")
    assert (code, refused) == (
        1,
        "The plan closed cannot be chosen: it is not open to this account.\n",
    )


def test_a_tariff_is_rehearsed_into_files_of_every_kind(command, tmp_path):
    document = tmp_path / "new.yaml"
    document.write_text(DEARER)
    asked = ("rehearse", "--plan", "two_zone", "--with", document, "--months", "2022-11..2022-12")

    for kind in ("html", "pdf", "csv", "json"):
        out = tmp_path / f"report.{kind}"
        code, told, refused = command(*asked, "--out", out)
        assert code == 0, refused
        assert "4 accounts pay" in told
        assert out.stat().st_size > 200
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["figures"]["accounts"] == 4
    assert report["losers"][0]["account"] in (tmp_path / "report.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--plan", "two_zone"), 2, "one of each"),
        (("--plan", "two_zone", "--with", "nobody"), 1, "There is no tariff plan nobody."),
        (("--plan", "two_zone", "--with", "single", "--months", "2022-13"), 1, "not a month"),
        (("--plan", "two_zone", "--with", "single", "--out", "r.exe"), 2, "html, pdf"),
        (("--go-on", "99"), 1, "There is no rehearsal 99."),
    ],
)
def test_a_wrong_order_is_one_sentence(command, arguments, code, words):
    ended, _, refused = command("rehearse", *arguments)

    assert ended == code
    assert words in refused
