"""Both processes start side by side, answer, and end together on Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from kilokassa.jobs import cli
from kilokassa.jobs.console import Console
from tests.jobs.conftest import RETAILER

SERVE = (
    "import sys; from kilokassa.jobs.console import Console;"
    "from kilokassa.jobs.serving import _serve_side_by_side;"
    "_serve_side_by_side(Console(), int(sys.argv[1]))"
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    made = {"KILOKASSA_VAR": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": root}
    assert cli.run(["init", *RETAILER], Console(environ=made)) == 0
    return made


def test_ctrl_c_stops_the_pages_and_the_scheduler(environ: dict[str, str]):
    port = _free_port()
    running = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    answered = _health(port)
    children = _children(running.pid)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)

    assert '"status":"ok"' in answered.replace(" ", ""), err
    assert f"http://127.0.0.1:{port}/" in out
    assert len(children) == 2
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert running.returncode == 0


def test_a_port_that_is_taken_is_named_before_anything_starts(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code = cli.run(["--lang", "en", "serve", "--port", str(port)], Console(environ=environ))

    assert code == 1
    assert f"Port {port} is taken" in capsys.readouterr().err


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _health(port: int) -> str:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
                return answer.read().decode()
        except OSError:  # not there yet, or slow to answer
            time.sleep(0.1)
    return ""


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
