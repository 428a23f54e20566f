"""The worked life of the documentation, read from its page and lived."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from kilokassa.core.ids import AccountId, WalletId
from wallet.book import Facts, Wallet
from wallet.ledger import (
    BONUS_EXPENSE,
    Reason,
    cash,
    from_wallet,
    revenue,
    signed,
    to_wallet,
)
from wallet.lots import LotKind

PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "wallet.md"
OCTOBER, NOVEMBER = 24_321, 24_322
END_OF_BONUS = datetime(2026, 11, 14, tzinfo=UTC)


def rows():
    text = PAGE.read_text(encoding="utf-8").split("## A worked life")[1].split("##")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def minor(cell):
    return int(Decimal(cell or "0") * 100)


def facts(reason, day, charge_month=None):
    number, month = day.split(".")
    at = datetime(2026, int(month), int(number), tzinfo=UTC)
    return Facts(reason, at, at, OCTOBER, "test", day, "", charge_month)


def live(wallet, number, day, amount_minor):
    """Do what the row of this number says."""
    charged = signed(revenue("electricity"), -amount_minor)
    if number in (1, 5):
        posting = to_wallet(cash("card"), amount_minor)
        wallet.put(amount_minor, (posting,), facts(Reason.TOP_UP, day))
    elif number == 2:
        wallet.put(
            amount_minor,
            (to_wallet(BONUS_EXPENSE, amount_minor),),
            facts(Reason.BONUS, day),
            kind=LotKind.BONUS,
            expires_at=END_OF_BONUS,
        )
    elif number in (3, 4):
        month = OCTOBER if number == 3 else NOVEMBER
        wallet.take(-amount_minor, (charged,), facts(Reason.CHARGE, day, month))
    elif number == 7:
        posting = from_wallet(BONUS_EXPENSE, -amount_minor)
        wallet.expire(wallet.lots[1], (posting,), facts(Reason.EXPIRY, day))
    else:
        wallet.restore(amount_minor, (charged,), facts(Reason.CORRECTION, day, OCTOBER))


def test_the_worked_life_of_the_page_is_lived_to_the_kopeck():
    wallet = Wallet(WalletId(1), AccountId(1), 0, (), 0, 0, "", None)

    for number, day, _, amount, *lots, uncovered, posted in rows():
        live(wallet, int(number), day, minor(amount))

        left = [lot.remaining_minor for lot in wallet.lots]
        assert left == [minor(cell) for cell in lots if cell], number
        assert wallet.uncovered_minor == minor(uncovered), number
        assert wallet.posted_minor == minor(posted), number
        assert wallet.entries[-1].amount_minor == minor(amount), number

    assert len(wallet.entries) == 8
