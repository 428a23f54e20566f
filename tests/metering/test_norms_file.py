"""The file of consumption norms: what is read, and what refuses it whole."""

from datetime import date

import pytest

from kilokassa.core.errors import Invalid
from metering.estimation.methods import norm_in_force
from metering.estimation.norms_file import packaged_norms, parse_norms
from metering.registry.places import Commodity

HEAD = "code;commodity;valid_from;rooms;persons;quantity;source\n"


@pytest.mark.parametrize(
    ("rooms", "persons", "kwh"),
    [(1, 1, 161), (2, 2, 118), (3, 3, 100), (4, 4, 86), (1, 9, 55)],
)
def test_the_published_norms_are_those_of_the_page(rooms, persons, kwh):
    norms = packaged_norms()[Commodity.ELECTRICITY]

    found = norm_in_force(
        norms, "sakhalin_estove_no_heater", date(2026, 10, 1), rooms=rooms, persons=persons
    )

    assert found is not None
    assert (found.quantity, found.source[:2]) == (kwh * 1000, "S1")


def test_a_norm_of_water_is_in_litres_and_a_comma_is_a_decimal_mark():
    text = HEAD + "city;cold_water;2025-07-01;;;4,745;акт\n"

    (norm,) = parse_norms(text)[Commodity.COLD_WATER]

    assert (norm.quantity, norm.rooms, norm.persons) == (4745, 0, 0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the first line"),
        ("code;quantity\n", "the first line"),
        (HEAD + "a;electricity;2025-07-01;1;1;10\n", "it has 6 fields"),
        (HEAD + ";electricity;2025-07-01;1;1;10;s\n", "the code is empty"),
        (HEAD + "a;gas;2025-07-01;1;1;10;s\n", "'gas' is not a commodity"),
        (HEAD + "a;electricity;01.07.2025;1;1;10;s\n", "is not a day"),
        (HEAD + "a;electricity;2025-07-01;0;1;10;s\n", "'0' is not a number"),
        (HEAD + "a;electricity;2025-07-01;+;1;10;s\n", "is not a number"),
        (HEAD + "a;electricity;2025-07-01;1;1;-10;s\n", "is not a quantity"),
        (HEAD + "a;electricity;2025-07-01;1;1;0.0001;s\n", "finer than the unit"),
        (HEAD + "a;electricity;2025-07-01;4;1;1;s\na;electricity;2025-07-01;4+;1;2;s\n", "twice"),
    ],
)
def test_a_file_with_a_fault_is_refused_whole(text, problem):
    with pytest.raises(Invalid, match=problem):
        parse_norms(text)
