"""The scripts that set up and check: their last line counts and names what was left out."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPORT = """<testsuites><testsuite>
<testcase name="a"/>
<testcase name="b"><skipped message="the load series are not beside the checkout"/></testcase>
<testcase name="c"><skipped message="the load series are not beside the checkout"/></testcase>
<testcase name="d"><failure message="no"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import check as module

    yield module
    for name in ("check", "setup"):
        sys.modules.pop(name, None)


def test_the_last_line_says_when_nothing_was_left_out(check):
    line = check._summary(["format", "lint"], [], Counter())

    assert line == "checks: 2 passed, 0 failed; nothing was left out"


def test_the_last_line_counts_and_names_what_was_left_out(check, tmp_path: Path):
    report = tmp_path / "report.xml"
    report.write_text(REPORT)

    line = check._summary(["format"], ["tests"], check._skipped(report))

    assert line == (
        "checks: 1 passed, 1 failed (tests); "
        "left out: 2 x the load series are not beside the checkout"
    )


def test_set_up_needs_the_standard_library_alone():
    code = "import sys; sys.path.insert(0, 'scripts'); import setup"

    ended = subprocess.run([sys.executable, "-S", "-I", "-c", code], cwd=ROOT, check=False)

    assert ended.returncode == 0


def test_make_alone_lists_the_targets():
    listed = subprocess.run(
        ["make", "--no-print-directory", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    for target in ("setup", "fix", "check", "test", "test-all", "run", "demo", "bench", "docs"):
        assert f"make {target} " in listed


def test_continuous_integration_runs_what_everyone_runs():
    script = (ROOT / ".ci" / "run").read_text()

    assert script.rstrip().endswith("CI=true exec make test")
