"""Making a month whole before it is closed: estimates for what was not measured, part by part.

Every part is one transaction and changes nothing where nothing is missing, so a run that was
stopped goes on with a repeat. The close of a month runs it first for its own accounts.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from billing import store as billing_store
from billing.models import Measurement
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from metering.estimate_service import (
    EstimatesOrder,
    EstimatesReport,
    Household,
    estimate_month,
)
from metering.estimation_rules import RuleChain, packaged_chain, parse_rules

ACCOUNTS_A_PART = 500

Progress = Callable[[int, int], None]


class MonthNotOver(DomainError):
    """A month that still runs cannot be estimated or closed."""

    code = "month_not_over"
    template = mark("The month %(month)s is not over; it can be closed from %(day)s on.")


def rule_chain(own_rules: Path | None) -> RuleChain:
    """Return the chain of rules: as packaged, with what the installation says otherwise."""
    chain = packaged_chain()
    if own_rules is None:
        return chain
    return chain.with_own(parse_rules(own_rules.read_text("utf-8")))


def run_estimates(
    application: Application,
    month: Month,
    *,
    scope: Scope,
    account_ids: Sequence[AccountId] | None = None,
    progress: Progress | None = None,
) -> EstimatesReport:
    """Estimate what `month` misses, for all accounts or for some; the same again changes nothing.

    What was read since, in any month, replaces its estimates first.
    """
    scope.demand(Right.RUN_BILLING)
    database, clock = application.database, application.clock
    with database.reading() as session:
        zone = billing_store.retailer_zone(session)
        ids = list(account_ids or billing_store.account_id_range(session, month))
    if clock.now() < month.period(zone).end:
        raise MonthNotOver(month=str(month), day=str(month.plus(1).first_day))
    chain = rule_chain(application.settings.estimation_rules)
    report = EstimatesReport()
    for start in range(0, len(ids), ACCOUNTS_A_PART):
        part = ids[start : start + ACCOUNTS_A_PART]
        with database.writing() as session:
            households = tuple(
                Household(
                    premises_id=account.premises_id,
                    by_registers=account.measurement is Measurement.REGISTERS,
                    persons=account.persons,
                    opened_on=account.opened_on,
                    closed_on=account.closed_on,
                )
                for account in billing_store.billed_accounts(session, part, month)
            )
            report += estimate_month(session, EstimatesOrder(month, households, chain), clock)
        if progress is not None:
            progress(min(start + ACCOUNTS_A_PART, len(ids)), len(ids))
    return report
