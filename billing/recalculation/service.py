"""Closed months that may be wrong, and the lines that put them right; nothing is written here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from billing.charges import AccountCharge, NewLine, correcting_lines
from billing.law import in_force
from billing.models import CorrectionReason, Service
from billing.month.service import rate_month
from billing.recalculation import store
from billing.recalculation.changes import (
    ESTIMATES_BACK_MONTHS,
    LOOK_BACK_MONTHS,
    SPECIFICITY,
    Change,
    Place,
    Reasons,
    SuspectedMonths,
    cause_of,
    most_specific,
)
from billing.recalculation.learned import store as learned
from billing.store import billed_accounts, last_line_ids, retailer_zone, standing_lines
from kilokassa.core.calendar import Month
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class Correction:
    """What turns the standing lines of an account's closed month into the right ones."""

    month: Month
    charge: AccountCharge
    """Reversing and right lines, each with the reason."""
    reason: CorrectionReason
    """The most specific of its lines."""
    before_digest: str
    after_digest: str

    @property
    def difference_minor(self) -> int:
        """What the account owes more; negative where it was charged too much."""
        return sum(line.amount_minor for line in self.charge.lines)


def suspected_months(
    session: Session, account_ids: Sequence[AccountId], month: Month, *, learned_on: date
) -> SuspectedMonths:
    """Return the months before `month` of which something was learned after their first close.

    Months further back than the limit that holds on `learned_on` are told apart, but for those
    that were charged by an estimate which a reading has replaced since: what is charged must in the
    end be what the meter counted. A month that an account has not closed is none of these.
    """
    zone = retailer_zone(session)
    closes = store.first_closes(session, month, zone)
    early = store.early_closes(session, account_ids, month, zone)
    others = [i for i in account_ids if i not in early]
    found = _suspected(session, others, month, closes, learned_on)
    for account_id, own in early.items():
        mine = _suspected(session, [account_id], month, closes | own, learned_on)
        for months, of_mine in ((found.months, mine.months), (found.beyond, mine.beyond)):
            for charged, reasons in of_mine.items():
                months.setdefault(charged, {}).update(reasons)
    return found


def _suspected(
    session: Session,
    account_ids: Sequence[AccountId],
    month: Month,
    closes: Mapping[Month, datetime],
    learned_on: date,
) -> SuspectedMonths:
    found = SuspectedMonths()
    if not closes or not account_ids:
        return found
    places = store.places_of(session, account_ids)
    uses = learned.plan_uses(session)
    changes = learned.changes_since(session, min(closes.values()), uses)
    reaches = uses.reaches_back
    look_back = in_force(LOOK_BACK_MONTHS, learned_on).value
    estimates_back = in_force(ESTIMATES_BACK_MONTHS, learned_on).value
    for charged, closed_at in closes.items():
        back = month.ordinal - charged.ordinal
        causes = _Causes.of([c for c in changes if c.touches(charged, closed_at)])
        plans = store.plans_in(session, charged) if causes.by_plan or reaches else {}
        read = learned.accounts_with_later_readings(session, charged, closed_at)
        if reaches:
            read |= _with_earlier_readings(session, charged, closed_at, plans, reaches)
        replaced = (
            learned.accounts_with_replaced_estimates(session, charged)
            if look_back < back <= estimates_back
            else set()
        )
        if not causes and not read:
            continue
        for place in places.values():
            if place.closed_through is not None and place.closed_through < charged:
                continue
            reasons = causes.concerning(place, plans.get(place.account_id, frozenset()))
            if place.account_id in read:
                reasons.add(CorrectionReason.READINGS)
            if not reasons:
                continue
            within = back <= look_back or place.account_id in replaced
            months = found.months if within else found.beyond
            in_order = tuple(sorted(reasons, key=SPECIFICITY.index))
            months.setdefault(charged, {})[place.account_id] = in_order
    return found


def _with_earlier_readings(
    session: Session,
    charged: Month,
    closed_at: datetime,
    plans: Mapping[AccountId, frozenset[int]],
    reaches: Mapping[int, tuple[bool, int]],
) -> set[int]:
    """Return the accounts whose plan makes the month depend on earlier days that changed since."""
    found: set[int] = set()
    by_first: dict[date, set[int]] = {}
    for plan_id, (yearly, months) in reaches.items():
        first_on = charged.plus(-months).first_day
        if yearly:
            first_on = min(first_on, date(charged.year, 1, 1))
        by_first.setdefault(first_on, set()).add(plan_id)
    for first_on, plan_ids in by_first.items():
        if first_on < charged.first_day:
            read = learned.accounts_with_later_readings(
                session, charged, closed_at, first_on=first_on
            )
            found |= {i for i in read if not plan_ids.isdisjoint(plans.get(AccountId(i), ()))}
    return found


@dataclass(frozen=True, slots=True)
class _Causes:
    """The causes of one month by what they concern."""

    by_account: dict[int, set[CorrectionReason]]
    by_premises: dict[int, set[CorrectionReason]]
    by_building: dict[int, set[CorrectionReason]]
    by_plan: dict[int, set[CorrectionReason]]

    @classmethod
    def of(cls, changes: Sequence[Change]) -> "_Causes":
        causes = cls({}, {}, {}, {})
        for change in changes:
            for ids, by_id in (
                (change.account_ids, causes.by_account),
                (change.premises_ids, causes.by_premises),
                (change.building_ids, causes.by_building),
                (change.plan_ids, causes.by_plan),
            ):
                for each in ids:
                    by_id.setdefault(each, set()).add(change.reason)
        return causes

    def __bool__(self) -> bool:
        return bool(self.by_account or self.by_premises or self.by_building or self.by_plan)

    def concerning(self, place: Place, plan_ids: frozenset[int]) -> set[CorrectionReason]:
        none: set[CorrectionReason] = set()
        return none.union(
            self.by_account.get(place.account_id, none),
            self.by_premises.get(place.premises_id, none),
            self.by_building.get(place.building_id, none),
            *(self.by_plan.get(plan_id, none) for plan_id in plan_ids),
        )


def corrections(
    session: Session,
    suspected: Mapping[Month, Mapping[AccountId, Reasons]],
    *,
    known_at: datetime | None = None,
) -> dict[Month, dict[AccountId, Correction]]:
    """Return what puts suspected months right; where they are right already, nothing is said.

    With `known_at`, right is what follows from what was recorded up to then.
    """
    found: dict[Month, dict[AccountId, Correction]] = {}
    for charged in sorted(suspected):
        reasons = suspected[charged]
        account_ids = list(reasons)
        standing = standing_lines(session, account_ids, charged)
        last = last_line_ids(session, account_ids, charged)
        accounts = billed_accounts(session, account_ids, charged, known_at=known_at)
        rated = rate_month(session, accounts, charged, known_at=known_at)
        for account in accounts:
            before, after = standing.get(account.id, ()), rated.charges[account.id]
            if account.id in rated.refused:
                after = _with_what_stands(after, before)
            lines = tuple(
                replace(line, reason=cause_of(line, reasons[account.id]))
                for line in correcting_lines(before, after.lines)
            )
            if lines:
                found.setdefault(charged, {})[account.id] = Correction(
                    charged,
                    AccountCharge(
                        account.id, lines, after.warnings, follows=last.get(account.id, 0)
                    ),
                    most_specific(filter(None, (line.reason for line in lines))),
                    before_digest=_digest(before),
                    after_digest=_digest(after.lines),
                )
    return found


def _with_what_stands(right: AccountCharge, standing: Sequence[NewLine]) -> AccountCharge:
    """Keep the electricity that was charged: what cannot be priced again is not given back."""
    kept = [line for line in standing if line.service is Service.ELECTRICITY]
    return replace(right, lines=(*kept, *right.lines))


def _digest(lines: Sequence[NewLine]) -> str:
    return digest_text(
        "|".join(
            sorted(
                f"{n.service}:{n.key}:{n.quantity}:{n.rate_scaled}:{n.amount_minor}:{n.input_digest}"
                for n in lines
            )
        )
    )
