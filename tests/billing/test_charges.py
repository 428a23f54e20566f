from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from billing.charges import NewLine, correcting_lines, net_minor
from billing.models import LineKind, Service

NOVEMBER = datetime(2022, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2022, 12, 1, tzinfo=UTC)


def line(key="peak/1/2022-07-01", quantity=100_000, rate_scaled=6_110_000, amount_minor=611_00):
    return NewLine(
        service=Service.ELECTRICITY,
        key=key,
        quantity=quantity,
        rate_scaled=rate_scaled,
        amount_minor=amount_minor,
        period_start=NOVEMBER,
        period_end=DECEMBER,
        input_digest="before",
    )


def test_a_line_that_was_right_is_left_alone_even_when_read_from_another_state():
    standing = [line()]

    lines = correcting_lines(standing, [replace(line(), input_digest="after")])

    assert lines == ()


def test_a_changed_quantity_gives_a_reversing_and_a_right_line():
    right = line(quantity=90_000, amount_minor=549_90)

    lines = correcting_lines([line()], [right])

    assert [(n.kind, n.quantity, n.amount_minor) for n in lines] == [
        (LineKind.REVERSAL, -100_000, -611_00),
        (LineKind.CORRECTION, 90_000, 549_90),
    ]
    assert net_minor(lines, Service.ELECTRICITY) == -61_10


def test_a_zone_that_was_not_charged_before_gives_only_the_right_line():
    lines = correcting_lines([], [line()])

    assert [n.kind for n in lines] == [LineKind.CORRECTION]


def test_a_line_that_should_not_be_there_gives_only_the_reversing_one():
    lines = correcting_lines([line()], [])

    assert [n.kind for n in lines] == [LineKind.REVERSAL]


LINES = st.dictionaries(
    st.sampled_from(["peak", "semi_peak", "night"]), st.tuples(st.integers(0, 5), st.integers(0, 9))
).map(lambda found: [line(key=k, quantity=q, amount_minor=a) for k, (q, a) in found.items()])


@given(standing=LINES, right=LINES)
def test_the_difference_always_leads_from_what_stands_to_what_is_right(standing, right):
    lines = correcting_lines(standing, right)

    assert net_minor(standing, Service.ELECTRICITY) + net_minor(
        lines, Service.ELECTRICITY
    ) == net_minor(right, Service.ELECTRICITY)
    assert sum(n.quantity for n in [*standing, *lines]) == sum(n.quantity for n in right)
