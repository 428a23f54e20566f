"""A year of a household that pays ahead: its meter moves its balance, its bills repeat it.

1 kWh an hour at 5 roubles is 120 roubles a day. It starts with 1,000 roubles and pays 3,600 on the
first of each month, in December 3,000. The balances are 1,000 + payments − 120 a day, by hand.
"""

from datetime import date, timedelta

import numpy as np
from sqlalchemy import select, update

from billing.models import AccountRow, AccountTermRow, Settlement
from kilokassa.app.closing import close_month
from kilokassa.app.payments import Payment, take_payments
from kilokassa.app.running import rate_running_months
from kilokassa.app.telling import tell_alarms
from kilokassa.app.verification import verify_all
from kilokassa.core.calendar import Month, intervals_in_day, local_midnight
from metering.days import whole_days
from metering.store import write_days
from notices.models import NoticeRow
from notices.notice import NoticeKind
from tests.scenarios.by_hand_town import SCOPE, ZONE, Town
from tests.wallet.builders import without_waiting_for_the_disk
from wallet import store as wallet_store

OPENED = date(2026, 1, 1)
FIRST_MINOR = 1000_00
PAID_MINOR = dict.fromkeys(range(1, 12), 3600_00) | {12: 3000_00}

# Month: after its 15th day, and at its end, roubles.
BY_HAND = {
    1: (2800, 880),
    2: (2680, 1120),
    3: (2920, 1000),
    4: (2800, 1000),
    5: (2800, 880),
    6: (2680, 880),
    7: (2680, 760),
    8: (2560, 640),
    9: (2440, 640),
    10: (2440, 520),
    11: (2320, 520),
    12: (1720, -200),
}


class Household:
    """One flat with a digital meter, and the clock of its life."""

    def __init__(self, database, folder):
        without_waiting_for_the_disk(database)
        self.town = Town(database, folder, opened_on=OPENED, interval_min=60)
        self.database, self.account = database, self.town.accounts["P1"]
        with database.writing() as session:
            session.execute(update(AccountTermRow).values(settlement=Settlement.PREPAID))
            session.execute(update(AccountRow).values(email="flat@town.example"))

    def at(self, day):
        """Return the application in the morning of a day."""
        return self.town.application(local_midnight(day, ZONE) + timedelta(hours=9))

    def pays(self, day, minor, key):
        clock = self.at(day).clock
        payment = Payment(self.account, minor, "sbp", clock.now(), key)
        with self.database.writing() as session:
            take_payments(session, SCOPE, [payment], clock)

    def uses(self, first, end):
        """Let the days from `first` to before `end` come in, and move the balance."""
        days = [first + timedelta(days=n) for n in range((end - first).days)]
        energy = np.full((len(days), intervals_in_day(first, ZONE, 60)), 1000)
        block = whole_days(60, [self.town.channels["P1"]] * len(days), days, energy)
        application = self.at(end)
        with self.database.writing() as session:
            write_days(session, [block], application.clock, source="test")
        for _ in range(2):
            rate_running_months(application)
            with self.database.writing() as session:
                tell_alarms(session, [self.account], application.clock)

    def balance_minor(self, day):
        with self.database.reading() as session:
            found = wallet_store.balances(session, [self.account], self.at(day).clock.now())
        return found[self.account].posted_minor

    def told(self, kind):
        with self.database.reading() as session:
            query = select(NoticeRow.id).where(NoticeRow.kind == kind)
            return len(session.scalars(query).all())


def test_each_balance_of_a_year_is_the_one_by_hand(database, tmp_path):
    home = Household(database, tmp_path)
    home.pays(OPENED, FIRST_MINOR, "first")
    shown, low = {}, {}
    for number, minor in PAID_MINOR.items():
        month = Month(2026, number)
        middle, after = month.first_day + timedelta(days=15), month.plus(1).first_day
        home.pays(month.first_day, minor, f"pay:{number}")
        home.uses(month.first_day, middle)
        half = home.balance_minor(middle)
        home.uses(middle, after)
        whole = home.balance_minor(after)
        shown[number] = (half // 100, whole // 100)
        low[number] = home.told(NoticeKind.MONEY_LOW)

        close_month(home.at(after + timedelta(days=2)), month, scope=SCOPE)

        # The bill takes nothing that the balance did not show.
        assert home.balance_minor(after + timedelta(days=2)) == whole, month
    assert shown == BY_HAND
    # Money was low once, and that was told once.
    assert list(low.values()) == [0] * 11 + [1]
    assert verify_all(home.at(date(2027, 1, 4))) == ()
