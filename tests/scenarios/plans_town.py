"""A flat with an hourly meter, on plans that a test writes: what to live through months of it."""

from datetime import date, datetime

import numpy as np

from billing import store as billing_store
from billing.accounts import AccountOrder
from billing.models import AccountRow, AccountTermRow, Measurement, Settlement
from billing.month.service import rate_month
from billing.service import open_accounts
from kilokassa.core.calendar import Month, intervals_in_day, local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.ids import PremisesId
from metering.days import whole_days
from metering.registry.places import Channel, MeteringPoint
from metering.registry.service import PlacesOrder, register_places
from metering.store import write_days
from tariffs.service import PublishOrder, publish_version
from tariffs.store import plan_by_code
from tests.scenarios.by_hand_town import SCOPE, ZONE, Town, tariff
from wallet.service import open_wallets

OPENED = date(2025, 1, 1)
LEARNED = local_midnight(OPENED, ZONE)

SINGLE = tariff("single", [("2017-01-01", 5)])
ZONES = "zones: {day: [07:00-23:00], night: [23:00-07:00]}"
TWO_ZONES = tariff("two_zone", [("2017-01-01", "{day: 6, night: 2}")], ZONES)


class PlansTown(Town):
    """One flat, measured by the hour, that may have any plan, and neighbours in time."""

    def __init__(self, database, folder, *plans, measurement=Measurement.INTERVALS, **options):
        by_registers = measurement is Measurement.REGISTERS
        super().__init__(
            database,
            folder,
            plan=SINGLE,
            opened_on=OPENED,
            interval_min=None if by_registers else 60,
            norm=False,
            zone=ZONE,
            **options,
        )
        self.measurement = measurement
        self.account = self.accounts["P1"]
        for plan in plans:
            self.publish(plan)

    def publish(self, document, at=LEARNED):
        with self.database.writing() as session:
            publish_version(session, PublishOrder(SCOPE, document), FixedClock(at))

    def has_plan(self, code, first, *, settlement=Settlement.POSTPAID, at=LEARNED, account=None):
        """Let the account have a plan from a day on, as stated at an instant."""
        account_id = account or self.account
        with self.database.writing() as session:
            for row in session.query(AccountTermRow).filter_by(
                account_id=account_id, valid_from=first, superseded_at=None
            ):
                row.superseded_at = at
            session.flush()
            session.add(
                AccountTermRow(
                    account_id=account_id,
                    valid_from=first,
                    plan_id=plan_by_code(session, code).id,
                    settlement=settlement,
                    measurement=self.measurement,
                    recorded_at=at,
                )
            )

    def moves_out(self, day):
        with self.database.writing() as session:
            session.get(AccountRow, self.account).closed_on = day

    def moves_in(self, day, plan="single"):
        """Open another account for the same flat."""
        with self.database.writing() as session:
            row = session.get(AccountRow, self.account)
            order = AccountOrder(
                number="2000000001",
                payer_name="Петров Пётр",
                premises_id=PremisesId(row.premises_id),
                persons=1,
                opened_on=day,
                plan_code=plan,
                settlement=Settlement.POSTPAID,
                measurement=self.measurement,
            )
            clock = FixedClock(LEARNED)
            opened = open_accounts(session, [order], clock)
            open_wallets(session, list(opened.ids.values()), clock)
        return opened.ids["2000000001"]

    def gives_back(self):
        """Put a channel for what is given to the network to the meter."""
        with self.database.writing() as session:
            places = register_places(
                session,
                PlacesOrder(channels=(Channel("P1", 60, code="A-"),)),
                FixedClock(LEARNED),
            )
        self.channels["A-"] = places.channel_ids["P1", "A-"]

    def has_another_point(self):
        """Put a second meter to the flat, such as of its cellar."""
        with self.database.writing() as session:
            places = register_places(
                session,
                PlacesOrder(
                    points=(MeteringPoint("P9", "B1", "1"),), channels=(Channel("P9", 60),)
                ),
                FixedClock(LEARNED),
            )
        self.channels["P9"] = places.channel_ids["P9", "A+"]

    def uses(self, first, end, wh_by_hour, *, channel="P1", at=None):
        """Let the meter measure the same Wh every hour, or those of a function of the hour."""
        by_hour = wh_by_hour if callable(wh_by_hour) else lambda _day, _hour: wh_by_hour
        days = [date.fromordinal(n) for n in range(first.toordinal(), end.toordinal())]
        energy = np.array(
            [
                [by_hour(day, hour) for hour in range(intervals_in_day(day, ZONE, 60))]
                for day in days
            ]
        )
        block = whole_days(60, [self.channels[channel]] * len(days), days, energy)
        known = at or local_midnight(end, ZONE)
        with self.database.writing() as session:
            write_days(session, [block], FixedClock(known), source="test")

    def month(self, year, number, *, until=None, known_at: datetime | None = None, account=None):
        """Return what the month comes to by what is known, with all that documents show."""
        month, ids = Month(year, number), [account or self.account]
        with self.database.reading() as session:
            accounts = billing_store.billed_accounts(session, ids, month, known_at=known_at)
            return rate_month(session, accounts, month, until=until, known_at=known_at)

    def amounts(self, year, number, *, account=None, **options):
        """Return the lines of a month as pairs of a key and kopecks."""
        rated = self.month(year, number, account=account, **options)
        lines = rated.charges[account or self.account].lines
        return {line.key: line.amount_minor for line in lines}

    def total_minor(self, year, number, **options):
        return sum(self.amounts(year, number, **options).values())
