"""Values that no column holds are refused with a sentence, by both databases in the same way."""

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from kilokassa.db.session import Unstorable
from metering.models import BuildingRow, CompanyRow


@pytest.mark.parametrize("text", ["\ud800", "\0"])
def test_a_text_with_what_is_no_character_is_refused_or_not_found(database, text):
    with database.reading() as session:
        query = select(BuildingRow.id).where(BuildingRow.code == text)

        if database.is_sqlite and text == "\0":
            assert session.scalar(query) is None
        else:
            with pytest.raises(Unstorable):
                session.scalar(query)


def test_a_number_beyond_64_bits_is_refused(database):
    with database.reading() as session, pytest.raises(Unstorable):
        session.scalar(select(BuildingRow.id).where(BuildingRow.id == 10**20))


def test_a_statement_that_failed_is_told_without_its_values(database):
    secret = {"code": "Иванова Анна"}

    with pytest.raises(IntegrityError) as failed, database.writing() as session:
        session.execute(insert(CompanyRow), [secret])

    assert "NULL" in str(failed.value).upper()
    assert "[SQL parameters hidden" in str(failed.value)
