from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.payments.split import Owed, Part, ReserveWish, Split, split_top_up

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "top-ups.md"


def minor(cell):
    return int(Decimal(cell) * 100)


def share(cell):
    return int(Decimal(cell.removesuffix(" %")) * 100)


def test_the_top_ups_of_the_page_are_split_as_it_says():
    text = PAGE.read_text(encoding="utf-8").split("## The split")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]

    assert len(lines) == 13
    for line in lines:
        amount, new, opening, cap, wish, *parts = (c.strip() for c in line.strip("|").split("|"))
        owed = Owed(minor(new), minor(opening), share(cap))
        wished = ReserveWish(share=share(wish)) if "%" in wish else ReserveWish(minor(wish))
        split = split_top_up(minor(amount), owed, wished)
        assert [part_minor for _, part_minor in split.parts] == [minor(p) for p in parts], line


@pytest.mark.parametrize(
    "make",
    [
        lambda: Owed(-1),
        lambda: Owed(0, -1),
        lambda: Owed(0, 0, 10_001),
        lambda: ReserveWish(-1),
        lambda: ReserveWish(share=10_001),
        lambda: ReserveWish(1, 1),
        lambda: Split(3, 1, 1, 1, 1, 0, 0),
        lambda: Split(0, 1, -1, 0, 0, 0, 0),
    ],
)
def test_what_does_not_add_up_cannot_be_made(make):
    with pytest.raises(ValueError, match=r"\("):
        make()


AMOUNTS = st.integers(1, 10**8)
OWED = st.builds(Owed, st.integers(0, 10**8), st.integers(0, 10**8), st.integers(0, 10_000))
WISHES = st.builds(ReserveWish, st.integers(0, 10**8)) | st.builds(
    ReserveWish, share=st.integers(0, 10_000)
)


@given(amount_minor=AMOUNTS, owed=OWED, wish=WISHES)
def test_the_parts_are_the_whole_and_pay_no_debt_that_is_not_there(amount_minor, owed, wish):
    split = split_top_up(amount_minor, owed, wish)

    parts = dict(split.parts)
    assert sum(parts.values()) == amount_minor
    assert parts[Part.NEW_DEBT] + split.new_debt_left_minor == owed.new_debt_minor
    assert parts[Part.OPENING_DEBT] + split.opening_debt_left_minor == owed.opening_debt_minor
    assert parts[Part.OPENING_DEBT] * 10_000 <= amount_minor * owed.opening_share


@given(amount_minor=AMOUNTS, owed=OWED, wish=WISHES)
def test_nothing_is_set_aside_or_kept_while_what_was_used_is_unpaid(amount_minor, owed, wish):
    split = split_top_up(amount_minor, owed, wish)

    assert not split.new_debt_left_minor or split.to_new_debt_minor == amount_minor


@given(amount_minor=AMOUNTS, more_minor=AMOUNTS, owed=OWED, wish=WISHES)
def test_who_pays_more_has_no_part_smaller(amount_minor, more_minor, owed, wish):
    less = dict(split_top_up(amount_minor, owed, wish).parts)
    more = dict(split_top_up(amount_minor + more_minor, owed, wish).parts)

    assert all(more[part] >= less[part] for part in Part)
