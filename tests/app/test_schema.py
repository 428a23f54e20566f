import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from kilokassa.app import schema
from kilokassa.db.session import Database
from kilokassa.migrations.tables import metadata


def test_the_steps_lead_an_empty_database_to_what_the_models_say(bare_database: Database):
    assert schema.upgrade(bare_database)

    with bare_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    assert differences == [], "run `make migration NAME=what_changed` and read what it wrote"


def test_a_second_upgrade_finds_nothing_to_do(bare_database: Database):
    schema.upgrade(bare_database)

    assert not schema.upgrade(bare_database)
    assert schema.is_current(bare_database)


def test_a_database_without_tables_is_behind_and_empty(bare_database: Database):
    assert schema.is_empty(bare_database)
    with pytest.raises(schema.SchemaBehind):
        schema.demand_current(bare_database)


def test_a_step_of_the_future_is_refused_and_nothing_is_changed(bare_database: Database):
    schema.upgrade(bare_database)
    with bare_database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(schema.SchemaUnknown):
        schema.upgrade(bare_database)
    with pytest.raises(schema.SchemaUnknown):
        schema.demand_current(bare_database)


def test_steps_and_models_make_the_same_checks_and_storage_on_sqlite(
    tmp_path, sqlite_database: Database
):
    stepped = Database(f"sqlite:///{tmp_path / 'stepped.sqlite'}")
    schema.upgrade(stepped)

    assert _definitions(stepped) == _definitions(sqlite_database)


def _definitions(database: Database) -> dict[str, object]:
    """Return what comparing leaves out: CHECK constraints and tables without row ids."""
    inspector = inspect(database.engine)
    tables = set(inspector.get_table_names()) - {schema.VERSION_TABLE}
    with database.engine.connect() as connection:
        found = {
            name: (
                sorted(check["sqltext"] for check in inspector.get_check_constraints(name)),
                "WITHOUT ROWID"
                in connection.scalar(
                    text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}
                ),
            )
            for name in tables
        }
        triggers = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
        ).all()
    return found | {"triggers": [tuple(row) for row in triggers]}
