import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoices.chart import consumption_svg, nice_step, zones_shown
from invoices.payment_document import MonthUse
from kilokassa.core.calendar import Month
from kilokassa.core.text import Language
from kilokassa.core.zones import Zone
from tests.invoices.samples import HISTORY


def test_the_chart_draws_one_path_a_zone_and_one_for_the_grid():
    svg = consumption_svg(HISTORY, Language.RUSSIAN)

    assert svg.count("<path") == 3 + 1
    assert 'font-family="PT Sans"' in svg


def test_months_are_named_in_the_language_and_the_year_where_it_begins():
    russian = consumption_svg(HISTORY, Language.RUSSIAN)
    english = consumption_svg(HISTORY, Language.ENGLISH)

    assert re.findall(r">(\w+)</text>", russian)[-14:] == [
        *("ноя", "2025", "дек", "янв", "2026", "фев", "мар"),
        *("апр", "май", "июн", "июл", "авг", "сен", "окт"),
    ]
    assert "Nov" in english


@pytest.mark.parametrize("history", [(), (MonthUse(Month(2026, 10), (("all", 0),)),)])
def test_nothing_used_gives_no_chart(history):
    assert consumption_svg(history, Language.RUSSIAN) == ""
    assert zones_shown(history) == ()


def test_a_month_that_gave_more_back_than_it_used_is_drawn_as_nothing():
    history = (
        MonthUse(Month(2026, 9), (("day", -5_000),)),
        MonthUse(Month(2026, 10), (("day", 7_000), ("night", 3_000))),
    )

    svg = consumption_svg(history, Language.RUSSIAN)

    assert "-" not in re.sub(r"h-\d|[a-z]-[a-z]", "", " ".join(re.findall(r' d="([^"]*)"', svg)))
    assert zones_shown(history) == (Zone.DAY, Zone.NIGHT)


@given(st.integers(1, 10**12))
def test_grid_lines_are_few_and_reach_the_top(top_wh):
    step_wh = nice_step(top_wh) * 1000

    lines = -(-top_wh // step_wh)

    assert 1 <= lines <= 3
