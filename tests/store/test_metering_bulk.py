"""A long stretch read at once is what the days read one by one are, on both databases."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilokassa.core.calendar import intervals_in_day
from metering.bulk.store import load_stretch
from metering.days import whole_days
from metering.store import load_matrix
from tests.store.test_metering_days import register, write

NEW_YORK = ZoneInfo("America/New_York")
FIRST, END = date(2026, 2, 20), date(2026, 11, 20)
DAYS = tuple(FIRST + timedelta(days=n) for n in range((END - FIRST).days))


def random_days(channel_id, days, zone=NEW_YORK):
    rng = np.random.default_rng(channel_id)
    for day in days:
        shape = (1, intervals_in_day(day, zone, 30))
        energy = rng.integers(0, 2**31 - 1, shape, dtype=np.int32)
        yield whole_days(30, [channel_id], [day], energy, rng.integers(1, 5, shape, dtype=np.uint8))


def test_a_stretch_with_holes_and_changed_clocks_is_the_days_one_by_one(database, clock):
    channels = register(database, clock, flats=3, zone="America/New_York")
    whole = [*random_days(channels[0], DAYS)]
    holes = [*random_days(channels[1], [*DAYS[:3], *DAYS[5:40], *DAYS[200:]])]
    write(database, [*reversed(whole), *holes], clock)

    with database.reading() as session:
        asked = [channels[2], channels[1], channels[0]]
        stretch = load_stretch(session, asked, FIRST, END, NEW_YORK, 30)
        matrix = load_matrix(session, asked, DAYS, NEW_YORK, 30)

    assert (stretch.energy_wh == matrix.energy_wh).all()
    assert (stretch.quality == matrix.quality).all()
    assert stretch.start == matrix.start
    assert not stretch.energy_wh[0].any()


def test_a_channel_of_other_intervals_is_refused(database, clock):
    (channel,) = register(database, clock, flats=1, zone="America/New_York")
    write(database, [*random_days(channel, DAYS[:2])], clock)

    with database.reading() as session, pytest.raises(ValueError, match="60 minutes"):
        load_stretch(session, [channel], FIRST, END, NEW_YORK, 60)
