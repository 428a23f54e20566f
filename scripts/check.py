"""Run the checks in order of their price and say in the last line what could not run.

`make test` runs all of it, `make check` all but the tests, `make test-all` the slow tests as well.
With `CI` set, nothing may be missing; the load series, which lie beside the checkout, apart.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree as ET

import setup

BIN = setup.VENV / "bin"
PYTHON = str(BIN / "python")
LOAD_SERIES = "load series"
"""Every skip of a test on them says these words in its reason."""

SHARES: tuple[tuple[str, ...], ...] = (
    ("tests/store",),
    ("tests/web", "tests/browser"),
    ("tests/scenarios",),
    ("tests/jobs",),
    ("tests/demo", "tests/app"),
)
"""Tests that run together, the longest first; all others are the last share.

Each core takes the next share when it is done with one. Each has a database server of its own, and
what is set up for a session is set up within one share alone.
"""
PROCESSES = 2
NO_TESTS = 5
"""What pytest returns where every test of a share was left out by its mark."""

CHECKS: tuple[tuple[str, list[str]], ...] = (
    ("format", [PYTHON, "-m", "ruff", "format", "--check", "--quiet", "."]),
    ("lint", [PYTHON, "-m", "ruff", "check", "--quiet", "."]),
    ("import contracts", [str(BIN / "lint-imports"), "--no-cache"]),
    ("types", [PYTHON, "-m", "mypy", "--no-error-summary"]),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 0 only where everything passed and nothing may be missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-tests", action="store_true", help="all but the tests")
    parser.add_argument("--slow", action="store_true", help="the slow tests as well")
    parser.add_argument("rest", nargs="*", help="passed on to pytest")
    options = parser.parse_args(arguments)
    os.chdir(setup.ROOT)
    passed: list[str] = []
    failed: list[str] = []
    left_out: Counter[str] = Counter()
    for name, command in CHECKS:
        (passed if _step(name, command) else failed).append(name)
    if not options.no_tests:
        fine, left_out = _tests(slow=options.slow, rest=options.rest)
        (passed if fine else failed).append("tests")
    allowed = not _in_ci() or all(LOAD_SERIES in reason for reason in left_out)
    if left_out and not allowed:
        failed.append("nothing may be left out here")
    print()
    print(_summary(passed, failed, left_out))
    return 1 if failed else 0


def _step(name: str, command: list[str]) -> bool:
    begun = time.monotonic()
    print(f"== {name}", flush=True)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        print(ended.stdout, ended.stderr, sep="", flush=True)
    outcome = "passed" if ended.returncode == 0 else "FAILED"
    print(f"   {outcome} in {time.monotonic() - begun:.1f} s", flush=True)
    return ended.returncode == 0


def _tests(*, slow: bool, rest: list[str]) -> tuple[bool, Counter[str]]:
    """Run the shares of the tests; return whether all passed, and what was left out."""
    print("== tests: SQLite, PostgreSQL, Chromium", flush=True)
    begun = time.monotonic()
    left_out: Counter[str] = Counter()
    marks = [] if slow else ["not slow"]
    if "chromium" in setup.missing_test_tools():
        marks.append("not browser")
        left_out["every test in a browser (no Chromium; run: apt-get install chromium)"] += 1
    chosen = ["-m", " and ".join(marks)] if marks else []
    others = [f"--ignore={folder}" for share in SHARES for folder in share]
    shares = [rest] if rest else [*map(list, SHARES), others]
    with tempfile.TemporaryDirectory() as temporary:
        reports = [Path(temporary) / f"{number}.xml" for number in range(len(shares))]
        with ThreadPoolExecutor(PROCESSES) as pool:
            work = [[*chosen, f"--junit-xml={r}", *s] for r, s in zip(reports, shares, strict=True)]
            fine = list(pool.map(_run_share, work))
        written = [report for report in reports if report.exists()]
        for report in written:
            left_out += _skipped(report)
        print(_counted(written), f"in {time.monotonic() - begun:.0f} s", flush=True)
    return all(fine) and len(written) == len(shares), left_out


def _run_share(arguments: list[str]) -> bool:
    """Run one share and print what it said, whole, when it is done."""
    command = [PYTHON, "-m", "pytest", "-q", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    print(ended.stdout, ended.stderr, sep="", flush=True)
    return ended.returncode in (0, NO_TESTS)


def _counted(reports: Sequence[Path]) -> str:
    """Return the counts of all the reports together, as pytest words them."""
    counts: Counter[str] = Counter()
    for report in reports:
        for suite in ET.parse(report).iter("testsuite"):
            for name in ("tests", "failures", "errors", "skipped"):
                counts[name] += int(suite.get(name, 0))
    wrong = counts["failures"] + counts["errors"]
    passed = counts["tests"] - wrong - counts["skipped"]
    return f"tests: {passed} passed, {wrong} failed, {counts['skipped']} skipped"


def _skipped(report: Path) -> Counter[str]:
    """Count the skipped tests of a JUnit report by the reason they gave."""
    found: Counter[str] = Counter()
    for case in ET.parse(report).iter("testcase"):
        for skipped in case.findall("skipped"):
            found[(skipped.get("message") or "no reason given").strip()] += 1
    return found


def _summary(passed: list[str], failed: list[str], left_out: Counter[str]) -> str:
    counts = f"checks: {len(passed)} passed, {len(failed)} failed"
    if failed:
        counts += f" ({', '.join(failed)})"
    if not left_out:
        return f"{counts}; nothing was left out"
    named = "; ".join(f"{count} x {reason}" for reason, count in sorted(left_out.items()))
    return f"{counts}; left out: {named}"


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


if __name__ == "__main__":
    if shutil.which(PYTHON) is None:
        sys.exit("the checkout is not set up; run: make setup")
    sys.exit(main())
