"""A process killed between any two statements loses nothing and repeats nothing."""

import os
import random
import signal
from contextlib import suppress
from datetime import date

import pytest
from sqlalchemy import event

from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import AccountId
from kilokassa.db.session import Database
from tests.wallet.builders import (
    NOVEMBER,
    OCTOBER,
    ZONE,
    accounts_with_wallets,
    at,
    batch,
    charge,
    close,
    faults,
    order,
    without_waiting_for_the_disk,
)
from wallet.ledger import Reason
from wallet.service import (
    OpeningOrder,
    ReverseOrder,
    charge_batch,
    expire_lots,
    post_opening,
    reverse_top_up,
    seal,
    top_up,
)
from wallet.topups import BonusRule

RULE = BonusRule("five", 500_00, 500, date(2026, 1, 1), expires_after_days=20)
ACCOUNTS = 4


def opening(session):
    orders = [OpeningOrder(AccountId(2), 70_00, 0, at((10, 1)), ZONE, "import")]
    post_opening(session, orders, FixedClock(at((10, 1))))


def pay(account_id, amount_minor, key, day):
    def deed(session):
        paid = order(account_id, amount_minor, key, valid_at=at(day), bonus_rules=(RULE,))
        return top_up(session, paid, FixedClock(at(day)))

    return deed


def close_october(session):
    orders = [charge(n, 150_00 * n) for n in range(1, ACCOUNTS + 1)]
    charge_batch(session, close(*orders), FixedClock(at((11, 2))))


def correct_october(session):
    orders = [
        charge(n, -40_00 * n, OCTOBER, idempotency_key=f"fix:{n}", reason=Reason.CORRECTION)
        for n in (1, 3)
    ]
    charge_batch(session, batch(*orders), FixedClock(at((11, 3))))


def expire(session):
    expire_lots(
        session, [AccountId(n) for n in range(1, ACCOUNTS + 1)], ZONE, FixedClock(at((11, 20)))
    )


def void(session):
    paid = pay(3, 900_00, "c", (10, 9))(session)
    reverse_top_up(
        session,
        ReverseOrder(AccountId(3), paid.entry_id, "bounced", at((11, 21)), ZONE, "user:1", "void"),
        FixedClock(at((11, 21))),
    )


def close_november(session):
    orders = [charge(n, 20_00 * n, NOVEMBER) for n in range(1, ACCOUNTS + 1)]
    charge_batch(session, close(*orders, month=NOVEMBER), FixedClock(at((12, 2))))


DEEDS = (
    opening,
    pay(1, 600_00, "a", (10, 5)),
    pay(2, 30_00, "b", (10, 6)),
    pay(3, 900_00, "c", (10, 9)),
    close_october,
    correct_october,
    pay(4, 1000_00, "d", (11, 4)),
    expire,
    void,
    close_november,
)
"""Two months of a small house; each deed is one transaction and may be repeated."""


def live(database):
    for deed in DEEDS:
        with database.writing() as session:
            deed(session)


def head(database):
    with database.writing() as session:
        return seal(session, date(2026, 12, 31), FixedClock(at((12, 31))))


class Steps:
    """Counts the statements and commits of a database; kills the process at one of them."""

    def __init__(self, database):
        self.count = 0
        self.kill_at = None
        event.listen(database.engine, "before_cursor_execute", self.step)
        event.listen(database.engine, "commit", self.step)

    def step(self, *_):
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def live_until_killed(database, steps, kill_at):
    """Live in a child process that dies at step `kill_at`; return how it ended.

    The child inherits compiled statements and no connection, as none is kept open.
    """
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            steps.count, steps.kill_at = 0, kill_at
            live(database)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    return status


@pytest.mark.parametrize(
    "trials", [20, pytest.param(200, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_a_process_killed_at_any_statement_loses_and_repeats_nothing(
    sqlite_template, tmp_path, trials
):
    file = tmp_path / "killed.sqlite"
    file.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{file}")
    without_waiting_for_the_disk(database)
    accounts_with_wallets(database, FixedClock(at((10, 1))), count=ACCOUNTS)
    founded = file.read_bytes()
    assert not leftovers(file)
    steps = Steps(database)
    live(database)
    last = steps.count
    expected = head(database)
    chance = random.Random(20_261_124)

    for _ in range(trials):
        kills = chance.randint(1, last), chance.randint(1, last)
        file.write_bytes(founded)

        first = live_until_killed(database, steps, kills[0])
        second = live_until_killed(database, steps, kills[1])

        assert os.WTERMSIG(first) == signal.SIGKILL
        # The second begins where the first was stopped, and may be done before its turn to die.
        assert os.WIFSIGNALED(second) or os.WEXITSTATUS(second) == 0
        assert faults(database) == [], kills
        live(database)
        assert head(database) == expected, kills
        assert faults(database) == [], kills
        assert not leftovers(file)
    database.dispose()


def leftovers(file):
    """The log of a database whose last connection has closed is gone."""
    return [other.name for other in file.parent.glob(f"{file.name}-*")]
