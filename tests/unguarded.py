"""What an intruder with an owner's rights does first: drop the triggers of append-only tables."""

from sqlalchemy import text
from sqlalchemy.orm import Session

LEDGER = ("journal_entry", "posting", "lot", "draw", "daily_seal")


def lift_guards(session: Session, tables: tuple[str, ...] = LEDGER) -> None:
    """Let rows of the tables be changed and deleted, as the database itself would not."""
    on = "" if session.get_bind().dialect.name == "sqlite" else ' ON "{}"'
    for table in tables:
        for what in ("no_update", "no_delete"):
            session.execute(text(f"DROP TRIGGER {table}_{what}{on.format(table)}"))
