from datetime import UTC, datetime, timedelta, timezone

import pytest

from wallet.ledger import (
    WALLET,
    Posting,
    cash,
    entry_digest,
    instant_key,
    lot_key,
    revenue,
    signed,
    to_wallet,
)

NOON = datetime(2026, 11, 24, 9, tzinfo=UTC)


def digest(previous="", fields=(1, "top_up"), postings=(), draws=(), lots=()):
    return entry_digest(previous, fields, postings, draws, lots)


def test_money_that_comes_in_is_what_the_house_owes_to_the_wallet():
    assert to_wallet(cash("card"), 5_00) == Posting("cash:card", WALLET, 5_00)


@pytest.mark.parametrize(
    ("amount_minor", "debit", "credit"),
    [(7_00, WALLET, "revenue:heat"), (-7_00, "revenue:heat", WALLET)],
)
def test_a_signed_charge_is_posted_in_its_own_direction(amount_minor, debit, credit):
    assert signed(revenue("heat"), amount_minor) == Posting(debit, credit, 7_00)


@pytest.mark.parametrize(
    ("debit", "credit", "amount_minor"),
    [("a", "b", 0), ("a", "b", -1), ("a", "a", 1)],
)
def test_a_posting_that_moves_nothing_cannot_be_made(debit, credit, amount_minor):
    with pytest.raises(ValueError, match="moves something"):
        Posting(debit, credit, amount_minor)


@pytest.mark.parametrize(
    "changed",
    [
        {"previous": "x"},
        {"fields": (2, "top_up")},
        {"postings": [("cash:card", WALLET, 1)]},
        {"draws": [(1, 5, "")]},
        {"draws": [(1, 5, "heat")]},
        {"lots": ["new1"]},
    ],
)
def test_a_digest_covers_all_that_belongs_to_an_entry(changed):
    assert digest(**changed) != digest()


def test_a_field_cannot_run_into_its_neighbour():
    assert digest(fields=("a\x1fb", "c")) != digest(fields=("a", "b\x1fc"))
    assert digest(fields=('a","b', "c")) != digest(fields=("a", "b", "c"))


def test_a_digest_knows_the_instant_and_not_the_zone_it_was_told_in():
    vladivostok = timezone(timedelta(hours=10))

    assert instant_key(NOON) == instant_key(NOON.astimezone(vladivostok))


def test_every_fact_of_a_lot_is_in_its_key():
    facts = (1, "bonus", 10, 5_00, NOON, NOON + timedelta(days=9), "five", "", "")
    others = (2, "own", 50, 5_01, NOON + timedelta(days=1), None, "ten", "heat", "Aunt")

    keys = {lot_key(*facts)}
    keys |= {lot_key(*facts[:n], other, *facts[n + 1 :]) for n, other in enumerate(others)}

    assert len(keys) == 1 + len(facts)


def test_a_lot_that_is_bound_to_nothing_has_the_key_it_always_had():
    came = "2026-11-24T09:00:00.000000+00:00"

    assert lot_key(1, "own", 50, 5_00, NOON, None, "x") == f"new1:own/50=500@{came}..never|x"
