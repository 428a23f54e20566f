"""A year of a household that saves: every balance, month by month, as a clerk would write it."""

from datetime import date

from tests.wallet.builders import accounts_with_wallets, balance, batch, charge, faults
from tests.wallet.reserves_town import (
    add,
    clock_on,
    instant,
    pay,
    publish,
    reserve_faults,
    sign,
    signed,
    take_out,
    topped_up,
)
from wallet import service as wallet_service
from wallet.reserves.signed import ReserveState

# Day; what happens, with its amount; after it: posted balance, of it bonus, owed, set aside, bonus
# of the reserve so far. 12 % a year, 3 % for what is taken out early, half a year.
YEAR = """
2026-10-01  top_up     20000.00  20000.00     0.00     0.00      0.00    0.00
2026-10-10  sign       10000.00  10000.00     0.00     0.00  10000.00    0.00
2026-11-01  pay            -     10072.33    72.33     0.00  10000.00   72.33
2026-11-03  charge      1500.00   8572.33     0.00     0.00  10000.00   72.33
2026-11-20  add         5000.00   3572.33     0.00     0.00  15000.00   72.33
2026-12-01  pay            -      3689.04   116.71     0.00  15000.00  189.04
2026-12-03  charge      1500.00   2189.04     0.00     0.00  15000.00  189.04
2027-01-01  pay            -      2341.92   152.88     0.00  15000.00  341.92
2027-01-03  charge      2500.00   -158.08     0.00   158.08  15000.00  341.92
2027-01-15  take_out    6000.00   5776.58     0.00     0.00   9000.00  276.58
2027-02-01  pay            -      5868.30    91.72     0.00   9000.00  368.30
2027-02-03  charge      6000.00   -131.70     0.00   131.70   9000.00  368.30
2027-03-02  pay            -       -48.85     0.00    48.85   9000.00  451.15
2027-03-03  charge      1000.00  -1048.85     0.00  1048.85   9000.00  451.15
2027-04-12  pay            -      8069.51     0.00     0.00      0.00  569.51
2027-05-03  charge      1000.00   7069.51     0.00     0.00      0.00  569.51
"""


def kopecks(text):
    return int(text.replace(".", ""))


def test_a_year_of_a_saver_ends_as_the_clerk_wrote_it(database):
    accounts_with_wallets(database, clock_on(date(2026, 1, 1)), count=1)
    publish(database)
    for line in YEAR.strip().splitlines():
        day, what, amount, *expected = line.split()
        on = date.fromisoformat(day)

        if what == "pay":
            pay(database, on)
        elif what == "charge":
            order = charge(1, kopecks(amount), idempotency_key=day, valid_at=instant(on))
            with database.writing() as session:
                wallet_service.charge_batch(session, batch(order), clock_on(on, 13))
        else:
            {"top_up": topped_up, "sign": sign, "add": add, "take_out": take_out}[what](
                database, kopecks(amount), on
            )

        found = balance(database, 1, instant(on, 23))
        kept = (0, 0)
        if day >= "2026-10-10":
            kept = (signed(database).kept_minor, signed(database).bonus_minor)
        figures = (found.posted_minor, found.bonus_minor, found.uncovered_minor, *kept)
        assert figures == tuple(map(kopecks, expected)), line
    assert signed(database).state is ReserveState.RETURNED
    assert (faults(database), reserve_faults(database)) == ([], [])
