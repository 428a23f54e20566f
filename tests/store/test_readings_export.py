"""Exports of readings on both databases: who gets what, and that it comes back as it went."""

import gzip
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from sqlalchemy import select

import kilokassa.app.readings_export as readings_export
from billing.service import RetailerOrder, establish_retailer
from kilokassa.app.readings_export import (
    ExportFormat,
    ExportOrder,
    export_readings,
    open_export,
)
from kilokassa.app.readings_import import import_readings
from kilokassa.core.calendar import intervals_in_day, local_midnight
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.ids import CompanyId
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.series import Quality
from metering.days import exact_days
from metering.models import ExchangeNumberRow
from metering.parsers.source import SeriesKey
from metering.parsers.xml_80020 import UWH_PER_KWH, Xml80020Reader
from metering.registry.places import (
    Building,
    Channel,
    Company,
    MeteringPoint,
    PlacesOrder,
    Premises,
)
from metering.service import register_places
from metering.store import write_days

MOSCOW = ZoneInfo("Europe/Moscow")
RETAILER = system_scope("cli")
FIRST = date(2026, 10, 1)
SENDER = "7707083893"
COMPANY = "7728168971"


@pytest.fixture
def town(database, clock):
    """Two houses in Moscow time, one of a company, and one in Vladivostok."""
    order = PlacesOrder(
        companies=(Company("UK1", "УК Первая", COMPANY), Company("UK2", "УК Вторая")),
        buildings=(
            Building("B1", "Ленина 1", "Europe/Moscow", "UK1"),
            Building("B2", "Ленина 2", "Europe/Moscow", "UK2"),
            Building("B3", "Светланская 3", "Asia/Vladivostok", "UK2"),
        ),
        premises=(Premises("B1", "7", 5000),),
        points=(
            MeteringPoint("P1", "B1", "7", exchange_code="100000000000001"),
            MeteringPoint("P2", "B1"),
            MeteringPoint("P3", "B2"),
            MeteringPoint("P4", "B3"),
        ),
        channels=(
            Channel("P1", 30),
            Channel("P1", 30, "A-"),
            Channel("P2", 15),
            Channel("P3", 60, "R+", multiplier=20, loss_ppm=25_000),
            Channel("P4", 30),
        ),
    )
    with database.writing() as session:
        establish_retailer(session, RETAILER_ORDER, clock)
        return register_places(session, order, clock)


RETAILER_ORDER = RetailerOrder(
    name="ООО «Сбыт»",
    inn=SENDER,
    bank_name="Банк",
    bic="044525225",
    bank_account="40702810400000000001",
    correspondent_account="30101810400000000225",
    zone="Europe/Moscow",
    languages=("ru",),
)


def store(database, clock, channel_id, zone, minutes, days, values_uwh, quality=None):
    """Store days of a channel; `values_uwh` is one value, or one an interval."""
    with database.writing() as session:
        for day in days:
            count = intervals_in_day(day, ZoneInfo(zone), minutes)
            values = np.broadcast_to(np.asarray(values_uwh, np.int64), (1, count)).copy()
            qualities = np.full((1, count), Quality.ACTUAL, np.uint8)
            if quality is not None:
                qualities[0, : len(quality)] = quality
            block = exact_days(minutes, [channel_id], [day], values, qualities)
            write_days(session, [block], clock, source="test")


@pytest.fixture
def filled(database, clock, town):
    days = [FIRST + timedelta(days=n) for n in range(3)]
    ids = town.channel_ids
    store(database, clock, ids["P1", "A+"], "Europe/Moscow", 30, days, 345_678_901)
    store(
        database,
        clock,
        ids["P1", "A-"],
        "Europe/Moscow",
        30,
        days[:1],
        10**9,
        [2, 0, Quality.ACTUAL],
    )
    store(database, clock, ids["P2", "A+"], "Europe/Moscow", 15, days, 123_000_000)
    store(database, clock, ids["P3", "R+"], "Europe/Moscow", 60, days, 5_000_000_000)
    store(database, clock, ids["P4", "A+"], "Asia/Vladivostok", 30, days, 77_000_000)
    return ids


def order(fmt="parquet", first=FIRST, last=FIRST + timedelta(days=2), building=None):
    return ExportOrder(ExportFormat(fmt), first, last, building)


def write(database, clock, target, *, scope=RETAILER, **options):
    return export_readings(database, order(**options), target, scope=scope, clock=clock)


def company_scope(database, town, code="UK1"):
    return Scope(Role.COMPANY, "user:9", company_ids=frozenset({CompanyId(town.company_ids[code])}))


# --- Parquet and CSV ---


def test_parquet_has_every_known_value_with_channel_quality_and_revision(
    database, clock, filled, tmp_path
):
    result = write(database, clock, tmp_path / "out.parquet")

    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert len(frame) == result.values == 3 * (48 + 96 + 24 + 48) + 47
    assert frame["point"].unique().sort().to_list() == ["P1", "P2", "P3", "P4"]
    given = frame.filter(pl.col("channel") == "A-")
    assert given["quality"].to_list()[:2] == ["estimated", "actual"]
    assert given["time"][0] == local_midnight(FIRST, MOSCOW)
    first = frame.filter((pl.col("point") == "P1") & (pl.col("channel") == "A+"))
    assert set(first["value"].cast(pl.String)) == {"345.678901"}
    assert set(frame["revision"]) == {1}


@pytest.mark.parametrize(
    ("name", "building"),
    # CSV cannot say that the multiplier of the house with one is in its values.
    [("out.parquet", None), ("out.csv", "B1"), ("out.csv.gz", "B3")],
)
def test_what_is_written_is_known_when_it_is_imported_again(
    database, clock, filled, tmp_path, name, building
):
    fmt = "parquet" if name.endswith(".parquet") else "csv"
    result = write(database, clock, tmp_path / name, fmt=fmt, building=building)

    again = import_readings(database, tmp_path / name, scope=RETAILER, clock=clock)

    assert (again.repeated, again.new, again.revised, again.refused) == (result.values, 0, 0, 0)


def test_csv_is_packed_where_its_name_says_so(database, clock, filled, tmp_path):
    write(database, clock, tmp_path / "a.csv", fmt="csv")
    write(database, clock, tmp_path / "a.csv.gz", fmt="csv")

    assert (
        gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()
    )


def test_parts_of_any_size_make_the_same_file(database, clock, filled, tmp_path, monkeypatch):
    write(database, clock, tmp_path / "whole.csv", fmt="csv")
    monkeypatch.setattr(readings_export, "DAY_ROWS_A_PART", 1)

    write(database, clock, tmp_path / "parts.csv", fmt="csv")

    assert sorted((tmp_path / "parts.csv").read_text().splitlines()) == sorted(
        (tmp_path / "whole.csv").read_text().splitlines()
    )


def test_a_company_gets_its_own_buildings_only(database, clock, town, filled, tmp_path):
    write(database, clock, tmp_path / "a.parquet", scope=company_scope(database, town))

    assert set(pl.read_parquet(tmp_path / "a.parquet")["point"]) == {"P1", "P2"}


def test_a_building_out_of_reach_is_not_found(database, clock, town, filled, tmp_path):
    with pytest.raises(NotFound):
        write(
            database,
            clock,
            tmp_path / "a.parquet",
            building="B2",
            scope=company_scope(database, town),
        )

    assert list(tmp_path.glob("*.parquet")) == []


def test_losses_stand_beside_what_was_measured(database, clock, filled, tmp_path):
    write(database, clock, tmp_path / "a.parquet", building="B2")

    frame = pl.read_parquet(tmp_path / "a.parquet")
    both = frame.select(value=pl.col("value").sum(), losses=pl.col("losses").sum()).row(0)
    assert sum(both) == 72 * 5_000
    assert both[0] == 72 * Decimal("4878.048781")


def test_one_building_is_written_where_one_is_named(database, clock, filled, tmp_path):
    write(database, clock, tmp_path / "a.parquet", building="B2")

    assert set(pl.read_parquet(tmp_path / "a.parquet")["point"]) == {"P3"}


def test_a_resident_may_not_export(database, clock, filled, tmp_path):
    with pytest.raises(Forbidden):
        write(database, clock, tmp_path / "a.csv", fmt="csv", scope=Scope(Role.RESIDENT, "user:1"))


def test_a_file_that_stands_there_stays_when_the_export_fails(
    database, clock, filled, tmp_path, monkeypatch
):
    (tmp_path / "a.csv").write_text("what was")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(readings_export, "load_stored_days", fail)
    with pytest.raises(OSError, match="the disk is full"):
        write(database, clock, tmp_path / "a.csv", fmt="csv")

    assert [file.name for file in tmp_path.glob("a*")] == ["a.csv"]
    assert [file.name for file in tmp_path.glob(".a*")] == []
    assert (tmp_path / "a.csv").read_text() == "what was"


def test_a_period_is_in_order_and_of_bounded_length():
    with pytest.raises(Invalid, match="it ends before it begins"):
        order(first=FIRST, last=FIRST - timedelta(days=1))
    with pytest.raises(Invalid, match="at most 1098 days"):
        order(first=FIRST, last=FIRST + timedelta(days=2000))


# --- 80020 ---


def read(path):
    with path.open("rb") as stream:
        reader = Xml80020Reader()
        return reader, np.concatenate(list(reader.blocks(stream)))


def kwh_of(paths, key):
    """Return the kWh of a series over several files."""
    total = 0
    for path in paths:
        reader, found = read(path)
        if key in reader.index.keys:
            own = found[found["series"] == reader.index.keys.index(key)]
            total += int(own["value_uwh"].sum()) // UWH_PER_KWH
    return total


def test_there_is_a_file_a_day_and_area_with_numbers_in_order(database, clock, filled, tmp_path):
    result = write(database, clock, tmp_path / "out", fmt="80020")

    assert [file.name for file in result.files] == [
        f"80020_{SENDER}_20261001_1_{SENDER}.xml",
        f"80020_{SENDER}_20261002_2_{SENDER}.xml",
        f"80020_{SENDER}_20261003_3_{SENDER}.xml",
        f"80020_{SENDER}_20261001_4_{COMPANY}.xml",
        f"80020_{SENDER}_20261002_5_{COMPANY}.xml",
        f"80020_{SENDER}_20261003_6_{COMPANY}.xml",
    ]


def test_the_next_export_goes_on_with_the_numbers(database, clock, filled, tmp_path):
    write(database, clock, tmp_path / "out", fmt="80020", building="B1", last=FIRST)

    again = write(database, clock, tmp_path / "out", fmt="80020", building="B1", last=FIRST)

    assert [file.name for file in again.files] == [f"80020_{SENDER}_20261001_2_{COMPANY}.xml"]


def test_values_are_whole_kwh_whose_rest_goes_on_to_the_next_period(
    database, clock, filled, tmp_path
):
    result = write(database, clock, tmp_path / "out", fmt="80020", building="B1")

    # 144 half hours of 345.678901 Wh; 288 quarters of 123 Wh.
    assert kwh_of(result.files, SeriesKey("100000000000001", "A+")) == 345_678_901 * 144 // 10**9
    assert kwh_of(result.files, SeriesKey("P2", "A+")) == 123 * 288 // 1000


def test_a_month_sums_up_however_its_days_were_exported(database, clock, filled, tmp_path):
    files = []
    for days in ((2, 2), (0, 1)):
        first, last = (FIRST + timedelta(days=n) for n in days)
        result = write(
            database, clock, tmp_path / "out", fmt="80020", building="B1", first=first, last=last
        )
        files += result.files

    assert kwh_of(files, SeriesKey("100000000000001", "A+")) == 345_678_901 * 144 // 10**9


def test_estimates_have_a_status_gaps_are_left_out_and_hours_stay_hours(
    database, clock, filled, tmp_path
):
    result = write(database, clock, tmp_path / "out", fmt="80020", last=FIRST)

    _, found = read(result.files[1])
    given = found[found["series"] == 1]
    assert given["quality"].tolist()[:2] == [Quality.ESTIMATED, Quality.ACTUAL]
    assert len(given) == 47
    reader, found = read(result.files[0])
    hours = found[found["series"] == reader.index.keys.index(SeriesKey("P3", "R+"))]
    assert hours["interval_min"].tolist() == [60] * 24


def test_an_area_in_one_known_zone_says_so_and_one_in_two_does_not(
    database, clock, filled, tmp_path
):
    result = write(database, clock, tmp_path / "out", fmt="80020", last=FIRST)

    own, of_company = (read(path)[0].areas[0] for path in result.files)
    assert (own.area_inn, own.timezone) == (SENDER, "")
    assert (of_company.area_inn, of_company.timezone) == (COMPANY, "1")


def test_a_day_of_which_nothing_is_known_takes_no_number(database, clock, filled, tmp_path):
    result = write(
        database,
        clock,
        tmp_path / "out",
        fmt="80020",
        first=FIRST - timedelta(days=5),
        last=FIRST,
        building="B1",
    )

    assert [file.name for file in result.files] == [f"80020_{SENDER}_20261001_1_{COMPANY}.xml"]


def test_a_file_that_cannot_be_written_takes_no_number_and_leaves_nothing(
    database, clock, filled, tmp_path, monkeypatch
):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(readings_export, "opening", fail)
    with pytest.raises(OSError, match="the disk is full"):
        write(database, clock, tmp_path / "out", fmt="80020")

    assert list((tmp_path / "out").iterdir()) == []
    with database.reading() as session:
        assert session.scalar(select(ExchangeNumberRow.last_number)) is None


def test_only_who_reaches_the_whole_retailer_sends_in_its_name(
    database, clock, town, filled, tmp_path
):
    with pytest.raises(Forbidden):
        write(database, clock, tmp_path / "out", fmt="80020", scope=company_scope(database, town))


def test_for_a_page_80020_comes_as_one_archive(database, clock, filled):
    with open_export(database, order("80020"), scope=RETAILER, clock=clock) as stream:
        names = zipfile.ZipFile(stream).namelist()

    assert len(names) == 6
    assert all(name.startswith("80020_") for name in names)
