"""Use cases of debts over subjects: decide how services stand, in bulk, and write what changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from billing import law
from billing import store as billing_store
from billing.accounts import BilledAccount
from billing.debts import store
from billing.debts.bills import AccountDebts
from billing.debts.facts import AccountInputs, kept_facts, service_facts
from billing.debts.norms import electricity_month_minor, norm_quantity, water_month_minor
from billing.house import store as house_store
from billing.models import Service, Settlement
from kilokassa.core.calendar import Month, local_date, local_day
from kilokassa.core.clock import Clock
from kilokassa.core.ids import AccountId, TariffPlanId
from metering.estimation import store as estimation_store
from metering.registry.places import Commodity
from tariffs.day_types import DayType, HolidayCalendar
from tariffs.plans import TariffVersion
from tariffs.services.prices import HouseService
from tariffs.services.store import service_prices
from tariffs.store import versions_in_force
from wallet import store as wallet_store
from wallet.debts import store as debt_store
from wallet.debts.flags import HOUSEHOLD, FlagKind, Flags
from wallet.debts.late_fee import LateFeeRules, due_day, late_fee_rules
from wallet.debts.service import NewDecision, write_decisions
from wallet.debts.service_state import GuardSet, ServiceFacts, Supply, decide, guard_sets
from wallet.payments.slips import may_be_of
from wallet.payments.store import in_suspense

T = TypeVar("T")

LOW_BELOW_MINOR: Final = 300_00
"""Of a prepaid account: less than this is low, as notices take it."""

CALENDAR: Final = HolidayCalendar("russia")

_WATERS: Final = {
    HouseService.COLD_WATER: (Service.COLD_WATER, Commodity.COLD_WATER),
    HouseService.HOT_WATER: (Service.HOT_WATER, Commodity.HOT_WATER),
}


@dataclass(frozen=True, slots=True)
class DebtRules:
    """The rules that an installation counts debts by."""

    late_fees: LateFeeRules = field(default_factory=late_fee_rules)
    guards: Mapping[str, GuardSet] = field(default_factory=guard_sets)

    def due_on(self, month: Month) -> date:
        """Return the last day on which the bill of a month is paid without delay."""
        return due_day(law.due_on(month)[0], self.late_fees, is_day_off)

    def guard_set(self, code: str) -> GuardSet:
        """Return a guard set by its code; one that is not there any more is the household's."""
        return self.guards.get(code) or self.guards[HOUSEHOLD]


RULES_OPTION: Final = "debt_rules"
"""The execution option by which a database knows an installation's own rules."""


def rules_of(session: Session) -> DebtRules:
    """Return the rules that the installation of a session goes by: its own, else the product's."""
    own = session.connection().get_execution_options().get(RULES_OPTION)
    return own if isinstance(own, DebtRules) else DebtRules()


def is_day_off(day: date) -> bool:
    """Say whether a day is a weekend or a holiday of Russia."""
    return CALENDAR.type_of(day) is not DayType.WORKING


def recompute(
    session: Session,
    account_ids: Sequence[AccountId] | None,
    clock: Clock,
    rules: DebtRules | None = None,
) -> int:
    """Decide anew how the services of accounts stand; write what changed, return how much did.

    Accounts that owe nothing and never did are passed over by two queries; None takes all that may
    have changed. Call it in the transaction that moved money, after the posting: money that came
    first withdraws what was due.
    """
    wanted = concerned(session, account_ids)
    if not wanted:
        return 0
    found = rules or rules_of(session)
    now = clock.now()
    inputs = inputs_of(session, wanted, found, now)
    decided = []
    for one in inputs.values():
        guards = found.guard_set(one.flags.guard_set)
        services = {*one.debts.services, str(Service.ELECTRICITY), *(one.supplies or {})}
        for service in sorted(services):
            facts = service_facts(one, service, guards, now)
            decided.append(
                NewDecision(
                    one.account_id,
                    service,
                    decide(facts, guards),
                    facts.debt_minor,
                    guards.code,
                    kept_facts(facts),
                )
            )
    decided += _of_the_gone(session, sorted(set(wanted) - set(inputs)), now)
    return write_decisions(session, decided, clock)


def _of_the_gone(
    session: Session, account_ids: Sequence[AccountId], now: datetime
) -> list[NewDecision]:
    """Return that nothing is cut for who does not live there: others may live there by now.

    What was cut comes back, and a command that was sent is withdrawn, whatever is still owed.
    """
    if not account_ids:
        return []
    supplies = debt_store.supplies(session, account_ids)
    known = debt_store.latest_decisions(session, account_ids)
    zones = store.zones_of(session, account_ids)
    decided = []
    for account_id, service in sorted({*known, *supplies}):
        supply = supplies.get((account_id, service))
        facts = ServiceFacts(
            at=now.astimezone(UTC),
            zone=zones[account_id],
            service=service,
            debt_minor=0,
            supply=Supply.FULL if supply is None else supply.supply,
            pending=None if supply is None else supply.pending,
            settled_at=None if supply is None else supply.since,
        )
        before = known.get((account_id, service))
        code = HOUSEHOLD if before is None else before.guard_set
        guards = guard_sets()[HOUSEHOLD]
        decision = replace(decide(facts, guards), held_by=())
        decided.append(NewDecision(account_id, service, decision, None, code, kept_facts(facts)))
    return decided


def concerned(session: Session, account_ids: Sequence[AccountId] | None) -> list[AccountId]:
    """Return those of the accounts whose services may not stand, or did not, as normal."""
    found = set(store.candidates(session, account_ids, low_below_minor=LOW_BELOW_MINOR))
    found.update(debt_store.not_normal(session, account_ids))
    credited = debt_store.accounts_flagged(session, FlagKind.EMERGENCY_CREDIT)
    found.update(credited if account_ids is None else set(credited) & set(account_ids))
    return sorted(found)


def inputs_of(
    session: Session, account_ids: Sequence[AccountId], rules: DebtRules, at: datetime
) -> dict[AccountId, AccountInputs]:
    """Return all that the services of accounts are judged by; those not open today left out."""
    zone = billing_store.retailer_zone(session)
    today = local_date(at, zone)
    accounts = [
        account
        for account in billing_store.billed_accounts(session, account_ids, Month.of(today))
        if _is_open(account, local_date(at, account.zone))
    ]
    ids = [account.id for account in accounts]
    prepaid = frozenset(a.id for a in accounts if a.settlement is Settlement.PREPAID)
    flags: dict[AccountId, Flags] = {}
    for day in sorted({local_date(at, account.zone) for account in accounts}):
        living = [a.id for a in accounts if local_date(at, a.zone) == day]
        flags.update(debt_store.flags_on(session, living, day))
    debts = debts_as_judged(session, ids, rules, flags)
    agreements = debt_store.agreements_of(session, ids)
    notices = _by_account(store.delivered_notices(session, ids))
    supplies = _by_account(debt_store.supplies(session, ids))
    within = _by_account(debt_store.within_until(session, ids, at))
    sharing = store.sharing_premises(session, ids, today)
    owing = {a.number: (a.payer_name, debts[a.id].overdue_total_minor(today)) for a in accounts}
    owing = {number: owed for number, owed in owing.items() if owed[1] > 0}
    waiting = may_be_of(in_suspense(session), owing) if owing else {}
    norms = norm_months(session, accounts, today)
    premises = store.premises_in_building(session, ids)
    balances = wallet_store.balances(session, sorted(prepaid), at)
    holidays = _holidays_from(today.year)
    return {
        a.id: AccountInputs(
            account_id=a.id,
            zone=a.zone,
            debts=debts[a.id],
            flags=flags.get(a.id, Flags()),
            posted_minor=balances[a.id].posted_minor if a.id in balances else None,
            low_below_minor=LOW_BELOW_MINOR if a.id in prepaid else 0,
            norm_months=norms[a.id],
            # One premises may be a house of its own, or a part that nobody registered further.
            apartment_house=True if premises.get(a.id, 0) > 1 else None,
            agreements=agreements.get(a.id, ()),
            holidays=holidays,
            notices=notices.get(a.id),
            supplies=supplies.get(a.id),
            within_until=within.get(a.id),
            shared=a.id in sharing,
            suspense_minor=waiting.get(a.number, 0),
        )
        for a in accounts
    }


def _is_open(account: BilledAccount, day: date) -> bool:
    """Say whether an account is open on a day: on the day it closes on it is not."""
    return account.opened_on <= day and (account.closed_on is None or day < account.closed_on)


def norm_months(
    session: Session, accounts: Sequence[BilledAccount], day: date
) -> dict[AccountId, dict[str, int | None]]:
    """Return what a month by the norm costs on a day, in kopecks, by account and service."""
    if not accounts:
        return {}
    houses = house_store.served_houses(session, [a.building_id for a in accounts])
    rooms = house_store.rooms_of(session, [a.premises_id for a in accounts])
    norms = {
        commodity: estimation_store.norms(session, commodity)
        for commodity in (Commodity.ELECTRICITY, Commodity.COLD_WATER, Commodity.HOT_WATER)
    }
    versions = _versions(session, accounts, day)
    served = house_store.services_of(session, list(houses), day, day + timedelta(days=1))
    prices = service_prices(session, {one.code for all_ in served.values() for one in all_})
    found: dict[AccountId, dict[str, int | None]] = {}
    for account in accounts:
        code = houses[account.building_id].norm_code
        room, persons = rooms.get(account.premises_id), account.persons
        energy_wh = norm_quantity(
            norms[Commodity.ELECTRICITY], code, day, rooms=room, persons=persons
        )
        version = versions.get((account.plan_id, account.zone.key))
        months: dict[str, int | None] = {
            str(Service.ELECTRICITY): None
            if version is None or energy_wh is None
            else electricity_month_minor(version, energy_wh, day, persons)
        }
        for assigned in served.get(account.building_id, ()):
            price = next(
                (p for p in reversed(prices.get(assigned.code, ())) if p.valid_from <= day), None
            )
            if price is None or price.service not in _WATERS:
                continue
            service, commodity = _WATERS[price.service]
            litres = norm_quantity(
                norms[commodity], price.norm_code or code, day, rooms=room, persons=persons
            )
            months[str(service)] = None if litres is None else water_month_minor(price, litres, day)
        found[account.id] = months
    return found


def debts_as_judged(
    session: Session,
    account_ids: Sequence[AccountId],
    rules: DebtRules,
    flags: Mapping[AccountId, Flags],
) -> dict[AccountId, AccountDebts]:
    """Return the debts of accounts as their services are judged by.

    A contract that lends an emergency credit is paid ahead; everyone else has the law's due days.
    """
    ahead = frozenset(
        i for i in account_ids if rules.guard_set(flags.get(i, Flags()).guard_set).emergency_credit
    )
    return store.debts_of(session, account_ids, rules.due_on, paying_ahead=ahead)


def debts_by_law(
    session: Session, account_ids: Sequence[AccountId], rules: DebtRules
) -> dict[AccountId, AccountDebts]:
    """Return the debts of accounts as the law's due days make them: for late fees and documents."""
    return store.debts_of(session, account_ids, rules.due_on)


def _versions(
    session: Session, accounts: Sequence[BilledAccount], day: date
) -> dict[tuple[TariffPlanId, str], TariffVersion]:
    """Return the version of each plan that holds on a day, by plan and zone."""
    found: dict[tuple[TariffPlanId, str], TariffVersion] = {}
    by_zone: dict[str, set[TariffPlanId]] = {}
    for account in accounts:
        by_zone.setdefault(account.zone.key, set()).add(account.plan_id)
    for key, plan_ids in by_zone.items():
        zone = ZoneInfo(key)
        in_force = versions_in_force(session, sorted(plan_ids), local_day(day, zone), zone)
        found.update({(p, key): held[-1][1] for p, held in in_force.items() if held})
    return found


@lru_cache(maxsize=4)
def _holidays_from(year: int) -> frozenset[date]:
    """Return the days off beside weekends, of a year and the next, as far as they are decreed.

    Each year a decree moves days off to working days; a year of which the calendar knows no moved
    day has no decree yet, and is not known: none of its days is told.
    """
    always = {(day.month, day.day) for day in _days_off(_NO_DECREE)}
    found: set[date] = set()
    for one in (year, year + 1):
        off = _days_off(one)
        if any((day.month, day.day) not in always for day in off):
            found.update(off)
    return frozenset(found)


_NO_DECREE: Final = 2090
"""A year so far ahead that its days off are those of the law alone."""


def _days_off(year: int) -> list[date]:
    first = date(year, 1, 1)
    days = (first + timedelta(days=n) for n in range((date(year, 12, 31) - first).days + 1))
    return [day for day in days if CALENDAR.type_of(day) is DayType.HOLIDAY]


def _by_account(found: Mapping[tuple[AccountId, str], T]) -> dict[AccountId, dict[str, T]]:
    made: dict[AccountId, dict[str, T]] = {}
    for (account_id, service), one in found.items():
        made.setdefault(account_id, {})[service] = one
    return made
