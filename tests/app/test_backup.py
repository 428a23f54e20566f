import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from billing.service import RetailerOrder
from kilokassa.app.backup import FileExists, NotABackup, NotEmpty, back_up, restore
from kilokassa.app.installation import install
from kilokassa.app.settings import Settings
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.db.session import Database
from metering.models import CompanyRow


@pytest.fixture
def application(tmp_path: Path, clock: FixedClock) -> Application:
    database = Database(f"sqlite:///{tmp_path / 'kilokassa.sqlite'}")
    made = Application(Settings.from_env({"KILOKASSA_VAR": str(tmp_path)}), database, clock)
    order = RetailerOrder(
        name="АО «Проба»",
        inn="7707083893",
        bank_name="ПАО Банк",
        bic="044525225",
        bank_account="40702810900000000001",
        correspondent_account="30101810400000000225",
        zone="Asia/Vladivostok",
        languages=("ru",),
    )
    install(made, order)
    return made


def test_a_backup_is_one_file_and_leaves_nothing_beside_it(application: Application, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()

    size = back_up(application.database, folder / "a.backup")
    restore(application, folder / "a.backup", replace=True)

    assert [file.name for file in folder.iterdir()] == ["a.backup"]
    assert size == (folder / "a.backup").stat().st_size
    with pytest.raises(FileExists):
        back_up(application.database, folder / "a.backup")


def test_a_backup_is_whole_though_others_write_all_the_while(application: Application, tmp_path):
    database = application.database
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with database.writing() as session:
                rows = [{"code": f"{number}-{n}", "name": "x" * 500, "inn": ""} for n in range(2)]
                session.execute(insert(CompanyRow), rows)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            back_up(database, tmp_path / f"{number}.backup")
    finally:
        stop.set()
        writer.join()

    for number in range(3):
        copy = Database(f"sqlite:///{tmp_path / f'{number}.backup'}")
        with copy.reading() as session:
            pairs = session.execute(text("SELECT count(*) FROM company")).scalar()
            sound = session.execute(text("PRAGMA integrity_check")).scalar()
        assert (pairs % 2, sound) == (0, "ok")


def test_readers_see_the_old_state_or_the_restored_one(application: Application, tmp_path):
    back_up(application.database, tmp_path / "a.backup")
    with application.database.writing() as session:
        session.execute(insert(CompanyRow), [{"code": "late", "name": "late", "inn": ""}])

    with pytest.raises(NotEmpty):
        restore(application, tmp_path / "a.backup", replace=False)
    with application.database.reading() as session:
        before = session.execute(text("SELECT count(*) FROM company")).scalar()
    restore(application, tmp_path / "a.backup", replace=True)
    with application.database.reading() as session:
        after = session.execute(text("SELECT count(*) FROM company")).scalar()

    assert (before, after) == (1, 0)


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_damaged_file_is_refused_and_nothing_changed(
    application: Application, tmp_path: Path, damage: str
):
    file = tmp_path / "a.backup"
    back_up(application.database, file)
    content = file.read_bytes()
    file.write_bytes(
        {"cut": content[: len(content) // 2], "other": b"PGDMP" + content[5:], "empty": b""}[damage]
    )

    with pytest.raises(NotABackup):
        restore(application, file, replace=True)

    with application.database.reading() as session:
        assert session.execute(text("SELECT name FROM retailer")).scalar() == "АО «Проба»"
