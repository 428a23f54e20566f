"""A debt from before the wallet: the worked table of the page, and a split is what is posted."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.ids import AccountId, WalletId
from wallet.audit import _opening_change
from wallet.book import Facts, Wallet
from wallet.ledger import Reason, from_wallet, to_wallet
from wallet.lots import LotKind
from wallet.payments.split import Owed, split_top_up

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "wallet.md"
NOON = datetime(2026, 10, 5, tzinfo=UTC)
MONTH = 24_321
FACTS = Facts(Reason.TOP_UP, NOON, NOON, MONTH, "test", "k", "", MONTH)
FIFTH = 2_000


def rows():
    text = PAGE.read_text(encoding="utf-8").split("## A debt from before")[1].split("##")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def minor(cell):
    return int(Decimal(cell) * 100)


def owing(new_minor=0, opening_minor=0):
    wallet = Wallet(WalletId(1), AccountId(1), 0, (), 0, 0, "", None)
    if opening_minor:
        posting = from_wallet("opening", opening_minor)
        wallet.take(opening_minor, (posting,), FACTS, before_wallet=True)
    if new_minor:
        wallet.take(new_minor, (from_wallet("revenue:heat", new_minor),), FACTS)
    return wallet


def own_minor(wallet):
    return sum(lot.remaining_minor for lot in wallet.lots if lot.kind is LotKind.OWN)


def live(wallet, what, amount_minor):
    """Do what the row says."""
    if what in ("opening debt", "charge"):
        posting = from_wallet("other", -amount_minor)
        before = what == "opening debt"
        wallet.take(-amount_minor, (posting,), FACTS, before_wallet=before)
    elif what == "void of 5":
        lot_id = wallet.lots[2].id
        posting = from_wallet("cash", -amount_minor)
        wallet.take_back(lot_id, -amount_minor, (posting,), FACTS, opening_minor=200_00)
    else:
        bonus = what == "bonus"
        wallet.put(
            amount_minor,
            (to_wallet("other", amount_minor),),
            FACTS,
            kind=LotKind.BONUS if bonus else LotKind.OWN,
            opening_share=0 if bonus else FIFTH,
        )


def test_the_worked_table_of_the_page_is_lived_to_the_kopeck():
    wallet = owing()

    for number, what, amount, *left in rows():
        live(wallet, what, minor(amount))

        found = (own_minor(wallet), wallet.new_debt_minor, wallet.opening_debt_minor)
        assert (*found, wallet.posted_minor) == tuple(map(minor, left)), number
        told = sum(_opening_change(entry.facts.detail) for entry in wallet.entries)
        assert told == wallet.opening_debt_minor, number


@given(
    new_minor=st.integers(0, 2_000),
    opening_minor=st.integers(0, 2_000),
    amount_minor=st.integers(1, 3_000),
    share=st.integers(0, 10_000),
)
def test_a_top_up_is_posted_as_its_split_was_shown(new_minor, opening_minor, amount_minor, share):
    wallet = owing(new_minor, opening_minor)
    shown = split_top_up(amount_minor, Owed(new_minor, opening_minor, share))
    posting = to_wallet("cash", amount_minor)

    wallet.put(amount_minor, (posting,), FACTS, opening_share=share)

    assert own_minor(wallet) == shown.to_balance_minor
    assert wallet.new_debt_minor == shown.new_debt_left_minor
    assert wallet.opening_debt_minor == shown.opening_debt_left_minor


def test_what_no_lot_had_paid_comes_back_to_the_debt_from_before():
    wallet = owing(opening_minor=100_00)

    wallet.restore(130_00, (to_wallet("revenue", 130_00),), replace(FACTS, charge_month=1))

    assert (wallet.uncovered_minor, wallet.lots_minor, wallet.posted_minor) == (0, 30_00, 30_00)
