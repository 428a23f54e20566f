"""Commands that go on: serve, scheduler, and the demo that starts both side by side."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from kilokassa.core.errors import DomainError
from kilokassa.core.text import gettext, mark
from kilokassa.jobs.console import Console, emit, json_option, pass_console

HOST: Final = "127.0.0.1"
LOAD_SERIES: Final = Path("..") / "shared" / "data" / "meters"
"""Where real load series lie beside the checkout, if they do."""

STARTED_WITHIN_S: Final = 30.0
STOPPED_WITHIN_S: Final = 20.0


class PortTaken(DomainError):
    """Something listens on the port already."""

    code = "port_taken"
    template = "Port %(port)s is taken; name another one: PORT=8001"


class PartEnded(DomainError):
    """One of the processes that serve ended by itself."""

    code = "part_ended"
    template = "`kilokassa %(part)s` ended with the code %(exit_code)s; see above."


@click.command()
@click.option("--host", default=HOST, show_default=True, help="Address to listen on.")
@click.option("--port", type=int, help="Port; else PORT, else 8000.")
@click.option("--processes", default=2, show_default=True, help="Web processes.")
@click.option("--threads", default=4, show_default=True, help="Threads of each.")
@pass_console
def serve(console: Console, host: str, port: int | None, processes: int, threads: int) -> None:
    """Serve the console, the account page and the API until stopped.

    Put a reverse proxy with TLS before it where others than yourself may reach it.

    Example: PORT=8080 kilokassa serve
    """
    from kilokassa.jobs.server import serve_forever

    application = console.installed
    bound = port or application.settings.port
    _demand_free(host, bound)
    serve_forever(application, host=host, port=bound, processes=processes, threads=threads)


@click.command()
@click.option("--once", help="Run one job now and end.", metavar="JOB")
@pass_console
def scheduler(console: Console, once: str | None) -> None:
    """Run the jobs: notices, live rating, expiries, daily seals; until stopped.

    Several may run on one database: one leads, the others wait.

    Example: kilokassa scheduler --once send_notices
    """
    from kilokassa.app.upkeep import JOBS
    from kilokassa.jobs.jobs import run_job
    from kilokassa.jobs.scheduler import run_scheduler, stop_on_signals

    application = console.installed
    if once is None:
        run_scheduler(application, stop_on_signals())
        return
    if once not in {job.name for job in JOBS}:
        names = ", ".join(job.name for job in JOBS)
        raise click.BadParameter(f"{once!r} is none of: {names}", param_hint="--once")
    run_job(console, once)


@click.command()
@click.option("--serve", "serving", is_flag=True, help="Then serve it, with the scheduler.")
@click.option("--documents", is_flag=True, help="Then write the PDFs of the last closed month.")
@click.option(
    "--load-series",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with real load series; they become accounts of their own.",
)
@json_option
@pass_console
def demo(
    console: Console,
    serving: bool,
    documents: bool,
    load_series: Path | None,
    as_json: bool,
) -> None:
    """Load the demo town, or append the days since, and bill it.

    The town is made from published load profiles and prices; nobody lives there. Its log-ins exist
    in a database marked as a demo and nowhere else.

    Example: kilokassa demo --serve
    """
    from kilokassa.app import schema
    from kilokassa.demo.town import ensure_demo

    application = console.application
    port = application.settings.port
    if serving:
        _demand_free(HOST, port)
    schema.upgrade(application.database)
    begun = time.monotonic()
    folder = load_series or (LOAD_SERIES if LOAD_SERIES.is_dir() else None)
    report = ensure_demo(
        application,
        load_series=folder,
        echo=lambda message: console.warn("%(said)s", said=gettext(message, console.language)),
    )
    facts: dict[str, Any] = {
        "accounts": report.accounts,
        "last_closed": report.last_closed,
        "days_added": report.days_added,
        "months_closed": report.months_closed,
        "seconds": round(time.monotonic() - begun, 1),
        "logins": [
            {"role": login.role, "email": login.email, "password": login.password}
            for login in report.logins
        ],
    }
    if not as_json:
        console.say(
            mark(
                "Demo town: %(accounts)s accounts, closed up to %(last_closed)s; this time "
                "%(days_added)s days were added and %(months_closed)s months closed "
                "in %(seconds)s s."
            ),
            **facts,
        )
    if documents:
        target = application.settings.var / "documents" / str(report.last_closed)
        facts["documents"] = _write_documents(console, report.last_closed, target)
        facts["folder"] = target
    if as_json:
        emit(facts)
    else:
        _say_logins(console, facts["logins"])
        if documents:
            console.say(
                mark(
                    "%(documents)s PDFs of %(last_closed)s, one an account, are under %(folder)s."
                ),
                **facts,
            )
    if serving:
        _serve_side_by_side(console, port)


def _write_documents(console: Console, month: Any, target: Path) -> int:  # noqa: ANN401 - a Month
    from kilokassa.app.documents import write_pdfs
    from kilokassa.app.executor import open_executor

    application = console.application
    with (
        open_executor(application.settings) as executor,
        console.progress(mark("documents")) as progress,
    ):
        return write_pdfs(
            application.database,
            executor,
            month=month,
            folder=target,
            progress=progress,
            workers=application.settings.workers,
        )


def _say_logins(console: Console, logins: Sequence[Mapping[str, str]]) -> None:
    console.say(mark("Log-ins of the demo:"))
    for login in logins:
        click.echo(f"  {login['role']:<14} {login['email']:<24} {login['password']}")


def _serve_side_by_side(console: Console, port: int) -> None:
    """Start both processes, wait for the pages to answer, and stop both on Ctrl-C."""
    application = console.application
    application.database.dispose()
    environ = {**os.environ, "PORT": str(port)}
    command = [sys.executable, "-m", "kilokassa.jobs.cli"]
    # Sessions of their own: Ctrl-C reaches this process, which stops them in order.
    parts = {
        name: subprocess.Popen([*command, name], env=environ, start_new_session=True)  # noqa: S603
        for name in ("serve", "scheduler")
    }
    asked = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _await_answer(parts["serve"], port)
        address = f"http://{HOST}:{port}"
        console.say(mark("Console and account page: %(address)s"), address=f"{address}/")
        console.say(mark("HTTP API: %(address)s"), address=f"{address}/api/docs")
        console.say(mark("Ctrl-C stops it."))
        sys.stdout.flush()
        while all(part.poll() is None for part in parts.values()):
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.warn(mark("Stopping…"))
        return
    finally:
        signal.signal(signal.SIGTERM, asked)
        _stop(parts)
    name, part = next((n, p) for n, p in parts.items() if p.returncode is not None)
    raise PartEnded(part=name, exit_code=part.returncode)


def _stop(parts: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
    for part in parts.values():
        if part.poll() is None:
            part.terminate()
    deadline = time.monotonic() + STOPPED_WITHIN_S
    for part in parts.values():
        try:
            part.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            part.kill()
            part.wait()


def _await_answer(part: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline and part.poll() is None:
        if _answers(HOST, port):
            return
        time.sleep(0.1)


def _demand_free(host: str, port: int) -> None:
    if _answers(host, port):
        raise PortTaken(port=port)


def _answers(host: str, port: int) -> bool:
    import socket

    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


COMMANDS = (serve, scheduler, demo)
