"""Making a month whole before it is closed: estimates for what was not measured, part by part.

Every part is one transaction and changes nothing where nothing is missing, so a run that was
stopped goes on with a repeat. The close of a month runs it first for its own accounts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.charges import UsedEstimate
from billing.models import Measurement, PriceSplit
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from metering.estimation.methods import EstimationMethod, Norm
from metering.estimation.rules import RuleChain, packaged_chain, parse_rules
from metering.estimation.service import (
    EstimatesOrder,
    EstimatesReport,
    Household,
    estimate_month,
)
from metering.estimation.store import Estimate, ListedEstimate, list_estimates, write_norms
from metering.registry.places import Commodity

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


def load_norms(
    application: Application, wanted: Mapping[Commodity, Sequence[Norm]], *, scope: Scope
) -> tuple[int, int]:
    """Write down consumption norms; return how many were new and how many changed."""
    scope.demand(Right.MANAGE_METERS)
    new = changed = 0
    with application.database.writing() as session:
        for commodity, of_commodity in wanted.items():
            done = write_norms(session, commodity, of_commodity, application.clock.now())
            new, changed = new + done[0], changed + done[1]
    return new, changed


def set_price_split(application: Application, split: str | None, *, scope: Scope) -> PriceSplit:
    """Set how a price change between two readings is told apart; return what stands."""
    if split is None:
        with application.database.reading() as session:
            return billing_store.retailer(session).price_split
    scope.demand(Right.RUN_BILLING)
    with application.database.writing() as session:
        billing_store.retailer(session).price_split = PriceSplit(split)
    return PriceSplit(split)


# --- what people look at ---


@dataclass(frozen=True, slots=True)
class EstimateLine:
    """Estimated values of one point over one stretch, its registers together."""

    listed: ListedEstimate
    """The first of them; they share all but the register and the quantity."""
    quantity_wh: int
    account_number: str
    """Of the account that is open now; empty where there is none."""
    next_method: EstimationMethod | None
    """What follows if the next period is missed too; None where nothing does."""

    @property
    def estimate(self) -> Estimate:
        """The estimate as it is kept."""
        return self.listed.estimate

    @property
    def used(self) -> UsedEstimate:
        """The method as documents name it."""
        return UsedEstimate.of(self.estimate.method, self.estimate.basis)

    @property
    def month(self) -> Month:
        """The month that is charged by it."""
        zone = ZoneInfo(self.listed.zone)
        last = local_date(self.estimate.period.end - timedelta(microseconds=1), zone)
        return Month.of(last)

    @property
    def period_number(self) -> int | None:
        """How many billing periods in a row are estimated, this one included; None for a gap."""
        number: int | None = self.estimate.basis.get("period_number")
        return None if number is None else max(1, number)

    @property
    def replaced(self) -> bool:
        """Say whether a real value, or a better estimate, stands in its place."""
        return self.estimate.replaced_at is not None


def estimate_lines(
    session: Session,
    scope: Scope,
    chain: RuleChain,
    *,
    month: Month,
    building_code: str = "",
    replaced: bool = False,
) -> tuple[EstimateLine, ...]:
    """Return the estimates that a month is charged by, of points in reach, by house and flat."""
    period = month.period(billing_store.retailer_zone(session))
    listed = list_estimates(
        session, scope, period=period, building_code=building_code, replaced=replaced
    )
    numbers = billing_store.account_numbers(
        session, {one.premises_id for one in listed if one.premises_id is not None}
    )
    grouped: dict[tuple[object, ...], list[ListedEstimate]] = {}
    for one in listed:
        e = one.estimate
        key = (e.point_id, e.channel_id, e.meter_id, e.period, e.method, e.rule, e.replaced_at)
        grouped.setdefault(key, []).append(one)
    lines = [
        EstimateLine(
            listed=of_stretch[0],
            quantity_wh=sum(one.estimate.quantity for one in of_stretch),
            account_number=numbers.get(of_stretch[0].premises_id or 0, ""),
            next_method=_next_method(chain, of_stretch[0].estimate, month),
        )
        for of_stretch in grouped.values()
    ]
    return tuple(sorted(lines, key=_place))


def _place(line: EstimateLine) -> tuple[str, int, str, object]:
    number = line.listed.premises_number
    natural = int(number) if number.isdigit() else 0
    return line.listed.building_code, natural, line.listed.point_code, line.estimate.period


def _next_method(chain: RuleChain, estimate: Estimate, month: Month) -> EstimationMethod | None:
    number = estimate.basis.get("period_number")
    if number is None or estimate.replaced_at is not None:
        return None
    rule = chain.next_rule(estimate.rule, number, month.plus(1).first_day)
    return None if rule is None else rule.method
