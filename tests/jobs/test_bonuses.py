"""Bonus rules and campaigns at the terminal."""

import os

import pytest

from kilokassa.core.text import Language
from kilokassa.jobs import cli
from kilokassa.jobs.console import Console
from tests.jobs.conftest import Ended
from tests.web.seed import PREPAID, build

RULE = """\
rule: owl
name: За ночь
name_en: For the night
kind: moved_to_night
from: 2099-01-01
expires_after_days: 30
campaign: far
terms: {rate: 1.25}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bonuses")
    build(made).database.dispose()
    return made


@pytest.fixture
def bonus(folder, capfd):
    environ = {"KILOKASSA_VAR": str(folder), "PATH": os.environ["PATH"]}

    def run(*words, language=Language.ENGLISH):
        capfd.readouterr()
        words = ["bonus", *map(str, words)]
        code = cli.run(words, Console(environ=environ, chosen=language))
        captured = capfd.readouterr()
        return Ended(code, captured.out.replace("\u00a0", " "), captured.err)

    return run


@pytest.fixture
def rule(tmp_path):
    file = tmp_path / "owl.yaml"
    file.write_text(RULE, encoding="utf-8")
    return file


def test_an_analyst_begins_a_campaign_checks_a_rule_and_publishes_it_once(bonus, rule):
    early = bonus("publish", rule)
    asked = ("begin-campaign", "far", "--name", "Даль", "--budget", "100,50")
    days = ("--from", "2099-01-01", "--until", "2099-06-01", "--json")
    begun, again = bonus(*asked, *days).json, bonus(*asked, *days).json
    checked = bonus("check", rule)
    first, second = bonus("publish", rule, "--json").json, bonus("publish", rule)

    assert (early.code, "campaign far" in early.err) == (1, True)
    assert (begun["new"], begun["budget_minor"], again["new"]) == (True, 100_50, False)
    assert "1.25 ₽ for each kWh moved to the night" in checked.out
    assert (first["new"], first["version"], first["campaign"]) == (True, 1, "far")
    assert "nothing changed" in second.out
    assert "owl" in {one["rule"] for one in bonus("rules", "--all", "--json").json}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("rate: 1.25", "rate: '1,25'", "rate"),
        ("rate: 1.25", "rat: 1.25", "rate"),
        ("kind: moved_to_night", "kind: moved", "kind"),
        ("rule: owl", "rule: OWL", "rule"),
        ("from: 2099-01-01", "from: 2099-02-30", "from"),
        ("name: За ночь", "nam: За ночь", "name"),
        ("campaign: far", "until: 2098-01-01", "until"),
    ],
)
def test_a_wrong_rule_is_refused_by_its_field(bonus, rule, old, new, named):
    rule.write_text(RULE.replace(old, new), encoding="utf-8")

    ended = bonus("check", rule)

    assert ended.code == 1
    assert "owl.yaml" in ended.err
    assert named in ended.err


def test_what_accounts_and_campaigns_got_is_told_in_both_languages(bonus):
    listed = bonus("campaigns", "w23", "--json").json
    granted = bonus("grants", PREPAID, "--json").json
    told = bonus("grants", PREPAID, language=Language.RUSSIAN)
    rules = bonus("rules")

    assert listed["granted_minor"] + listed["left_minor"] == 500_00
    assert sum(one["amount_minor"] for one in listed["by_day"]) == listed["granted_minor"] > 0
    # 4500 roubles came on the second of January: three per cent are 135, and 110 were left.
    assert ("s3", 110_00) in {(one["rule"], one["amount_minor"]) for one in granted["grants"]}
    assert "Поступило пополнение" in told.out
    assert "₽20.00 for every 2 months in a row without debt" in rules.out


def test_a_month_is_judged_again_without_a_change(bonus):
    report = bonus("grant-month", "2022-12", "--json").json

    assert (report["month"], report["grants"]) == ("2022-12", 0)
    assert report["accounts"] > 0
