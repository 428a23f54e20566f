"""Set up the checkout: `make setup`. Needs Python 3.11 and its standard library, nothing else.

It makes `.venv`, installs what `requirements.lock` pins (with hashes), then the project itself, and
the system libraries where the user may do so. What it may not do is named in one sentence, with the
command that does it. A second run finds its stamp and ends at once.
"""

import argparse
import ctypes
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "set-up.stamp"
LOCK = ROOT / "requirements.lock"
DEPENDS_ON = (LOCK, ROOT / "setup.cfg", ROOT / "pyproject.toml", Path(__file__).resolve())

LIBRARIES = {
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libpangoft2-1.0.so.0": "libpangoft2-1.0-0",
    "libharfbuzz-subset.so.0": "libharfbuzz-subset0",
}
"""What PDFs need, by the Debian package that holds it; fonts are in the repository."""

TEST_TOOLS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "poppler-utils": ("pdftoppm",),
}
"""What the tests drive, by the Debian package that holds it: any of the programs will do."""


class CannotSetUp(Exception):
    """Something is missing that the user must install; the message is the whole sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up what is missing; return the exit code."""
    parser = argparse.ArgumentParser(prog="make setup", description=__doc__)
    parser.add_argument("--tests", action="store_true", help="what the tests drive, as well")
    parser.add_argument(
        "--again", action="store_true", help="install anew, whatever the stamp says"
    )
    options = parser.parse_args(arguments)
    try:
        check_python()
        install_packages(again=options.again)
        install_libraries()
    except CannotSetUp as problem:
        print(f"make setup: {problem}", file=sys.stderr)
        return 1
    if options.tests:
        try:
            install_test_tools()
        except CannotSetUp as problem:
            # The tests count and name what could not run; so this is no failure of its own.
            print(f"make setup: {problem}", file=sys.stderr)
    return 0


def check_python() -> None:
    """Refuse a Python that is too old, or one without `venv`, as Debian ships it."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file that any Python may run
        raise CannotSetUp(
            f"Python 3.11 or newer is needed and {sys.executable} is {sys.version.split()[0]}; "
            "name another one: make setup PYTHON=python3.11"
        )


def install_packages(*, again: bool = False) -> None:
    """Make the environment and install the pinned packages and the project, once."""
    wanted = _wanted_stamp()
    python = VENV / "bin" / "python"
    if not again and python.exists() and STAMP.is_file() and STAMP.read_text() == wanted:
        return
    if not (python.exists() and (VENV / "bin" / "pip").exists()):
        _make_environment()
    STAMP.unlink(missing_ok=True)
    _say("installing the pinned packages into .venv")
    if not _install_with_uv(python):
        _run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCK])
    _say("installing the project")
    options = ["--quiet", "--no-deps", "--no-build-isolation"]
    _run([python, "-m", "pip", "install", *options, "--editable", ROOT])
    STAMP.write_text(wanted)
    _say("done")


def install_libraries() -> None:
    """Install the system libraries that PDFs need, where the user may; else name them."""
    missing = {package for name, package in LIBRARIES.items() if not _has_library(name)}
    if missing:
        _install_system_packages(sorted(missing), "PDFs need them")


def install_test_tools() -> None:
    """Find what the tests drive besides Python, or install it where the user may."""
    missing = missing_test_tools()
    if missing:
        _install_system_packages(missing, "the tests need them")


def missing_test_tools() -> list[str]:
    """Return the Debian packages of the tools that the tests would miss."""
    return [package for package, names in TEST_TOOLS.items() if not _has_program(names)]


def _make_environment() -> None:
    if sys.prefix != sys.base_prefix and Path(sys.prefix) == VENV:
        raise CannotSetUp("leave the environment first: deactivate, then make setup")
    try:
        import ensurepip  # noqa: F401 - Debian leaves it out of python3
        import venv
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        _install_system_packages(["python3-venv"], f"Python {version} lacks its venv module")
        # This process has looked for the module already; a fresh one finds it.
        _say("making .venv")
        _run([sys.executable, "-m", "venv", "--clear", VENV])
        return
    _say("making .venv")
    venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(VENV)


def _install_with_uv(python: Path) -> bool:
    """Install with uv, ten times as fast as pip; say False where it cannot be had or fails."""
    uv = VENV / "bin" / "uv"
    if not uv.exists() and not _quietly([python, "-m", "pip", "install", "--quiet", "uv"]):
        return False
    # Every file is pinned by its hash, so it does not matter which index it comes from.
    options = ["--quiet", "--require-hashes", "--index-strategy", "unsafe-best-match"]
    command = [uv, "pip", "sync", *options, "--python", python, LOCK]
    return _quietly(command, environ=_index_of_pip(python))


def _index_of_pip(python: Path) -> dict[str, str]:
    """Return the variables that lead uv to where pip is set up to look: uv reads none of it."""
    environ = dict(os.environ)
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        found[key.rpartition(".")[2]] = value.strip().strip("'\"")
    for ours, theirs in (
        ("index-url", "UV_DEFAULT_INDEX"),
        ("extra-index-url", "UV_INDEX"),
        ("find-links", "UV_FIND_LINKS"),
        ("cert", "SSL_CERT_FILE"),
    ):
        if found.get(ours) and theirs not in environ:
            separator = "," if ours == "find-links" else " "
            environ[theirs] = separator.join(re.split(r"\\n|\s+", found[ours]))
    return environ


def _install_system_packages(packages: Sequence[str], why: str) -> None:
    """Install Debian packages as root or by a sudo that asks nothing; else say what to run."""
    command = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    names = ", ".join(packages)
    prefix: list[str] = []
    may = shutil.which("apt-get") is not None
    if may and os.geteuid() != 0:
        prefix = ["sudo", "-n"]
        may = shutil.which("sudo") is not None and _quietly(["sudo", "-n", "true"])
    if not may:
        raise CannotSetUp(f"{names} missing ({why}); run: sudo {command}")
    _say(f"installing {names}: {why}")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*prefix, *shlex.split(command)]
    if not _quietly(install, environ=environ):
        _quietly([*prefix, "apt-get", "update"], environ=environ)
        if not _quietly(install, environ=environ):
            raise CannotSetUp(f"{names} could not be installed ({why}); run: sudo {command}")


def _has_program(names: Iterable[str]) -> bool:
    return any(shutil.which(name) for name in names)


def _has_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _wanted_stamp() -> str:
    digest = hashlib.sha256(f"{sys.version}\n{VENV}\n".encode())
    for file in DEPENDS_ON:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _run(command: Iterable[object]) -> None:
    words = [str(word) for word in command]
    if subprocess.run(words, check=False).returncode != 0:
        raise CannotSetUp(f"this failed, see above: {shlex.join(words)}")


def _quietly(command: Iterable[object], environ: dict[str, str] | None = None) -> bool:
    words = [str(word) for word in command]
    try:
        ended = subprocess.run(words, capture_output=True, env=environ, check=False)
    except OSError:
        return False
    return ended.returncode == 0


def _say(text: str) -> None:
    print(f"make setup: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
