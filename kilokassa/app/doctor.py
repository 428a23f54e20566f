"""The state of an installation: what works, what is missing and what to do about it."""

import ctypes
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from billing.models import AccountRow, RetailerRow
from kilokassa.app import schema
from kilokassa.app.settings import PROCESS_POOL
from kilokassa.app.users import UserRow
from kilokassa.app.wiring import Application
from kilokassa.core.text import mark
from kilokassa.db.append_only import missing

NEEDED_LIBRARIES: Final = ("libpango-1.0.so.0", "libpangoft2-1.0.so.0")
WANTED_LIBRARIES: Final = ("libharfbuzz-subset.so.0",)
"""Without it a document takes 1.5 to 2 times as long."""

FREE_WANTED_BYTES: Final = 1 << 30


class State(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `message` is a template over `values`."""

    name: str
    state: State
    message: str
    values: dict[str, Any] = field(default_factory=dict)


def examine(application: Application) -> tuple[Check, ...]:
    """Look at everything that an installation needs; change nothing."""
    return tuple(_checks(application))


def _checks(application: Application) -> Iterator[Check]:
    yield Check("python", State.FINE, "%(version)s", {"version": sys.version.split()[0]})
    yield from _libraries()
    yield from _fonts()
    yield from _storage(application)
    yield from _database(application)
    settings = application.settings
    if settings.smtp is None:
        yield Check(
            "smtp",
            State.WARNING,
            mark("no mail server is set: notices go to files under %(folder)s"),
            {"folder": settings.var / "outbox"},
        )
    else:
        server = f"{settings.smtp.host}:{settings.smtp.port}"
        yield Check("smtp", State.FINE, "%(server)s", {"server": server})
    where = settings.executor
    if where == PROCESS_POOL:
        values = {"workers": settings.workers}
        yield Check("executor", State.FINE, mark("%(workers)s processes of this machine"), values)
    else:
        yield Check("executor", State.FINE, "%(address)s", {"address": where})


def _libraries() -> Iterator[Check]:
    missing = [name for name in NEEDED_LIBRARIES if not _loads(name)]
    slow = [name for name in WANTED_LIBRARIES if not _loads(name)]
    command = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
    values = {"names": ", ".join(missing or slow), "command": command}
    if missing:
        message = mark("%(names)s missing, no PDF can be made; run: %(command)s")
        yield Check("pango", State.PROBLEM, message, values)
    elif slow:
        message = mark("%(names)s missing, PDFs take up to twice as long; run: %(command)s")
        yield Check("pango", State.WARNING, message, values)
    else:
        yield Check("pango", State.FINE, mark("found"))


def _fonts() -> Iterator[Check]:
    shipped = [entry.name for entry in (files("invoices") / "fonts").iterdir()]
    found = [name for name in shipped if name.endswith(".ttf")]
    if found:
        yield Check("fonts", State.FINE, "%(names)s", {"names": ", ".join(sorted(found))})
    else:
        yield Check("fonts", State.PROBLEM, mark("the fonts of documents are not installed"))


def _storage(application: Application) -> Iterator[Check]:
    folder = application.settings.var
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        yield Check(
            "var",
            State.PROBLEM,
            mark("%(folder)s cannot be written: %(error)s"),
            {"folder": folder, "error": error.strerror},
        )
        return
    free = shutil.disk_usage(folder).free
    values = {"folder": folder, "free": free >> 20}
    state = State.FINE if free >= FREE_WANTED_BYTES else State.WARNING
    yield Check("var", state, mark("%(folder)s, %(free)s MiB free"), values)


def _database(application: Application) -> Iterator[Check]:
    database = application.database
    shown = {"url": database.url.render_as_string(hide_password=True)}
    try:
        step = schema.current(database)
    except SQLAlchemyError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        message = mark("%(url)s cannot be opened: %(error)s")
        yield Check("database", State.PROBLEM, message, {**shown, "error": cause})
        return
    yield Check("database", State.FINE, "%(url)s", shown)
    if step is None:
        message = mark("there is no installation yet; run: kilokassa init")
        yield Check("schema", State.PROBLEM, message)
        return
    if step != schema.newest():
        values = {"found": step, "needed": schema.newest()}
        message = mark("step %(found)s, not %(needed)s; run: kilokassa upgrade")
        yield Check("schema", State.PROBLEM, message, values)
        return
    yield Check("schema", State.FINE, mark("step %(found)s"), {"found": step})
    with application.database.reading() as session:
        lacking = missing(session.connection())
    if lacking:
        message = mark("tables that only grow can be changed: the triggers %(names)s are missing")
        yield Check("triggers", State.PROBLEM, message, {"names": ", ".join(lacking)})
    with database.reading() as session:
        retailer = session.get(RetailerRow, 1)
        accounts = session.scalar(select(func.count()).select_from(AccountRow))
        users = session.scalar(select(func.count()).where(UserRow.active))
    if retailer is None:
        message = mark("there is no installation yet; run: kilokassa init")
        yield Check("installation", State.PROBLEM, message)
        return
    about: dict[str, Any] = {
        "name": retailer.name,
        "zone": retailer.zone,
        "accounts": accounts,
    }
    message = mark("%(name)s, %(zone)s, %(accounts)s accounts")
    if retailer.demo:
        message = mark("%(name)s, %(zone)s, %(accounts)s accounts: this is a demo")
    yield Check("installation", State.FINE, message, about)
    if users:
        yield Check("users", State.FINE, "%(count)s", {"count": users})
    else:
        message = mark("nobody can sign in yet; run: kilokassa user add")
        yield Check("users", State.WARNING, message)


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
