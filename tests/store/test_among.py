"""Long lists of ids as a condition: the same rows, however the ids lie."""

from datetime import date, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from kilokassa.db.slices import among
from metering.days import whole_days
from metering.models import IntervalDayRow
from metering.registry.places import Building, Channel, MeteringPoint, PlacesOrder
from metering.registry.service import register_places
from metering.store import write_days

DAYS = [date(2026, 10, 1) + timedelta(days=n) for n in range(3)]


@pytest.mark.parametrize("chosen", [[], [0], [0, 1, 2, 3], [1, 2], [0, 2], [0, 1, 3]])
def test_the_days_of_some_channels_are_found_by_any_list_of_them(database, clock, chosen):
    codes = [f"P{n}" for n in range(4)]
    order = PlacesOrder(
        buildings=(Building("B1", "Ленина 1", "Asia/Vladivostok"),),
        points=tuple(MeteringPoint(code, "B1") for code in codes),
        channels=tuple(Channel(code, 60) for code in codes),
    )
    with database.writing() as session:
        placed = register_places(session, order, clock)
        ids = [placed.channel_ids[code, "A+"] for code in codes]
        block = whole_days(60, np.repeat(ids, 3), DAYS * 4, np.ones((12, 24), np.int32))
        write_days(session, [block], clock, source="test")
    wanted = sorted(ids[place] for place in chosen)

    with database.reading() as session:
        query = select(IntervalDayRow.channel_id, IntervalDayRow.day).where(
            among(IntervalDayRow.__table__.c.channel_id, wanted), IntervalDayRow.day == DAYS[1]
        )
        found = sorted(tuple(row) for row in session.execute(query))

    assert found == [(channel_id, DAYS[1]) for channel_id in wanted]


def test_a_key_of_channel_and_day_is_sought_by_both(sqlite_database):
    database = sqlite_database
    table = IntervalDayRow.__table__
    query = select(table.c.digest).where(
        among(table.c.channel_id, [3, 4, 5]), table.c.day == DAYS[0]
    )
    with database.reading() as session:
        text = str(query.compile(database.engine, compile_kwargs={"literal_binds": True}))
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()

    assert "PRIMARY KEY (channel_id=? AND day=?)" in plan[0][3]
