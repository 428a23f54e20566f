"""The facts that the state of a service is decided by, composed from what subjects know; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from billing.debts.bills import AccountDebts
from kilokassa.core.calendar import local_date, local_midnight
from kilokassa.core.ids import AccountId
from wallet.debts.agreements import Agreement
from wallet.debts.flags import Flags
from wallet.debts.service_state import (
    DeliveredNotice,
    GuardSet,
    ServiceFacts,
    Supply,
    SupplyState,
)


@dataclass(frozen=True, slots=True)
class AccountInputs:
    """All that is known of an account when its services are judged; None is not known."""

    account_id: AccountId
    zone: ZoneInfo
    debts: AccountDebts
    flags: Flags
    posted_minor: int | None = None
    """What a prepaid account may spend; None for one that pays after the month."""
    low_below_minor: int = 0
    norm_months: Mapping[str, int | None] | None = None
    """A month by the norm at today's price, in kopecks, by service."""
    apartment_house: bool | None = None
    """What the registry says; a flag overrules it."""
    agreements: Sequence[Agreement] = ()
    holidays: frozenset[date] | None = None
    notices: Mapping[str, DeliveredNotice] | None = None
    supplies: Mapping[str, SupplyState] | None = None
    shared: bool = False
    """Whether another account is open at the same premises."""
    suspense_minor: int = 0
    """Money in suspense that may be this account's."""
    within_until: Mapping[str, datetime] | None = None
    """Until when a decision said last that the debt was not above what is allowed, by service."""


def service_facts(
    inputs: AccountInputs, service: str, guards: GuardSet, at: datetime
) -> ServiceFacts:
    """Return what is known of one service of an account at an instant.

    The debt is what is overdue for the service: the due day itself is kept to its end. A payment
    counts at once.
    """
    today = local_date(at, inputs.zone)
    debts, flags = inputs.debts, inputs.flags
    debt_minor = debts.overdue_minor(service, today)
    norm_minor = None if inputs.norm_months is None else inputs.norm_months.get(service)
    supply = (inputs.supplies or {}).get(service, SupplyState(Supply.FULL, None, at))
    return ServiceFacts(
        at=at.astimezone(UTC),
        zone=inputs.zone,
        service=service,
        available_minor=inputs.posted_minor,
        low_below_minor=inputs.low_below_minor,
        debt_minor=debt_minor,
        norm_month_minor=norm_minor,
        credit_minor=flags.credit_minor,
        above_since=_above_since(inputs, service, guards, norm_minor, today),
        agreement=standing_agreement(inputs.agreements, debts, today) is not None,
        in_apartment_house=(
            inputs.apartment_house if flags.apartment_house is None else flags.apartment_house
        ),
        vulnerable=flags.vulnerable,
        never_cut=flags.never_cut,
        shared=inputs.shared,
        suspense_minor=inputs.suspense_minor,
        holidays=inputs.holidays,
        notice=(inputs.notices or {}).get(service),
        supply=supply.supply,
        limited_at=None if supply.supply is Supply.FULL else supply.since,
        pending=supply.pending,
        settled_at=_settled_at(inputs, debt_minor, today),
    )


def standing_agreement(
    agreements: Sequence[Agreement], debts: AccountDebts, on: date
) -> Agreement | None:
    """Return the agreement that stands and is kept on a day."""
    return next((one for one in agreements if one.stands(one.paid_since(debts.paid), on)), None)


def kept_facts(facts: ServiceFacts) -> dict[str, Any]:
    """Return facts as a decision keeps them, so that it can be explained later."""
    notice = facts.notice
    return {
        "at": facts.at.isoformat(),
        "available_minor": facts.available_minor,
        "debt_minor": facts.debt_minor,
        "norm_month_minor": facts.norm_month_minor,
        "credit_minor": facts.credit_minor,
        "above_since": _iso(facts.above_since),
        "agreement": facts.agreement,
        "in_apartment_house": facts.in_apartment_house,
        "vulnerable": facts.vulnerable,
        "never_cut": facts.never_cut,
        "shared": facts.shared,
        "suspense_minor": facts.suspense_minor,
        "notice_at": None if notice is None else notice.delivered_at.isoformat(),
        "notice_proof": "" if notice is None else notice.proof[:200],
        "supply": str(facts.supply),
        "limited_at": _iso(facts.limited_at),
        "pending": None if facts.pending is None else str(facts.pending),
        "settled_at": _iso(facts.settled_at),
    }


def _above_since(
    inputs: AccountInputs, service: str, guards: GuardSet, norm_minor: int | None, today: date
) -> datetime | None:
    """Return since when the debt is above what the set allows; None where that is not known.

    Days of bills and payments may be told after them: a payment is taken back as if it had never
    come, a bill is closed past its due day. The customer was told otherwise until that was decided,
    so a notice from before it is of another debt.
    """
    if guards.norm_months and norm_minor is None:
        return None
    if guards.emergency_credit and inputs.flags.credit_minor is None:
        return None
    bound_minor = guards.norm_months * (norm_minor or 0)
    if guards.emergency_credit:
        bound_minor += inputs.flags.credit_minor or 0
    since = inputs.debts.settled.above_since(service, bound_minor, today)
    if since is None:
        return None
    told = (inputs.within_until or {}).get(service)
    begins = local_midnight(since, inputs.zone)
    return begins if told is None else max(begins, told)


def _settled_at(inputs: AccountInputs, debt_minor: int, today: date) -> datetime | None:
    agreement = standing_agreement(inputs.agreements, inputs.debts, today)
    if debt_minor > 0:
        return None if agreement is None else agreement.recorded_at
    return inputs.debts.last_paid_at


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
