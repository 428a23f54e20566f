"""The list of packages is true, and each says what it owns."""

import ast
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APART = {"tests", "bench", "scripts", "build", "var", "docs", "examples"}


def test_every_package_is_listed_by_name_and_exists():
    listed = set(_setup()["options"]["packages"].split())

    found = {
        file.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for file in ROOT.rglob("__init__.py")
        if not (set(file.relative_to(ROOT).parts) & APART)
        and not file.relative_to(ROOT).parts[0].startswith(".")
    }
    assert listed == found


def test_each_package_says_what_it_owns():
    silent = []
    for package in _setup()["options"]["packages"].split():
        tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text())
        if not ast.get_docstring(tree):
            silent.append(package)

    assert silent == []


def test_what_runs_is_what_is_declared():
    """Each package of the runtime is in the lock that the checkout is set up from."""
    declared = {
        line.split(">")[0].split("[")[0].split("<")[0].strip().lower()
        for line in _setup()["options"]["install_requires"].splitlines()
        if line.strip()
    }
    lock = (ROOT / "requirements.lock").read_text()
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line}

    assert declared <= locked
    assert "://" not in lock, "an address of a registry has no place in the lock"


def _setup() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser
