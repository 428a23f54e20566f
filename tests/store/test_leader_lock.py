import os
import signal
import subprocess
import sys

from kilokassa.db.locks import LeaderLock
from kilokassa.db.session import Database


def test_of_two_only_one_leads_and_the_other_follows_it(database: Database):
    first, second = LeaderLock(database), LeaderLock(Database(_url(database)))

    assert first.acquire()
    assert first.acquire(), "who leads goes on leading"
    assert not second.acquire()

    first.release()

    assert second.acquire()
    assert second.is_held()
    assert not first.is_held()
    second.release()
    second._database.dispose()


def test_a_leader_that_is_killed_frees_the_lead(database: Database):
    code = (
        "import sys; from kilokassa.db.locks import LeaderLock;"
        "from kilokassa.db.session import Database;"
        "lock = LeaderLock(Database(sys.argv[1])); print(lock.acquire(), flush=True);"
        "sys.stdin.read()"
    )
    leader = subprocess.Popen(
        [sys.executable, "-c", code, _url(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert leader.stdout is not None
    assert leader.stdout.readline() == "True\n"
    lock = LeaderLock(database)
    assert not lock.acquire()

    os.kill(leader.pid, signal.SIGKILL)
    leader.communicate()

    assert _eventually(lock.acquire)
    lock.release()


def test_a_lost_connection_has_lost_the_lead(postgresql_database: Database):
    lock = LeaderLock(postgresql_database)
    assert lock.acquire()

    with postgresql_database.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        )

    assert not lock.is_held()


def _eventually(ask) -> bool:
    import time

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if ask():
            return True
        time.sleep(0.05)
    return False


def _url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)
