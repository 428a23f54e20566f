"""A house of fourteen households lives a year, day by day, with every job of the scheduler."""

from datetime import date, timedelta

import pytest

from billing.models import Settlement
from billing.moves.moves import Newcomer
from kilokassa.core.calendar import Month
from tests.scenarios.life import (
    ADVANCED,
    AUTO,
    COMPENSATED,
    DEBTOR,
    DIGITAL_PREPAID,
    HUNTER,
    LENT,
    MOVER,
    ONE_OF_TWO,
    OPENED,
    OTHER_OF_TWO,
    POSTPAID,
    REFUSED,
    SAVER,
    VULNERABLE,
    found_house,
)
from wallet.debts.flags import FlagKind
from wallet.ledger import COMPENSATION_EXPENSE, Reason, cash
from wallet.lots import LotKind
from wallet.reserves import service as reserve_service

SEVEN_WEEKS = date(2026, 2, 17)
YEAR = date(2027, 1, 4)
NEWCOMER = Newcomer("3000000001", "Петров Пётр", 2, settlement=Settlement.PREPAID)


class Life:
    """Who does what on which day; the first months hold one of each, later ones repeat them."""

    def __init__(self, house):
        self.house = house
        self.reserve = None
        self.slip = None

    def on(self, day):
        """Let the people do what they do on a day."""
        house = self.house
        month, number = day.month, day.day
        if number == 1:
            self.first_of_month(month)
        elif number == 4:
            self.pay_bills()
        elif number == 5 and month % 3 == 1:
            # The reserve of half a year ends and is signed anew; else it is broken in part.
            if self.reserve is None or month == 10:
                self.reserve = house.signs(SAVER, 6000_00)
        elif number == 11 and month == 2:
            house.moves_reserve(reserve_service.add, SAVER, self.reserve, 500_00)
        elif number == 12 and month == 2:
            house.moves_reserve(reserve_service.take_out, SAVER, self.reserve, 1000_00)
        elif number == 13:
            house.is_given_notice()
        elif number == 15:
            self.middle_of_month(month)
        elif number == 16 and self.slip is not None:
            house.voids(LENT, self.slip, 2500_00, "bank")
            self.slip = None
        elif number == 20:
            house.pays_out()

    def first_of_month(self, month):
        house = self.house
        if month == 1:
            house.states(VULNERABLE, FlagKind.VULNERABLE, "yes", "справка")
            for number in (DEBTOR, DIGITAL_PREPAID, LENT):
                house.states(number, FlagKind.VULNERABLE, "no", "обход")
            house.states(LENT, FlagKind.EMERGENCY_CREDIT, "200.00")
            house.puts(
                COMPENSATED,
                Reason.COMPENSATION,
                LotKind.COMPENSATION,
                700_00,
                COMPENSATION_EXPENSE,
                service="electricity",
                expires_at=house.clock(0).now() + timedelta(days=25),
                rule="льгота",
            )
        house.pays(DIGITAL_PREPAID, 1500_00)
        house.pays(SAVER, 9000_00 if month in {1, 9} else 1500_00, "card")
        house.pays(ONE_OF_TWO, 3000_00, "cash")
        if month % 2:
            house.pays(REFUSED, 2000_00)
        if month % 3 == 1:
            house.puts(
                ADVANCED, Reason.TOP_UP, LotKind.ADVANCE, 1800_00, cash("bank"), payer="Опека"
            )
            house.paid_minor["bank"] = house.paid_minor.get("bank", 0) + 1800_00

    def pay_bills(self):
        house = self.house
        for number in (POSTPAID, OTHER_OF_TWO, MOVER):
            owed = house.owed_minor(number)
            if owed:
                house.pays(number, owed, "bank")
        owed = house.owed_minor(HUNTER)
        if owed:
            house.pays(HUNTER, max(owed + 10_00, 2000_00))

    def middle_of_month(self, month):
        house = self.house
        self.slip = house.pays(LENT, 2500_00, "bank") if month % 2 == 0 else None
        if month % 2:
            house.pays(LENT, 700_00)
        house.transfers(ONE_OF_TWO, OTHER_OF_TWO, 150_00)
        if month == 2:
            house.pays(MOVER, 600_00)
            house.leaves(MOVER, NEWCOMER)
            house.refunds(ONE_OF_TWO, 500_00)
        if month == 5:
            house.agrees_to_instalments(DEBTOR)
        if month == 6:
            house.pays(DEBTOR, 3000_00, "cash")
        if month == 8:
            house.pays(AUTO, 100_00)
            house.pays(VULNERABLE, 1000_00)


SOME_DAYS = {(1, 30), (2, 1), (2, 13), (2, 16)}
TWICE = {1, 13, 22}


def live(house, until, *, daily):
    """Live up to a day; on days without jobs nothing is read either, and all is caught up later.

    Where the jobs do not run daily they run on some days, else on all but each 17th.
    """
    life = Life(house)
    unread = []
    while house.day < until:
        day = house.day
        runs = day.toordinal() % 17 if daily else (day.month, day.day) in SOME_DAYS
        if runs or day.day in {3, 15}:
            for late in unread:
                house.reads(late)
            unread.clear()
        life.on(day)
        if runs:
            house.runs_jobs(twice=day.day in TWICE)
        if day.day == 3 and day > OPENED + timedelta(days=5):
            house.closes(Month.of(day).plus(-1))
            house.runs_jobs()
            house.is_sound()
        unread.append(day)
        house.day = day + timedelta(days=1)
    house.is_sound()
    return house


@pytest.mark.slow
@pytest.mark.parametrize(
    ("until", "daily"),
    [(SEVEN_WEEKS, False), (YEAR, True)],
    ids=["seven_weeks", "a_year"],
)
def test_a_house_lives_alike_on_both_databases(
    sqlite_database, postgresql_database, tmp_path, until, daily
):
    lived = [
        live(found_house(database, tmp_path / name), until, daily=daily)
        for name, database in (("one", sqlite_database), ("other", postgresql_database))
    ]

    one, other = (house.heads() for house in lived)
    assert one == other
    assert lived[0].documents() == lived[1].documents()
    assert lived[0].grown() == lived[1].grown()
