"""Who has not given a reading yet is reminded before the window closes: once a month, by e-mail."""

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.models import AccountRow
from kilokassa.app.telling import Told, tell
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import local_date
from kilokassa.core.clock import Clock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope, system_scope
from kilokassa.core.text import mark
from kilokassa.db.slices import in_slices
from metering.by_hand import store as by_hand_store
from metering.by_hand.readings import WindowState, window_state
from metering.by_hand.store import ReachedBuilding, UnreadMeter
from metering.registry.places import Commodity
from notices.messages import ReadingsDue
from notices.notice import NoticeKind

SCOPE: Final = system_scope("reminders")
METERS_LISTED: Final = 20

KINDS: Final = {
    Commodity.ELECTRICITY: mark("Electricity"),
    Commodity.HEAT: mark("Heat"),
    Commodity.HOT_WATER: mark("Hot water"),
    Commodity.COLD_WATER: mark("Cold water"),
}


@dataclass(frozen=True, slots=True)
class Reminders:
    """What a round of reminders came to."""

    houses: int = 0
    """Houses whose window closes soon."""
    unread: int = 0
    """Accounts there of which a meter has no reading yet."""
    written: int = 0
    """Notices that were new; the others have no address, or were told this month already."""

    def __add__(self, other: "Reminders") -> "Reminders":
        return Reminders(
            self.houses + other.houses, self.unread + other.unread, self.written + other.written
        )


def remind_of_readings(application: Application, scope: Scope = SCOPE) -> Reminders:
    """Write a notice to each account with a hand-read meter and no reading in a window that ends.

    Once an account and month, by the notice's own key: running it again changes nothing.
    """
    clock = application.clock
    with application.database.reading() as session:
        rules = by_hand_store.window_rules(session)
        houses = by_hand_store.buildings_in_reach(session, scope)
    done = Reminders()
    for house in houses:
        zone = ZoneInfo(house.zone)
        state = window_state(rules, house.id, local_date(clock.now(), zone))
        if state.is_open and state.day >= state.window.remind_on:
            with application.database.writing() as session:
                done += _remind_house(session, house, state, clock)
    return done


def _remind_house(
    session: Session, house: ReachedBuilding, state: WindowState, clock: Clock
) -> Reminders:
    zone = ZoneInfo(house.zone)
    period = state.window.period(zone)
    unread = _by_premises(
        by_hand_store.unread_meters(session, house.id, period.start, period.end, state.day)
    )
    accounts = _open_accounts(session, sorted(unread), state)
    month = state.window.month
    told = [
        Told(
            account,
            NoticeKind.READINGS_DUE,
            ReadingsDue(
                month=month,
                closes_on=state.window.closes_on,
                days_left=state.days_left,
                meters=tuple(
                    (KINDS[meter.commodity], meter.serial)
                    for meter in unread[account.premises_id][:METERS_LISTED]
                ),
            ),
            f"readings_due:{account.id}:{month}",
        )
        for account in billing_store.billed_accounts(session, accounts, month)
    ]
    return Reminders(1, len(accounts), tell(session, told, clock))


def _by_premises(meters: tuple[UnreadMeter, ...]) -> dict[int, list[UnreadMeter]]:
    found: dict[int, list[UnreadMeter]] = {}
    for meter in meters:
        found.setdefault(meter.premises_id, []).append(meter)
    return found


def _open_accounts(
    session: Session, premises_ids: list[int], state: WindowState
) -> list[AccountId]:
    found: list[AccountId] = []
    for part in in_slices(premises_ids):
        query = (
            select(AccountRow.id)
            .where(
                AccountRow.premises_id.in_(part),
                AccountRow.opened_on <= state.day,
                AccountRow.closed_on.is_(None),
            )
            .order_by(AccountRow.id)
        )
        found += [AccountId(account_id) for account_id in session.scalars(query)]
    return found
