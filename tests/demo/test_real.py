import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from kilokassa.demo.population import real_accounts, town
from kilokassa.demo.series import real_series

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "meters"
PRESENT = FOLDER.is_dir()

FIRST, LAST_EXCLUSIVE = date(2025, 11, 1), date(2026, 11, 24)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Fifty-four weeks of hours: a hole of three hours, one time twice, kWh with seven decimals."""
    start = datetime(2013, 1, 1, tzinfo=UTC)
    lines = ["start,value"]
    for hour in range(54 * 7 * 48):
        at = start + timedelta(minutes=30 * hour)
        if at.date() == date(2013, 6, 5) and 10 <= at.hour < 13:
            continue
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},{at.isoweekday()}.{at.hour:02d}00001")
    lines.insert(900, lines[899])
    (tmp_path / "opendsm").mkdir()
    path = tmp_path / "opendsm" / "uk-electricity-hdd-only-hourly-sample-1.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return tmp_path


def test_a_series_keeps_its_weekdays_when_it_is_moved(folder):
    (series,) = real_series(folder, FIRST, LAST_EXCLUSIVE)

    kwh = series.energy_uwh[:, 0] // 10**9
    weekdays = [(FIRST + timedelta(days=n)).isoweekday() for n in range(len(kwh))]
    assert kwh.tolist() == weekdays
    assert len(kwh) == (LAST_EXCLUSIVE - FIRST).days


def test_a_hole_is_filled_from_the_same_weekday(folder):
    (series,) = real_series(folder, date(2013, 1, 1), date(2014, 1, 1))

    assert series.filled == 6
    assert series.energy_uwh.min() > 0


def test_energy_stays_exact_and_whole_hours_lose_less_than_one(folder):
    (series,) = real_series(folder, FIRST, LAST_EXCLUSIVE)

    # 2025-11-03 is a Monday: 1.0000001 kWh in its first half hour, 100 millionths too fine.
    assert series.energy_uwh[2, 0] == 1_000_000_100
    whole = series.whole_wh()
    assert whole.dtype == np.int32
    rest_uwh = series.energy_uwh.sum(axis=1) - whole.sum(axis=1, dtype=np.int64) * 10**6
    assert (rest_uwh >= 0).all()
    assert (rest_uwh < 10**6).all()


def test_an_absent_folder_gives_no_series(tmp_path):
    assert real_series(tmp_path / "nowhere", FIRST, LAST_EXCLUSIVE) == ()


def test_green_button_may_not_declare_entities(tmp_path):
    (tmp_path / "greenbutton").mkdir()
    name = "Coastal_Multi_Family_Jan_1_2011_to_Jan_1_2012_RetailCustomer_5.xml.gz"
    text = b'<!DOCTYPE feed [<!ENTITY a "b">]><feed>&a;</feed>'
    (tmp_path / "greenbutton" / name).write_bytes(gzip.compress(text))

    with pytest.raises(ValueError, match="document type"):
        real_series(tmp_path, FIRST, LAST_EXCLUSIVE)


@pytest.mark.load_series
@pytest.mark.skipif(not PRESENT, reason="the load series are not beside the checkout")
def test_the_real_series_cover_the_town_and_become_accounts():
    plan = town(LAST_EXCLUSIVE)

    series = real_series(FOLDER, plan.first_day, plan.today)
    accounts = real_accounts(plan, series)

    assert [found.interval_min for found in series] == [30, 60, 60]
    days = (plan.today - plan.first_day).days
    assert [found.energy_uwh.shape for found in series] == [(days, 48), (days, 24), (days, 24)]
    assert not {a.number for a in accounts} & {a.number for a in plan.accounts}
    assert all("настоящий" in account.note for account in accounts)


@pytest.mark.load_series
@pytest.mark.skipif(not PRESENT, reason="the load series are not beside the checkout")
def test_the_half_hourly_series_equals_its_source_on_a_known_half_hour():
    # 2014-01-24 06:00, a Friday: 52 weeks from 2013-01-26, so that day repeats 364 days later.
    (series, *_) = real_series(FOLDER, date(2014, 1, 24), date(2015, 1, 24))
    source = gzip.decompress(
        (FOLDER / "opendsm" / "uk-electricity-hdd-only-hourly-sample-1.csv.gz").read_bytes()
    ).decode()
    row = next(line for line in source.splitlines() if line.startswith("2014-01-24 06:00:00"))

    assert series.energy_uwh[0, 12] == round(float(row.split(",")[1]) * 10**9)
    assert np.array_equal(series.energy_uwh[0], series.energy_uwh[364])
