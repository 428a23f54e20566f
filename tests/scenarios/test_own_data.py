"""From an empty installation and files to a correct PDF, by commands alone and without any demo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

ROOT = Path(__file__).parents[2]
INIT = (
    *("init", "--name", "ООО «Свет»", "--inn", "2700000024", "--bank-name", "ПАО БАНК"),
    *("--bic", "040813999", "--bank-account", "40702810000000000027"),
    *("--correspondent-account", "30101810000000000999", "--zone", "Asia/Vladivostok"),
    *("--languages", "ru,en"),
)
ACCOUNTS = """\
account;payer;building;address;premises;area_m2;persons;point;meter_serial;interval;plan;\
settlement;opened_on;opening_debt
1000000001;Авдеев Пётр Ильич;D-1;г. Хабаровск, ул. Новая, д. 1;7;31,2;2;D-1-7;E-0001;60;two_zone;\
postpaid;01.09.2026;100,50
#TOTAL;1;100,50;0
"""


class Installation:
    """The `kilokassa` command over a folder of its own, each call a process."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "KILOKASSA_VAR": str(folder / "var"),
            "KILOKASSA_LANGUAGE": "en",
            "LANG": "C.UTF-8",
        }
        if url is not None:
            self.environ["KILOKASSA_DATABASE_URL"] = url

    def run(self, *arguments, code=0, given=""):
        done = subprocess.run(
            [sys.executable, "-m", "kilokassa.jobs.cli", "--lang", "en", *map(str, arguments)],
            cwd=self.folder,
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout if code == 0 else done.stderr

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def installation(tmp_path):
    return Installation(tmp_path, None)


def readings() -> str:
    """One kilowatt flat through September: 480 kWh by day, 240 by night."""
    lines = ["точка;время;значение"]
    lines += [
        f"D-1-7;{day:02d}.09.2026 {hour:02d}:00;1,000" for day in range(1, 31) for hour in range(24)
    ]
    return "\n".join(lines) + "\n"


def test_files_become_a_correct_pdf(installation, tmp_path):
    run = installation.run
    run(*INIT)
    run("tariff", "publish", ROOT / "examples/tariffs/khabarovsk-two-zone.yaml")
    accounts = installation.file("accounts.csv", ACCOUNTS)

    dry = json.loads(run("accounts", "import", accounts, "--dry-run", "--json"))
    first = json.loads(run("accounts", "import", accounts, "--json"))
    again = json.loads(run("accounts", "import", accounts, "--json"))
    loaded = json.loads(
        run("readings", "import", installation.file("september.csv", readings()), "--json")
    )
    billed = json.loads(run("bill", "--month", "2026-09", "--json"))
    billed_again = json.loads(run("bill", "--month", "2026-09", "--json"))
    listed = run("document", "list", "1000000001")
    number = next(word for word in listed.split() if word.startswith("2026-"))
    run("document", "pdf", number, "-o", tmp_path / "bill.pdf")

    assert (dry["new"], first["new"], again["new"]) == (1, 1, 0) or dry["new"] == ["1000000001"]
    assert loaded["new"] == 720
    # 480 kWh at 7.42 and 240 kWh at 2.07: 3561.60 + 496.80; with the debt 4158.90 is to be paid.
    assert (billed["charged"], billed["amount_minor"]) == (1, 4058_40)
    assert (billed_again["charged"], billed_again["already_closed"]) == (0, 1)
    page = "".join(p.extract_text() for p in PdfReader(tmp_path / "bill.pdf").pages)
    words = page.replace("\xa0", " ")
    for expected in ("Авдеев Пётр Ильич", "480", "7,42", "3 561,60", "496,80", "4 158,90"):
        assert expected in words
    assert "ДЕМО" not in words
    assert "right" in run("verify")


def test_nobody_can_sign_in_until_a_user_is_added(installation):
    installation.run(*INIT)

    doctor = installation.run("doctor")
    installation.run(
        "user", "add", "anna@example.org", "--role", "operator", given="a-long-password\n"
    )

    assert "kilokassa user add" in doctor
    assert "kilokassa user add" not in installation.run("doctor")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bill", "--month", "2026-9"), "2026-9"),
        (("wallet", "top-up", "1000000001", "-5", "--tender", "cash", "--key", "k"), "-5"),
        (("wallet", "show", "9999999999"), "9999999999"),
        (("document", "pdf", "2026-999999"), "2026-999999"),
    ],
)
def test_a_bad_request_is_one_sentence_and_no_traceback(installation, arguments, says):
    installation.run(*INIT)

    done = subprocess.run(
        [sys.executable, "-m", "kilokassa.jobs.cli", "--lang", "en", *arguments],
        cwd=installation.folder,
        env=installation.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode in {1, 2}
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_import_that_is_wrong_in_one_line_loads_nothing(installation):
    run = installation.run
    run(*INIT)
    run("tariff", "publish", ROOT / "examples/tariffs/khabarovsk-two-zone.yaml")
    wrong = installation.file("wrong.csv", ACCOUNTS.replace("31,2", "wide"))

    refused = run("accounts", "import", wrong, code=1)
    latin = installation.folder / "latin.csv"
    latin.write_bytes(readings().encode("utf-16"))
    encoded = run("readings", "import", latin, code=1)

    assert "Line 2, field area_m2" in refused
    assert "UTF-8" in encoded
