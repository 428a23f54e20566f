"""Any life of a reserve, on both databases: what is posted is what the offer makes of it."""

from contextlib import contextmanager
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url, select

from kilokassa.core.errors import DomainError
from kilokassa.db.session import Database
from tests.conftest import fresh_postgresql
from tests.wallet.builders import accounts_with_wallets, faults, without_waiting_for_the_disk
from tests.wallet.reserves_town import (
    OFFER,
    add,
    clock_on,
    pay,
    publish,
    reserve_faults,
    sign,
    signed,
    steps,
    take_out,
    topped_up,
)
from wallet.models import WalletRow
from wallet.reserves.reserve import project

FIRST = date(2027, 9, 1)
"""Lives that begin then pass through the whole of 2028, a leap year."""

LIVES = st.fixed_dictionaries(
    {
        "percent": st.sampled_from(["12", "0.01", "7.3333"]),
        "paid": st.sampled_from(["monthly", "at_end"]),
        "day_count": st.sampled_from(["real_year", "always_365"]),
        "broken": st.sampled_from(["all_lost", "unpaid_lost", "lower_rate\nbroken_percent: 0.005"]),
        "term": st.integers(1, 18),
        "signed_after": st.integers(0, 40),
        "moves": st.lists(
            st.tuples(
                st.integers(0, 60),
                st.sampled_from(["add", "out", "pay", "late"]),
                st.integers(1, 900_00),
            ),
            max_size=6,
        ),
    }
)


def live(database, life):
    """Live a life; a request that is refused leaves no trace. Return its last day."""
    text = OFFER
    for old, new in (
        ("2026-01-01", str(FIRST)),
        ("percent: 12", f"percent: {life['percent']}"),
        ("broken: lower_rate\nbroken_percent: 3", f"broken: {life['broken']}"),
        ("term_months: 6", f"term_months: {life['term']}"),
        ("least: 100.00", f"least: 0.01\npaid: {life['paid']}\nday_count: {life['day_count']}"),
    ):
        assert old in text
        text = text.replace(old, new)
    publish(database, text, clock_on(FIRST))
    topped_up(database, 5_000_00, FIRST)
    on = FIRST + timedelta(days=life["signed_after"])
    sign(database, 1_000_00, on)
    for number, (days, what, amount_minor) in enumerate(life["moves"]):
        on += timedelta(days=days)
        try:
            if what == "add":
                add(database, amount_minor, on, key=f"k{number}")
            elif what == "out":
                take_out(database, amount_minor, on, key=f"k{number}")
            else:
                pay(database, on, None if what == "late" else on - timedelta(days=3))
                pay(database, on)
        except DomainError:
            continue
    pay(database, on)
    return on


@contextmanager
def fresh(engine, request, tmp_path_factory):
    """A database for one life; hypothesis lives many in one test."""
    if engine == "sqlite":
        file = tmp_path_factory.mktemp("life") / "life.sqlite"
        file.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        made = Database(f"sqlite:///{file}")
        without_waiting_for_the_disk(made)
        yield made
        made.dispose()
        return
    server = request.getfixturevalue("postgresql_server")
    template = make_url(request.getfixturevalue("postgresql_template")).database
    with fresh_postgresql(server, template) as made:
        yield made


def check(database, on):
    found = signed(database)
    expected = project(found.reserve, on)
    assert (found.kept_minor, found.bonus_minor) == (expected.kept_minor, expected.bonus_minor)
    assert faults(database) == []
    assert reserve_faults(database) == []


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(life=LIVES)
def test_any_life_is_posted_as_it_is_projected(engine, request, tmp_path_factory, life):
    with fresh(engine, request, tmp_path_factory) as database:
        accounts_with_wallets(database, clock_on(FIRST), count=1)
        check(database, live(database, life))


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(life=LIVES)
def test_both_databases_keep_the_same_life(request, tmp_path_factory, life):
    kept = []
    for engine in ("sqlite", "postgresql"):
        with fresh(engine, request, tmp_path_factory) as database:
            accounts_with_wallets(database, clock_on(FIRST), count=1)
            live(database, life)
            with database.reading() as session:
                head = session.scalars(select(WalletRow.head_digest)).one()
            kept.append((steps(database), head))

    assert kept[0] == kept[1]
