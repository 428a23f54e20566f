"""Whatever order values arrive in, the open gaps are those between the values that are there."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import select

from kilokassa.app.readings_import import import_readings
from kilokassa.core.period import Period
from kilokassa.core.scope import system_scope
from metering.findings.finding import DayGrid, FindingKind, FindingState
from metering.models import FindingRow, IntervalDayRow
from metering.registry.places import Building, Channel, MeteringPoint, PlacesOrder
from metering.registry.service import register_places

ZONE = "Asia/Vladivostok"
FIRST = date(2026, 10, 1)
DAYS = 5
POINTS = tuple(f"P{n}" for n in range(8))


def pieces(random):
    """The hours of a point in pieces, as a poor connection gives them; some never come."""
    hours = np.arange(DAYS * 24)
    cuts = np.sort(random.choice(hours[1:], size=random.integers(3, 9), replace=False))
    parts = [part for part in np.split(hours, cuts) if random.random() < 0.8]
    random.shuffle(parts)
    return parts


def open_gaps(database, channel_id):
    with database.reading() as session:
        return {
            (Period(row.starts_at, row.ends_at))
            for row in session.execute(
                select(FindingRow).where(
                    FindingRow.channel_id == channel_id,
                    FindingRow.kind == FindingKind.GAP,
                    FindingRow.state == FindingState.OPEN,
                )
            ).scalars()
        }


def gaps_there(database, channel_id):
    grid = DayGrid(ZoneInfo(ZONE), 60, FIRST, FIRST + timedelta(days=DAYS - 1))
    with database.reading() as session:
        rows = session.execute(
            select(IntervalDayRow.day, IntervalDayRow.quality).where(
                IntervalDayRow.channel_id == channel_id
            )
        ).all()
    return {period for period, _ in grid.gaps((day, quality) for day, quality in rows)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_open_gaps_are_those_between_known_values_after_every_file(database, clock, tmp_path, seed):
    order = PlacesOrder(
        buildings=(Building("B1", "Ленина 1", ZONE),),
        points=tuple(MeteringPoint(point, "B1") for point in POINTS),
        channels=tuple(Channel(point, 60) for point in POINTS),
    )
    with database.writing() as session:
        placed = register_places(session, order, clock)
    random = np.random.default_rng(seed)
    waiting = {point: pieces(random) for point in POINTS}

    for number in range(max(map(len, waiting.values()))):
        lines = ["point;time;value"]
        for point, parts in waiting.items():
            for hour in parts[number].tolist() if number < len(parts) else ():
                day = FIRST + timedelta(days=hour // 24)
                lines.append(f"{point};{day}T{hour % 24:02d}:00;0.{hour:03d}")
        path = tmp_path / f"{number}.csv"
        path.write_text("\n".join(lines) + "\n")
        import_readings(database, path, scope=system_scope("cli"), clock=clock)

        for point in POINTS:
            channel_id = placed.channel_ids[point, "A+"]
            assert open_gaps(database, channel_id) == gaps_there(database, channel_id), point
