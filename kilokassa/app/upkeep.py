"""What the scheduler does, one function a job: what, when, and what if it ran twice.

A job only looks for what is due; the work is guarded by rows and keys, so that a second run, or two
at once, change nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from billing import store as billing_store
from kilokassa.app.bonuses import grant_due_months
from kilokassa.app.checking import check_readings
from kilokassa.app.documents import document_pdf
from kilokassa.app.late_fees import charge_late_fees
from kilokassa.app.notices_due import tell_ledger_events, tell_what_is_due
from kilokassa.app.outbox import open_channel, send_due
from kilokassa.app.reading_reminders import remind_of_readings
from kilokassa.app.running import rate_running_months
from kilokassa.app.service_states import decide_services
from kilokassa.app.telling import tell_alarms
from kilokassa.app.verifications import tell_verifications
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import system_scope
from notices.notice import Notice
from wallet.service import expire_lots, seal

ACCOUNTS_A_PART: Final = 500
SCOPE: Final = system_scope("scheduler")


@dataclass(frozen=True, slots=True)
class Job:
    """One job; the times are those on the wall of the retailer, as cron writes them."""

    name: str
    run: Callable[[Application], object]
    hour: str
    minute: str


def rate_running(application: Application) -> int:
    """Charge prepaid accounts for what became known, then tell whose money runs low.

    Twice: the second finds nothing new to post, and an alarm is told once an episode.
    """
    report = rate_running_months(application)
    for ids in _account_parts(application):
        with application.database.writing() as session:
            tell_alarms(session, ids, application.clock)
    return report.posted


def expire(application: Application) -> int:
    """Post what is left of expired lots, each under its own key, valid at its expiry."""
    with application.database.reading() as session:
        zone = billing_store.retailer_zone(session)
    expired = 0
    for ids in _account_parts(application):
        with application.database.writing() as session:
            expired += expire_lots(session, ids, zone, application.clock)
    return expired


def send_notices(application: Application) -> int:
    """Write the events of new entries, then send what is due; each has one taker at a time."""
    tell_ledger_events(application)
    with application.database.reading() as session:
        name = billing_store.retailer(session).name

    def pdf_of(notice: Notice) -> bytes | None:
        if notice.document_number is None:
            return None
        return document_pdf(application.database, SCOPE, notice.document_number)

    channel = open_channel(
        application.settings,
        sender_name=name,
        database=application.database,
        clock=application.clock,
    )
    result = send_due(application.database, channel, application.clock, attachment_for=pdf_of)
    return result.sent


def tell_due(application: Application) -> int:
    """Tell of bonuses and reserves that end, changed plans, odd use, refusals; each fact once."""
    return tell_what_is_due(application).written


def decide(application: Application) -> int:
    """Decide how services stand by now, and write the notices that are due; twice is once."""
    return decide_services(application, scope=SCOPE).changed


def charge_fees(application: Application) -> int:
    """Charge late fees and agreed interest of the month before, in kopecks; once a month."""
    report = charge_late_fees(application, scope=SCOPE)
    return report.interest_minor + (report.charged_minor if report.charging else 0)


def seal_day(application: Application) -> str:
    """Digest the heads of all wallets once a local day; the day's first seal stands."""
    with application.database.writing() as session:
        zone = billing_store.retailer_zone(session)
        return seal(session, local_date(application.clock.now(), zone), application.clock)


def remind_of_verifications(application: Application) -> int:
    """Tell who services meters which must be verified; the first day that it can in a month."""
    return tell_verifications(application).written


def remind_of_reading_windows(application: Application) -> int:
    """Remind of readings before a window closes; an account is told of it once a month."""
    return remind_of_readings(application).written


def check_stored_readings(application: Application) -> int:
    """Look back over the running month and the one before; twice, nothing is said twice."""
    return check_readings(application, scope=SCOPE).opened


def grant_bonuses(application: Application) -> int:
    """Grant what closed months earned and the close did not; each occasion is served once."""
    return sum(one.grants for one in grant_due_months(application, scope=SCOPE))


JOBS: Final = (
    Job("send_notices", send_notices, hour="*", minute="*"),
    Job("tell_due", tell_due, hour="*", minute="35"),
    Job("rate_running", rate_running, hour="*", minute="20"),
    Job("decide_services", decide, hour="*", minute="50"),
    Job("charge_late_fees", charge_fees, hour="1", minute="10"),
    Job("expire", expire, hour="0", minute="5"),
    Job("seal_day", seal_day, hour="0", minute="15"),
    Job("grant_bonuses", grant_bonuses, hour="4", minute="10"),
    Job("check_readings", check_stored_readings, hour="3", minute="40"),
    Job("remind_of_readings", remind_of_reading_windows, hour="10", minute="5"),
    Job("remind_of_verifications", remind_of_verifications, hour="9", minute="35"),
)


def _account_parts(application: Application) -> list[list[AccountId]]:
    with application.database.reading() as session:
        zone = billing_store.retailer_zone(session)
        month = Month.of(local_date(application.clock.now(), zone))
        ids = iter(billing_store.account_id_range(session, month))
    return [list(part) for part in iter(lambda: tuple(islice(ids, ACCOUNTS_A_PART)), ())]
