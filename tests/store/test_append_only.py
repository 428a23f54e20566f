"""Tables that only grow: the database itself refuses to change what was written."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kilokassa.app.schema import upgrade
from kilokassa.db.append_only import REFUSAL, missing
from tests.unguarded import lift_guards
from tests.wallet.builders import accounts_with_wallets, order
from wallet.service import top_up

CHANGES = (
    "UPDATE journal_entry SET amount_minor = 1, balance_after = balance_before + 1",
    "DELETE FROM journal_entry",
    "UPDATE posting SET amount_minor = 1",
    "DELETE FROM posting",
    "UPDATE lot SET expires_at = NULL",
    "DELETE FROM lot",
)


def test_every_step_of_the_schema_leaves_the_triggers_standing(bare_database):
    upgrade(bare_database)

    with bare_database.reading() as session:
        assert missing(session.connection()) == ()


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_to_change_a_ledger(database, clock, change):
    accounts_with_wallets(database, clock)
    with database.writing() as session:
        top_up(session, order(), clock)

    with pytest.raises(DBAPIError, match=REFUSAL), database.writing() as session:
        session.execute(text(change))


def test_what_a_lot_still_holds_may_change(database, clock):
    accounts_with_wallets(database, clock)
    with database.writing() as session:
        top_up(session, order(), clock)
        session.execute(text("UPDATE lot SET remaining_minor = 0"))


def test_a_trigger_that_somebody_dropped_is_missed(database):
    with database.writing() as session:
        lift_guards(session, ("posting",))

    with database.reading() as session:
        assert missing(session.connection()) == ("posting_no_update", "posting_no_delete")
