import pytest

from kilokassa.core.errors import DomainError
from kilokassa.core.zones import Zone
from kilokassa.web.errors import STATUS, status_of
from kilokassa.web.kit import Chart, Paging, Sorting, Stack, harmless
from metering.balance.suspects import EvidenceSeries


@pytest.mark.parametrize("text", ["=1+1", "+7 900", "-5", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_runs_nothing_that_people_wrote(text: str):
    assert harmless(text) == f"'{text}"


def test_ordinary_text_is_left_alone():
    assert harmless("Иванов И. И.") == "Иванов И. И."


@pytest.mark.parametrize(
    ("page", "total", "first", "last", "pages"),
    [(1, 0, 0, 0, 1), (1, 50, 1, 50, 1), (2, 51, 51, 51, 2), (3, 120, 101, 120, 3)],
)
def test_a_page_says_which_items_it_shows(page, total, first, last, pages):
    paging = Paging(page, 50, total)

    assert (paging.first, paging.last, paging.pages) == (first, last, pages)


def test_a_click_on_the_sorted_heading_turns_it_round():
    assert Sorting("debt").argument("debt") == "-debt"
    assert Sorting("debt", descending=True).argument("debt") == "debt"
    assert Sorting("debt").argument("number") == "number"


def test_a_chart_adds_its_stacks_up():
    chart = Chart(
        "days", "Days", ("1", "2"), "Day",
        (Stack(Zone.NIGHT, (100, 0)), Stack(Zone.PEAK, (5, 7))),
    )  # fmt: skip

    assert chart.totals_wh == (105, 7)
    assert not chart.is_empty


def test_a_line_over_a_chart_is_no_part_of_its_sum():
    chart = Chart(
        "hours", "Hours", ("1", "2"), "Hour",
        (
            Stack(EvidenceSeries.GROWTH, (100, -20)),
            Stack(EvidenceSeries.SHAPE, (90, 10), line=True),
        ),
    )  # fmt: skip

    assert chart.totals_wh == (100, -20)
    assert not chart.summed


def every_refusal(kind: type[DomainError] = DomainError) -> set[type[DomainError]]:
    return {kind}.union(*(every_refusal(one) for one in kind.__subclasses__()))


def test_every_status_belongs_to_a_refusal_that_exists():
    codes = {kind.code for kind in every_refusal()}

    assert set(STATUS) - codes == set()


def test_a_refusal_without_a_status_of_its_own_is_a_value_that_cannot_be_accepted():
    class Odd(DomainError):
        code = "odd"

    assert status_of(Odd()) == 422
