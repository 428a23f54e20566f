"""What is installed elsewhere, without the checkout, founds an installation."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INIT = [
    "init",
    "--name=АО «Проба»",
    "--inn=7707083893",
    "--bank-name=ПАО Банк",
    "--bic=044525225",
    "--bank-account=40702810900000000001",
    "--correspondent-account=30101810400000000225",
    "--zone=Asia/Vladivostok",
    "--languages=ru,en",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: what lies about in the checkout does not get in."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "bench/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    target = tmp_path_factory.mktemp("wheel")
    _run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, source],
        target,
    )
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_what_runs_and_no_tests(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()

    for wanted in (
        "wsgi.py",
        "kilokassa/py.typed",
        "kilokassa/migrations/alembic.ini",
        "kilokassa/migrations/env.py",
        "kilokassa/locale/ru/cli.po",
        "kilokassa/demo/data/khabarovsk_prices.csv",
        "metering/rules/estimation.yaml",
        "metering/rules/standard_profiles.csv",
        "invoices/fonts/PTSans_400Regular.ttf",
        "invoices/templates/payment_document.html",
    ):
        assert wanted in names
    for kind in ("kilokassa/web/templates/", "kilokassa/web/static/", "notices/templates/"):
        assert any(name.startswith(kind) for name in names), kind
    assert any(name.startswith("kilokassa/migrations/versions/0001") for name in names)
    assert not [name for name in names if name.startswith(("tests", "bench", "scripts"))]


def test_init_runs_from_the_wheel_installed_elsewhere(wheel: Path, tmp_path: Path):
    home = tmp_path / "venv"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(home)
    python = home / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    _run([*pip, "--no-deps", "--no-index", wheel], tmp_path)
    # The dependencies come from this environment; the project itself must not.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [home / "bin" / "kilokassa"]

    _run([*command, *INIT], tmp_path)
    said = _run([*command, "doctor"], tmp_path)
    where = _run([python, "-c", "import kilokassa; print(kilokassa.__file__)"], tmp_path)

    assert str(home) in where
    assert (tmp_path / "var" / "kilokassa.sqlite").is_file()
    assert "АО «Проба»" in said


def _run(command: list[object], folder: Path) -> str:
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
