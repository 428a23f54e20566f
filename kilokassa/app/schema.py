"""The schema of a database: which step it has reached, and the way to the newest."""

from importlib.resources import as_file, files
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from kilokassa.core.errors import DomainError
from kilokassa.db.session import Database

VERSION_TABLE: Final = "alembic_version"


class SchemaBehind(DomainError):
    """The database has not taken the steps that this version of the product needs."""

    code = "schema_behind"
    template = "The database is at step %(found)s, not at %(needed)s; run `kilokassa upgrade`."


class SchemaUnknown(DomainError):
    """The database was written by a newer version of the product, or by something else."""

    code = "schema_unknown"
    template = "The database is at step %(found)s, which this version of Kilokassa does not know."


def upgrade(database: Database) -> bool:
    """Take the steps that are missing; say whether there were any. All of them, or none."""
    found = current(database)
    if found == newest():
        return False
    if found is not None and found not in _known():
        raise SchemaUnknown(found=found)
    with as_file(files("kilokassa.migrations")) as folder:
        command.upgrade(config_for(database, str(folder)), "head")
    return True


def current(database: Database) -> str | None:
    """Return the step that the database has reached; None where it has no schema yet."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """Return the newest step that this version of the product knows."""
    head = _scripts().get_current_head()
    assert head is not None, "the product ships at least one step"
    return head


def is_current(database: Database) -> bool:
    """Say whether the database has taken every step and no other."""
    return current(database) == newest()


def demand_current(database: Database) -> None:
    """Refuse a database that is not at the newest step."""
    found = current(database)
    if found != newest():
        if found is not None and found not in _known():
            raise SchemaUnknown(found=found)
        raise SchemaBehind(found=found or "-", needed=newest())


def is_empty(database: Database) -> bool:
    """Say whether the database has no table, or no installation in its tables."""
    if not inspect(database.engine).has_table("retailer"):
        return True
    with database.reading() as session:
        return session.execute(text("SELECT 1 FROM retailer")).first() is None


def config_for(database: Database, folder: str) -> Config:
    """Return Alembic's configuration for `database`, with the scripts in `folder`."""
    config = Config(f"{folder}/alembic.ini")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["database"] = database
    return config


def _scripts() -> ScriptDirectory:
    with as_file(files("kilokassa.migrations")) as folder:
        config = Config(f"{folder}/alembic.ini")
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        return ScriptDirectory.from_config(config)


def _known() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}
