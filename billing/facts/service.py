"""Use cases of dated facts: state one, take one back; nothing that was stated is overwritten."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.facts.facts import (
    Absence,
    Dated,
    FactOrder,
    Stated,
    Subject,
    Term,
    TermsOrder,
    changed_within_a_month,
    too_many_away,
    value_on,
)
from billing.facts.store import (
    charged_months_from,
    concession_names,
    standing_term_rows,
    term_of,
    zone_of_account,
)
from billing.models import (
    AbsenceRow,
    AccountFactRow,
    AccountRow,
    AccountTermRow,
    EntitlementRow,
    FactKind,
)
from kilokassa.core.calendar import Month, local_date, local_day
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, NotFound
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from metering.registry.areas import BEGINNING, StatedArea, month_handed_in
from metering.registry.service import state_area, withdraw_area
from tariffs.models import TariffPlanRow
from tariffs.store import plan_by_code, versions_in_force

PERSONS_MAX: Final = 100
POWER_W_MAX: Final = 10**9
TEXT_MAX: Final = 200
YEAR_MAX: Final = 2099
"""Nothing that is stated of an account begins or ends later; without an end it has no last day."""

_KINDS: Final = {
    Subject.PERSONS: FactKind.PERSONS,
    Subject.CONTRACTED_POWER: FactKind.CONTRACTED_W,
}


@dataclass(frozen=True, slots=True)
class _Change:
    """An account that a person changes, locked until the transaction ends."""

    session: Session
    account: AccountRow
    zone: ZoneInfo
    actor: str
    clock: Clock

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def id(self) -> AccountId:
        return AccountId(self.account.id)

    @property
    def today(self) -> date:
        return local_date(self.now, self.zone)


def state(session: Session, scope: Scope, order: FactOrder, clock: Clock) -> Stated:
    """Write down a fact of an account in reach; the same again changes nothing.

    Another value for the same day takes the former one's place, which is kept. A concession that
    is stated again from its first day with another last day ends then. A plan keeps the settlement
    and the measurement that hold.
    """
    change = _begin(session, scope, order.account_id, clock)
    document = " ".join(order.document.split())
    if len(document) > TEXT_MAX:
        problem = mark("it is longer than %(most)s characters")
        raise Invalid(where=mark("document"), problem=problem, most=TEXT_MAX)
    _within_account(change.account, order.since, order.until)
    since = _STATE[order.subject](change, order, document)
    if since is None:
        return Stated(changed=False)
    until = order.until if order.subject is Subject.ABSENCE else None
    return Stated(True, charged_months_from(session, change.id, since, until))


def withdraw(
    session: Session,
    scope: Scope,
    account_id: AccountId,
    subject: Subject,
    statement_id: int,
    clock: Clock,
) -> Stated:
    """Take a statement of an account in reach back: what stood before it holds again.

    What was stated first of the plan, the persons or the area stays: something must hold.
    """
    change = _begin(session, scope, account_id, clock)
    if subject is Subject.AREA:
        since = withdraw_area(
            session, change.account.premises_id, statement_id, change.today, clock
        )
        months = () if since is None else charged_months_from(session, account_id, since)
        return Stated(since is not None, months)
    row = session.get(_TABLES[subject], statement_id, populate_existing=True)
    if row is None or row.account_id != account_id or not _is_of(row, subject):
        raise NotFound(what=mark("stated fact"), name=str(statement_id))
    if row.superseded_at is not None:
        return Stated(changed=False)
    since = row.first_on if isinstance(row, AbsenceRow) else row.valid_from
    _refuse_first(change, row, since)
    row.superseded_at = change.now
    session.flush()
    _show_persons(change)
    return Stated(True, charged_months_from(session, account_id, since))


def change_terms(session: Session, order: TermsOrder, clock: Clock) -> Stated:
    """Let other terms hold for an account from a local day on; the same again changes nothing.

    The plan may change on any day of a month, settlement and measurement only with its first. The
    caller demands the right: a clerk's is another than a resident's.
    """
    account = session.scalars(_locking(order.account_id)).one()
    _within_account(account, order.valid_from, None)
    zone = zone_of_account(session, order.account_id)
    plan = session.get(TariffPlanRow, order.plan_id)
    if plan is None:
        raise NotFound(what=mark("tariff plan"), name=str(order.plan_id))
    _in_force(session, plan, order.valid_from, zone)
    rows = standing_term_rows(session, order.account_id)
    standing = {row.valid_from: row for row in rows}
    wanted = Term(order.valid_from, order.plan_id, order.settlement, order.measurement)
    former = standing.get(order.valid_from)
    if former is not None and term_of(former) == wanted:
        return Stated(changed=False)
    after = [term_of(row) for row in rows if row is not former] + [wanted]
    _by_whole_months(after)
    now = clock.now()
    if former is not None:
        former.superseded_at = now
        session.flush()
    session.add(
        AccountTermRow(
            account_id=order.account_id,
            valid_from=order.valid_from,
            plan_id=order.plan_id,
            settlement=order.settlement,
            measurement=order.measurement,
            actor=order.actor,
            recorded_at=now,
            superseded_at=None,
        )
    )
    session.flush()
    return Stated(True, charged_months_from(session, order.account_id, order.valid_from))


def keep_persons_told(
    session: Session, persons: Mapping[AccountId, int], actor: str, clock: Clock
) -> None:
    """Keep persons that a file tells anew: from the month that is running, the former before it."""
    for account_id, count in sorted(persons.items()):
        account = session.scalars(_locking(account_id)).one()
        change = _Change(session, account, zone_of_account(session, account_id), actor, clock)
        since = max(Month.of(change.today).first_day, account.opened_on)
        _state_number(change, FactKind.PERSONS, since, count, "")


def _begin(session: Session, scope: Scope, account_id: AccountId, clock: Clock) -> _Change:
    scope.demand(Right.MANAGE_ACCOUNTS)
    query = _locking(account_id).where(account_in_scope(AccountRow.__table__.c.id, scope))
    account = session.scalars(query).one_or_none()
    if account is None:
        raise NotFound(what=mark("account"), name=str(account_id))
    zone = zone_of_account(session, account_id)
    return _Change(session, account, zone, scope.actor, clock)


def _locking(account_id: AccountId) -> Any:  # noqa: ANN401 - a select that locks its row
    """Return the query of an account: whoever states something of it waits for the one before."""
    return select(AccountRow).where(AccountRow.id == account_id).with_for_update()


def _within_account(account: AccountRow, since: date, until: date | None) -> None:
    for where, day in ((mark("first day"), since), (mark("last day"), until)):
        if day is not None and day.year > YEAR_MAX:
            raise Invalid(where=where, problem=mark("%(day)s is too far from today"), day=str(day))
    if until is not None and until < since:
        raise Invalid(
            where=mark("last day"),
            problem=mark("%(until)s is before the first day, %(since)s"),
            until=str(until),
            since=str(since),
        )
    if since < account.opened_on:
        raise Invalid(
            where=mark("first day"),
            problem=mark("%(day)s is before the account was opened, on %(opened)s"),
            day=str(since),
            opened=str(account.opened_on),
        )
    last = until or since
    if account.closed_on is not None and last >= account.closed_on:
        raise Invalid(
            where=mark("last day") if until else mark("first day"),
            problem=mark("%(day)s is after the account was closed, on %(closed)s"),
            day=str(last),
            closed=str(account.closed_on),
        )


def _not_to_come(change: _Change, since: date) -> None:
    if since > change.today:
        problem = mark("%(day)s is still to come: it is stated when it has happened")
        raise Invalid(where=mark("first day"), problem=problem, day=str(since))


def _needs(document: str) -> None:
    if not document:
        problem = mark("name the document that proves it")
        raise Invalid(where=mark("document"), problem=problem)


def _state_persons(change: _Change, order: FactOrder, document: str) -> date | None:
    if not 0 <= order.value <= PERSONS_MAX:
        problem = mark("%(value)s is not between 0 and %(most)s")
        raise Invalid(
            where=mark("registered persons"), problem=problem, value=order.value, most=PERSONS_MAX
        )
    _not_to_come(change, order.since)
    return _state_number(change, FactKind.PERSONS, order.since, order.value, document)


def _state_power(change: _Change, order: FactOrder, document: str) -> date | None:
    if not 0 < order.value <= POWER_W_MAX:
        raise Invalid(
            where=mark("contracted power"),
            problem=mark("it is more than zero and at most 1,000,000 kW"),
        )
    kind = FactKind.CONTRACTED_W
    return _state_number(change, kind, order.since, order.value, document)


def _state_number(
    change: _Change, kind: FactKind, since: date, value: int, document: str
) -> date | None:
    session, account = change.session, change.account
    standing = {row.valid_from: row for row in _standing_facts(change, kind)}
    if kind is FactKind.PERSONS and not standing:
        first = _fact(change, kind, account.opened_on, account.persons, "")
        first.actor, first.recorded_at = "", BEGINNING
        session.add(first)
        standing[first.valid_from] = first
    former = standing.get(since)
    if former is not None:
        if (former.value, former.document) == (value, document):
            session.flush()
            return None
        former.superseded_at = change.now
        session.flush()
    session.add(_fact(change, kind, since, value, document))
    session.flush()
    _show_persons(change)
    return since


def _state_absence(change: _Change, order: FactOrder, document: str) -> date | None:
    _needs(document)
    if order.until is None:
        raise Invalid(where=mark("last day"), problem=mark("an absence has a last day"))
    if not 0 < order.value <= PERSONS_MAX:
        raise Invalid(where=mark("registered persons"), problem=mark("at least one person is away"))
    query = select(AbsenceRow).where(
        AbsenceRow.account_id == change.id, AbsenceRow.superseded_at.is_(None)
    )
    wanted = Absence(order.since, order.until, order.value, document)
    known = [
        Absence(row.first_on, row.last_on, row.persons, row.document)
        for row in change.session.scalars(query)
    ]
    if wanted in known:
        return None
    near = [a for a in known if a.first_on <= wanted.last_on and a.last_on >= wanted.first_on]
    facts = [Dated(row.valid_from, row.value) for row in _standing_facts(change, FactKind.PERSONS)]
    facts = [
        Dated(wanted.first_on, value_on(facts, wanted.first_on, change.account.persons)),
        *(one for one in facts if wanted.first_on < one.valid_from <= wanted.last_on),
    ]
    found = too_many_away([wanted, *near], facts, change.account.persons)
    if found is not None:
        day, away, registered = found
        problem = (
            mark(
                "on %(day)s %(away)s would be away together with absences stated before, "
                "but %(persons)s are registered"
            )
            if near
            else mark("on %(day)s %(away)s would be away, but %(persons)s are registered")
        )
        raise Invalid(
            where=mark("registered persons"),
            problem=problem,
            day=str(day),
            away=away,
            persons=registered,
        )
    change.session.add(
        AbsenceRow(
            account_id=change.id,
            first_on=wanted.first_on,
            last_on=wanted.last_on,
            persons=wanted.persons,
            document=document,
            actor=change.actor,
            recorded_at=change.now,
            superseded_at=None,
        )
    )
    change.session.flush()
    return order.since


def _state_concession(change: _Change, order: FactOrder, document: str) -> date | None:
    """Grant a concession; to state it again from the same day with another last day ends it."""
    _needs(document)
    session = change.session
    if order.code not in concession_names(session):
        problem = mark("no published plan has the concession %(code)s")
        raise Invalid(where=mark("concession"), problem=problem, code=order.code[:TEXT_MAX])
    query = select(EntitlementRow).where(
        EntitlementRow.account_id == change.id,
        EntitlementRow.code == order.code,
        EntitlementRow.superseded_at.is_(None),
    )
    standing = list(session.scalars(query))
    former = next((row for row in standing if row.valid_from == order.since), None)
    if former is not None and (former.valid_until, former.document) == (order.until, document):
        return None
    end = order.until or date.max
    for row in standing:
        if row is former or row.valid_from > end or (row.valid_until or date.max) < order.since:
            continue
        raise Invalid(
            where=mark("concession"),
            problem=mark("it is granted already from %(since)s: %(document)s"),
            since=str(row.valid_from),
            document=row.document,
        )
    if former is not None:
        former.superseded_at = change.now
        session.flush()
    session.add(
        EntitlementRow(
            account_id=change.id,
            code=order.code,
            valid_from=order.since,
            valid_until=order.until,
            document=document,
            actor=change.actor,
            recorded_at=change.now,
            superseded_at=None,
        )
    )
    session.flush()
    return order.since


def _state_area(change: _Change, order: FactOrder, document: str) -> date | None:
    _needs(document)
    _not_to_come(change, order.since)
    since = month_handed_in(order.since)
    premises_id = change.account.premises_id
    statement = StatedArea(premises_id, since, order.value, document, change.actor)
    news = state_area(change.session, statement, change.today, change.clock)
    return since if news else None


def _state_plan(change: _Change, order: FactOrder, document: str) -> date | None:
    if document:
        problem = mark("a change of plan takes no document")
        raise Invalid(where=mark("document"), problem=problem)
    plan = plan_by_code(change.session, order.code)
    rows = standing_term_rows(change.session, change.id)
    before = [row for row in rows if row.valid_from <= order.since]
    if not before:
        raise Invalid(where=mark("plan"), problem=mark("no terms hold on this day yet"))
    settlement, measurement = before[-1].settlement, before[-1].measurement
    terms = TermsOrder(change.id, order.since, plan.id, settlement, measurement, change.actor)
    return order.since if change_terms(change.session, terms, change.clock).changed else None


_STATE: Final[Mapping[Subject, Callable[[_Change, FactOrder, str], date | None]]] = {
    Subject.PLAN: _state_plan,
    Subject.PERSONS: _state_persons,
    Subject.CONTRACTED_POWER: _state_power,
    Subject.AREA: _state_area,
    Subject.ABSENCE: _state_absence,
    Subject.CONCESSION: _state_concession,
}
"""What writes a statement down and returns from which day on it changes something, or nothing."""

_TABLES: Final[Mapping[Subject, Any]] = {
    Subject.PLAN: AccountTermRow,
    Subject.PERSONS: AccountFactRow,
    Subject.CONTRACTED_POWER: AccountFactRow,
    Subject.ABSENCE: AbsenceRow,
    Subject.CONCESSION: EntitlementRow,
}


def _is_of(row: Any, subject: Subject) -> bool:  # noqa: ANN401 - a row of one of the tables
    return not isinstance(row, AccountFactRow) or row.kind is _KINDS[subject]


def _refuse_first(change: _Change, row: Any, since: date) -> None:  # noqa: ANN401 - as above
    """Refuse to take back what nothing stands before; and what would part a month's settlement."""
    first = isinstance(row, AccountFactRow) and row.recorded_at == BEGINNING
    if isinstance(row, AccountTermRow):
        others = [one for one in standing_term_rows(change.session, change.id) if one is not row]
        first = not any(one.valid_from < since for one in others)
        if not first:
            _by_whole_months([term_of(one) for one in others])
    if first:
        raise Invalid(
            where=mark("stated fact"), problem=mark("what was stated first is not taken back")
        )


def _by_whole_months(terms: Iterable[Term]) -> None:
    torn = changed_within_a_month(list(terms))
    if torn is not None:
        raise Invalid(
            where=mark("first day"),
            problem=mark("settlement and measurement change with a month, not on %(day)s"),
            day=str(torn.valid_from),
        )


def _in_force(session: Session, plan: TariffPlanRow, day: date, zone: ZoneInfo) -> None:
    plan_id = TariffPlanId(plan.id)
    if not versions_in_force(session, [plan_id], local_day(day, zone), zone).get(plan_id):
        raise Invalid(
            where=mark("plan"),
            problem=mark("no version of %(plan)s is in force on %(day)s"),
            plan=plan.code,
            day=str(day),
        )


def _standing_facts(change: _Change, kind: FactKind) -> list[AccountFactRow]:
    query = select(AccountFactRow).where(
        AccountFactRow.account_id == change.id,
        AccountFactRow.kind == kind,
        AccountFactRow.superseded_at.is_(None),
    )
    return list(change.session.scalars(query))


def _fact(
    change: _Change, kind: FactKind, since: date, value: int, document: str
) -> AccountFactRow:
    return AccountFactRow(
        account_id=change.id,
        kind=kind,
        valid_from=since,
        value=value,
        document=document,
        actor=change.actor,
        recorded_at=change.now,
        superseded_at=None,
    )


def _show_persons(change: _Change) -> None:
    """Let the account itself show the persons that are registered today."""
    facts = [Dated(row.valid_from, row.value) for row in _standing_facts(change, FactKind.PERSONS)]
    change.account.persons = value_on(facts, change.today, change.account.persons)
    change.session.flush()
