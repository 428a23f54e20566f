"""What the scheduler does, one function a job: what, when, and what if it ran twice.

A job only looks for what is due; the work is guarded by rows and keys, so that a second run, or two
at once, change nothing.
"""

from datetime import date, timedelta
from itertools import islice
from typing import Final

from billing import store as billing_store
from kilokassa.app.auto_top_ups import run_auto_top_ups
from kilokassa.app.bonuses import grant_due_months
from kilokassa.app.checking import check_readings
from kilokassa.app.documents import document_pdf
from kilokassa.app.job_runs import Job
from kilokassa.app.late_fees import charge_late_fees
from kilokassa.app.moving import settle_ended
from kilokassa.app.notices_due import tell_ledger_events, tell_what_is_due
from kilokassa.app.outbox import open_channel, send_due
from kilokassa.app.payment_orders import expire_orders
from kilokassa.app.reading_reminders import remind_of_readings
from kilokassa.app.reserves import pay_reserve_bonuses
from kilokassa.app.running import rate_running_months
from kilokassa.app.service_states import decide_services
from kilokassa.app.telling import tell_alarms
from kilokassa.app.verifications import tell_verifications
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import system_scope
from kilokassa.core.text import mark
from notices.notice import Notice
from wallet.service import expire_lots, seal

ACCOUNTS_A_PART: Final = 500
SCOPE: Final = system_scope("scheduler")


def rate_running(application: Application, _day: date) -> int:
    """Charge prepaid accounts for what became known, then tell whose money runs low.

    Twice: the second finds nothing new to post, and an alarm is told once an episode.
    """
    report = rate_running_months(application)
    for ids in _account_parts(application):
        with application.database.writing() as session:
            tell_alarms(session, ids, application.clock)
    return report.posted


def expire(application: Application, _day: date) -> int:
    """Post what is left of expired lots, each under its own key, valid at its expiry."""
    with application.database.reading() as session:
        zone = billing_store.retailer_zone(session)
    expired = 0
    for ids in _account_parts(application):
        with application.database.writing() as session:
            expired += expire_lots(session, ids, zone, application.clock)
    return expired


def send_notices(application: Application, _day: date) -> int:
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


def tell_due(application: Application, _day: date) -> int:
    """Tell of bonuses and reserves that end, changed plans, odd use, refusals; each fact once."""
    return tell_what_is_due(application).written


def decide(application: Application, _day: date) -> int:
    """Decide how services stand by now, and write the notices that are due; twice is once."""
    return decide_services(application, scope=SCOPE).changed


def charge_fees(application: Application, day: date) -> int:
    """Charge late fees and agreed interest of the month before, in kopecks; once a month."""
    report = charge_late_fees(application, day.replace(day=1) - timedelta(days=1), scope=SCOPE)
    return report.interest_minor + (report.charged_minor if report.charging else 0)


def seal_day(application: Application, day: date) -> str:
    """Digest the heads of all wallets once a local day; the day's first seal stands.

    A day that was missed is sealed when it is caught up, and its seal says when that was.
    """
    with application.database.writing() as session:
        return seal(session, day, application.clock)


def pay_reserves(application: Application, day: date) -> dict[str, object]:
    """Pay what reserves have earned and return those whose term ends, up to a day; each once."""
    paid = pay_reserve_bonuses(application, day)
    return {name: getattr(paid, name) for name in paid.__slots__}


def top_up_by_rules(application: Application, day: date) -> int:
    """Ask for what rules ask for on a day; twice on a day asks nobody twice."""
    return run_auto_top_ups(application, day).asked


def end_orders(application: Application, _day: date) -> int:
    """End the payment orders that nobody paid in time; money that still comes is taken."""
    with application.database.writing() as session:
        return expire_orders(session, application.clock)


def remind_of_verifications(application: Application, _day: date) -> int:
    """Tell who services meters which must be verified; the first day that it can in a month."""
    return tell_verifications(application).written


def remind_of_reading_windows(application: Application, _day: date) -> int:
    """Remind of readings before a window closes; an account is told of it once a month."""
    return remind_of_readings(application).written


def check_stored_readings(application: Application, _day: date) -> int:
    """Look back over the running month and the one before; twice, nothing is said twice."""
    return check_readings(application, scope=SCOPE).opened


def grant_bonuses(application: Application, _day: date) -> int:
    """Grant what closed months earned and the close did not; each occasion is served once."""
    return sum(one.grants for one in grant_due_months(application, scope=SCOPE))


def settle_accounts(application: Application, _day: date) -> dict[str, object]:
    """Settle the accounts that have ended and waited for a reading or a month; each once."""
    found = settle_ended(application, SCOPE)
    return {
        "settled": sum(1 for _, document, _ in found if document),
        "waiting": sum(1 for _, document, _ in found if not document),
    }


JOBS: Final = (
    Job("expire", mark("Lots that end"), expire, hour="0", minute="5"),
    Job("pay_reserves", mark("Bonuses of reserves"), pay_reserves, hour="0", minute="10"),
    Job("seal_day", mark("Seal of the ledger"), seal_day, hour="0", minute="15"),
    Job("charge_late_fees", mark("Late fees"), charge_fees, hour="1", minute="10"),
    Job("check_readings", mark("Check of readings"), check_stored_readings, hour="3", minute="40"),
    Job("settle_ended", mark("Final statements"), settle_accounts, hour="4", minute="0"),
    Job("grant_bonuses", mark("Bonuses of months"), grant_bonuses, hour="4", minute="10"),
    Job(
        "remind_of_verifications",
        mark("Verifications due"),
        remind_of_verifications,
        hour="9",
        minute="35",
    ),
    Job(
        "remind_of_readings", mark("Readings due"), remind_of_reading_windows, hour="10", minute="5"
    ),
    Job("top_up_by_rules", mark("Automatic top-ups"), top_up_by_rules, hour="11", minute="0"),
    Job("end_orders", mark("Orders not paid in time"), end_orders, hour="*", minute="15"),
    Job("rate_running", mark("Rating of what was used"), rate_running, hour="*", minute="20"),
    Job("tell_due", mark("Notices that fall due"), tell_due, hour="*", minute="35"),
    Job("decide_services", mark("States of services"), decide, hour="*", minute="50"),
    Job("send_notices", mark("Sending of notices"), send_notices, hour="*", minute="*"),
)
"""In the order of a day: what ends and what is earned, before fees and what is told of."""


def _account_parts(application: Application) -> list[list[AccountId]]:
    with application.database.reading() as session:
        zone = billing_store.retailer_zone(session)
        month = Month.of(local_date(application.clock.now(), zone))
        ids = iter(billing_store.account_id_range(session, month))
    return [list(part) for part in iter(lambda: tuple(islice(ids, ACCOUNTS_A_PART)), ())]
