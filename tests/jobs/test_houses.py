"""The commands of the house balance, over a small stored house."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.text import Language
from kilokassa.db.session import Database
from metering.days import whole_days
from metering.registry.places import Building, Channel, MeteringPoint, PlacesOrder, Premises
from metering.service import register_places
from metering.store import write_days
from tests.jobs.conftest import Run

NOW = FixedClock(datetime(2026, 11, 20, tzinfo=UTC))
FLATS = 5


@pytest.fixture
def house(installed: Run, bare_database: Database) -> Run:
    """A house of five flats over sixty days; the third hides two fifths of the last thirty."""
    days = [Month(2026, 10).days[-1] - timedelta(days=n) for n in range(59, -1, -1)]
    used = np.random.default_rng(5).integers(20, 400, (FLATS, 60, 48))
    shown = used.copy()
    shown[2, 30:] = shown[2, 30:] * 6 // 10
    codes = [f"F{n}" for n in range(1, FLATS + 1)]
    order = PlacesOrder(
        buildings=(Building("B1", "Ленина 1", "Asia/Vladivostok"),),
        premises=tuple(Premises("B1", code[1:], 5000) for code in codes),
        points=(
            *(MeteringPoint(code, "B1", code[1:]) for code in codes),
            MeteringPoint("HOUSE", "B1"),
        ),
        channels=(*(Channel(code, 30) for code in codes), Channel("HOUSE", 30)),
    )
    with bare_database.writing() as session:
        places = register_places(session, order, NOW)
        energy = dict(zip(codes, shown, strict=True)) | {"HOUSE": used.sum(axis=0) + 40}
        blocks = [
            whole_days(30, [places.channel_ids[code, "A+"]] * 60, days, values)
            for code, values in energy.items()
        ]
        write_days(session, blocks, NOW, source="test")
    return installed


def test_houses_are_balanced_for_people_and_for_programs(house: Run):
    said = house("houses", "balance", "--month", "2026-10")
    told = house("houses", "balance", "--building", "B1", "--month", "2026-10", "--json")
    russian = house("houses", "balance", "--month", "2026-10", language=Language.RUSSIAN)

    assert (said.code, told.code) == (0, 0)
    assert said.out.startswith("B1, October 2026: input ")
    totals = told.json["totals"]
    assert totals["input_wh"] == totals["flats_wh"] + totals["remainder_wh"]
    assert sum(day["totals"]["remainder_wh"] for day in told.json["days"]) == totals["remainder_wh"]
    assert told.json["incomplete"] == 0
    assert "небаланс" in russian.out


def test_suspects_come_with_their_evidence(house: Run):
    said = house("houses", "suspects", "B1", "--month", "2026-10")
    told = house("houses", "suspects", "B1", "--month", "2026-10", "--json")

    assert said.out.startswith("1. Flat 3, point F3: ")
    assert "the remainder follows what this flat uses" in said.out
    first = told.json["suspects"][0]
    assert (first["point"], first["rank"], told.json["enough"]) == ("F3", 1, True)
    assert 350_000 < first["hidden_ppm"] < 450_000
    assert first["points"] == sum(part["points"] for part in first["parts"])


def test_a_house_that_does_not_exist_is_refused(house: Run):
    refused = house("houses", "suspects", "B9")

    assert refused.code == 1
    assert "B9" in refused.err


def test_without_a_house_meter_there_is_nothing_to_balance(installed: Run):
    said = installed("houses", "balance", "--month", "2026-10")

    assert said.out == "No house has an electricity meter of its own.\n"
