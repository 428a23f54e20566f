"""What is shown of debts: the debtors in reach, and one account's debt with all behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.debts import store as debts_store
from billing.debts.bills import AccountDebts
from billing.debts.service import (
    DebtRules,
    debts_as_judged,
    debts_by_law,
    norm_months,
    rules_of,
)
from billing.models import AccountRow
from kilokassa.app.debts import RULE_WORDS, AgreementView, agreement_views, instalments_offered
from kilokassa.app.late_fees import NOT_CHARGED, ComputedFee, computed_fees, standing_warnings
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.core.text import filled, mark
from kilokassa.db.slices import in_slices
from metering.models import BuildingRow, PremisesRow
from wallet.debts import store as debt_store
from wallet.debts.bills import SettledBill
from wallet.debts.flags import Flags, StatedFlag
from wallet.debts.service_state import (
    GuardSet,
    ServiceState,
)
from wallet.debts.store import ChargedFee, DecisionView
from wallet.store import closed_through

RULE_FROM_MEMORY: Final = mark(
    "A rule of limitation was not checked against its source: %(problem)s."
)


@dataclass(frozen=True, slots=True)
class Debtor:
    """How one service of an account stands, as a list of debtors shows it."""

    account_id: AccountId
    number: str
    payer_name: str
    building_code: str
    address: str
    premises: str
    decision: DecisionView
    debt_minor: int
    """What is overdue by now; the decision keeps what was when it was made."""
    overdue_since: date | None
    days: int | None
    """How many days it is overdue, today counted."""


@dataclass(frozen=True, slots=True)
class ServiceDebt:
    """What is owed for one service of an account."""

    service: str
    overdue_minor: int
    overdue_since: date | None
    not_due_minor: int
    """Billed, and still to be paid without delay."""
    norm_month_minor: int | None
    decision: DecisionView | None


@dataclass(frozen=True, slots=True)
class DebtView:
    """All that is known of an account's debt."""

    account_id: AccountId
    today: date
    services: tuple[ServiceDebt, ...]
    bills: tuple[SettledBill, ...]
    """Those that are not paid in full."""
    opening_minor: int
    fees_minor: int
    ahead_minor: int
    flags: Flags
    statements: tuple[StatedFlag, ...]
    guards: GuardSet
    agreements: tuple[AgreementView, ...]
    history: tuple[DecisionView, ...]
    computed: tuple[ComputedFee, ...]
    charged: tuple[ChargedFee, ...]
    offered_for: Month | None
    """The month whose bill grew so much that instalments must be offered."""
    warnings: tuple[str, ...]

    @property
    def overdue_minor(self) -> int:
        """What is overdue of all services."""
        return sum(one.overdue_minor for one in self.services)

    @property
    def owed_minor(self) -> int:
        """What is to be paid by now: overdue bills, old debt, late fees and interest."""
        return self.overdue_minor + self.opening_minor + self.fees_minor


def debtors(
    session: Session,
    scope: Scope,
    clock: Clock,
    *,
    state: ServiceState | None = None,
    building_code: str = "",
) -> tuple[Debtor, ...]:
    """Return the services in reach that do not stand as normal, the harshest state first.

    Those that are only low are told of by notices and left out, unless they are asked for.
    """
    decisions = [
        one
        for one in debt_store.decisions_in_reach(session, scope, state=state)
        if state is not None or one.state not in (ServiceState.NORMAL, ServiceState.LOW)
    ]
    ids = sorted({one.account_id for one in decisions})
    places = _places(session, ids)
    zones = debts_store.zones_of(session, ids)
    on = local_date(clock.now(), billing_store.retailer_zone(session))
    flags = debt_store.flags_on(session, ids, on)
    debts = debts_as_judged(session, ids, rules_of(session), flags)
    order = list(ServiceState)
    found = []
    for one in decisions:
        number, payer, code, address, premises = places[one.account_id]
        if building_code and code != building_code:
            continue
        today = local_date(clock.now(), zones[one.account_id])
        since = debts[one.account_id].overdue_since(one.service, today)
        days = None if since is None else (today - since).days + 1
        found.append(
            Debtor(
                account_id=one.account_id,
                number=number,
                payer_name=payer,
                building_code=code,
                address=address,
                premises=premises,
                decision=one,
                debt_minor=debts[one.account_id].overdue_minor(one.service, today),
                overdue_since=since,
                days=days,
            )
        )
    found.sort(key=lambda d: (-order.index(d.decision.state), -d.debt_minor))
    return tuple(found)


def debt_view(
    application: Application, session: Session, scope: Scope, account_id: AccountId
) -> DebtView:
    """Return all that is known of the debt of an account in reach."""
    billing_store.account_in_reach(session, scope, account_id)
    clock, rules = application.clock, rules_of(session)
    zone = debts_store.zones_of(session, [account_id])[account_id]
    today = local_date(clock.now(), zone)
    debts = debts_by_law(session, [account_id], rules)[account_id]
    history = debt_store.decisions_in_reach(session, scope, account_id=account_id, latest=False)
    latest = {one.service: one for one in history if one.latest}
    accounts = billing_store.billed_accounts(session, [account_id], Month.of(today))
    norms = norm_months(session, accounts, today).get(account_id, {})
    flags = debt_store.flags_on(session, [account_id], today).get(account_id, Flags())
    guards = rules.guard_set(flags.guard_set)
    closed = closed_through(session, [account_id]).get(account_id)
    offered = None
    if closed is not None:
        last = Month.from_ordinal(closed)
        offered = last if account_id in instalments_offered(session, [account_id], last) else None
    computed = computed_fees(session, [account_id], rules, today)[account_id]
    charged = debt_store.fees_in_reach(session, scope, account_id)
    return DebtView(
        account_id=account_id,
        today=today,
        services=_services(debts, latest, norms, today),
        bills=tuple(one for one in debts.settled.bills if one.left_minor(today)),
        opening_minor=debts.opening_minor,
        fees_minor=debts.fees_minor,
        ahead_minor=debts.ahead_minor,
        flags=flags,
        statements=debt_store.flag_statements(session, scope, account_id),
        guards=guards,
        agreements=agreement_views(session, scope, clock, account_id),
        history=history,
        computed=computed,
        charged=charged,
        offered_for=offered,
        warnings=_warnings(application, rules, guards, computed, charged, today),
    )


def account_numbers(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, str]:
    """Return the numbers of accounts; the caller may see them."""
    return {account_id: place[0] for account_id, place in _places(session, account_ids).items()}


def _services(
    debts: AccountDebts,
    latest: Mapping[str, DecisionView],
    norms: Mapping[str, int | None],
    today: date,
) -> tuple[ServiceDebt, ...]:
    found = []
    for service in sorted({*debts.services, *latest}):
        left_minor = sum(
            one.left_minor(today) for one in debts.settled.bills if one.bill.service == service
        )
        overdue_minor = debts.overdue_minor(service, today)
        if left_minor or service in latest:
            found.append(
                ServiceDebt(
                    service=service,
                    overdue_minor=overdue_minor,
                    overdue_since=debts.overdue_since(service, today),
                    not_due_minor=left_minor - overdue_minor,
                    norm_month_minor=norms.get(service),
                    decision=latest.get(service),
                )
            )
    return tuple(found)


def _warnings(
    application: Application,
    rules: DebtRules,
    guards: GuardSet,
    computed: Sequence[ComputedFee],
    charged: Sequence[ChargedFee],
    today: date,
) -> tuple[str, ...]:
    found = [
        text
        for text in standing_warnings(application, rules, today)
        # Who was charged one is not told that none is.
        if not (charged and text == NOT_CHARGED)
    ]
    for one in computed:
        found += [text for text in one.warnings if text not in found]
    for step in charged:
        found += [text for text in step.table.get("warnings", ()) if text not in found]
    found += [
        filled(RULE_FROM_MEMORY, problem=RULE_WORDS.get(rule, rule)) for rule in guards.from_memory
    ]
    return tuple(found)


def _places(
    session: Session, account_ids: Sequence[AccountId]
) -> dict[AccountId, tuple[str, str, str, str, str]]:
    """Return number, payer, building code, address and premises of accounts."""
    found: dict[AccountId, tuple[str, str, str, str, str]] = {}
    for ids in in_slices(account_ids):
        query = (
            select(
                AccountRow.id,
                AccountRow.number,
                AccountRow.payer_name,
                BuildingRow.code,
                BuildingRow.address,
                PremisesRow.number.label("premises"),
            )
            .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
            .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
            .where(AccountRow.id.in_(ids))
        )
        for row in session.execute(query):
            found[AccountId(row.id)] = (
                row.number,
                row.payer_name,
                row.code,
                row.address,
                row.premises,
            )
    return found
