"""The demo town's debtors: one in each state, an agreement kept and one broken, one protected."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.debts.service import DebtRules, recompute
from kilokassa.app.debts import agreement_terms, order_limitation_notices, set_flag, sign
from kilokassa.app.late_fees import charge_late_fees
from kilokassa.app.service_states import decide_services
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.demo.estimates import NORM_CODE
from kilokassa.demo.population import TownPlan
from metering.registry.service import BuildingEdit, edit_building
from metering.registry.store import building_by_code
from notices.desk.service import DeliveryOrder, record_delivery
from notices.models import NoticeRow
from notices.notice import DeliveryMethod, NoticeKind
from wallet.debts.flags import NO, YES, FlagKind
from wallet.debts.late_fee import late_fee_rules
from wallet.debts.models import AccountFlagRow
from wallet.debts.service import SignOrder, SupplyOrder, record_supply
from wallet.debts.service_state import Supply

ELECTRICITY: Final = "electricity"
VISIT: Final = "акт обхода (демо)"


@dataclass(frozen=True, slots=True)
class _Story:
    """What happened to a debtor, in days before today; None did not happen."""

    vulnerable: str | None = NO
    noticed: int | None = None
    delivered: int | None = None
    signed: int | None = None
    first_due: int = 0
    """When the first instalment was to be paid, in days after today."""
    supply: Supply = Supply.FULL


STORIES: Final = (
    _Story(supply=Supply.LIMITED),  # limited without a notice: to be restored
    _Story(noticed=75, delivered=70, supply=Supply.OFF),  # suspended
    _Story(signed=60, first_due=-30),  # an agreement that is broken: a notice is due
    _Story(noticed=30, delivered=25),  # limited: the days after the notice are over
    _Story(noticed=8, delivered=5),  # a notice was delivered
    _Story(signed=10, first_due=20),  # an agreement that is kept
    _Story(vulnerable=YES),  # protected
)
"""Of the town's debtors, who stopped paying first first; whoever else owes was never asked."""


def ensure_debts(
    application: Application, plan: TownPlan, ids: Mapping[str, AccountId], scope: Scope
) -> None:
    """Let the town's debtors have their stories, once; then decide and charge up to today.

    The demo knows no key rate of today: it takes the last one as known, and says where it shows it.
    """
    with application.database.reading() as session:
        told = session.scalar(select(func.count()).select_from(AccountFlagRow))
    if not told:
        owing = sorted(
            (one for one in plan.accounts if one.payment.stops_from is not None),
            key=lambda one: (str(one.payment.stops_from), one.number),
        )
        _know_norms(application, {one.building_code for one in owing}, scope)
        for one, story in zip(owing, STORIES, strict=False):
            _tell(application, plan, ids[one.number], story, scope)
    rules = DebtRules(late_fees=replace(late_fee_rules(), key_rates_known_until=plan.today))
    charge_late_fees(application, scope=scope, rules=rules, charging=True)
    decide_services(application, scope=scope)


def _know_norms(application: Application, codes: Iterable[str], scope: Scope) -> None:
    """Let the debtors' houses have norms: a debt is measured by them, and what follows from it."""
    with application.database.writing() as session:
        for code in sorted(codes):
            found = building_by_code(session, scope, code)
            order = BuildingEdit(
                scope=scope,
                code=code,
                address=found.address,
                company_code=found.company_code,
                servicer_code=found.servicer_code,
                place=found.place,
                loss_ppm=found.loss_ppm,
                loss_w=found.loss_w,
                norm_code=found.norm_code or NORM_CODE,
            )
            edit_building(session, order, application.clock)


def _tell(
    application: Application,
    plan: TownPlan,
    account_id: AccountId,
    story: _Story,
    scope: Scope,
) -> None:
    database = application.database

    def at(days_ago: int, hour: int = 10) -> FixedClock:
        instant = local_midnight(plan.today - timedelta(days=days_ago), plan.zone)
        return FixedClock(min(instant + timedelta(hours=hour), application.clock.now()))

    if story.vulnerable is not None:
        with database.writing() as session:
            set_flag(
                session,
                scope,
                account_id,
                FlagKind.VULNERABLE,
                story.vulnerable,
                since=plan.today - timedelta(days=100),
                document=VISIT,
                clock=at(80),
            )
    if story.noticed is not None and story.delivered is not None:
        with database.writing() as session:
            recompute(session, [account_id], at(story.noticed))
            order_limitation_notices(session, at(story.noticed))
            _deliver(session, account_id, scope, at(story.delivered))
            recompute(session, [account_id], at(story.delivered, 12))
    if story.signed is not None:
        with database.writing() as session:
            _sign(session, plan, account_id, story, scope, at(story.signed))
    if story.supply is not Supply.FULL:
        with database.writing() as session:
            since = at(3)
            order = SupplyOrder(account_id, ELECTRICITY, story.supply, since.at, "read back (demo)")
            recompute(session, [account_id], at(4))
            record_supply(session, scope, order, since)


def _deliver(session: Session, account_id: AccountId, scope: Scope, clock: FixedClock) -> None:
    notices: Sequence[int] = session.scalars(
        select(NoticeRow.id).where(
            NoticeRow.account_id == account_id, NoticeRow.kind == NoticeKind.LIMITATION
        )
    ).all()
    for notice_id in notices:
        order = DeliveryOrder(
            notice_id, DeliveryMethod.RECEIPT_IN_HAND, clock.at, "расписка в получении (демо)"
        )
        record_delivery(session, scope, order, clock)


def _sign(
    session: Session,
    plan: TownPlan,
    account_id: AccountId,
    story: _Story,
    scope: Scope,
    clock: FixedClock,
) -> None:
    try:
        terms = agreement_terms(
            session,
            account_id,
            months=6,
            first_due_on=plan.today + timedelta(days=story.first_due),
            rate_bp=0,
            clock=clock,
        )
        sign(session, scope, SignOrder(account_id, terms, VISIT, f"demo:{account_id}"), clock)
    except DomainError:
        # A town of other days may owe too little by then: it has one story less.
        return
