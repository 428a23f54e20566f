"""What the balance card shows: the balance as its parts, how long it lasts, until when measured."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.models import Service, Settlement
from billing.runway import Runway, runway
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope
from kilokassa.core.text import Language, gettext, instant_text, mark
from kilokassa.web import queries
from kilokassa.web.visit import Visit
from wallet import store as wallet_store
from wallet.store import Balance

FEWEST_DAYS: Final = 5
"""A running month younger than this says too little: the month before is asked."""


@dataclass(frozen=True, slots=True)
class BalanceView:
    """The balance of an account, as people and machines are shown it."""

    balance: Balance
    prepaid: bool
    runway: Runway | None
    known_until: datetime | None
    parts: tuple[tuple[str, int], ...]
    known_text: str

    @property
    def available_minor(self) -> int:
        """What may be spent: posted less held and rated."""
        return self.balance.available_minor

    @property
    def debt_minor(self) -> int:
        """What is owed, 0 where nothing is."""
        return max(0, -self.balance.posted_minor)

    @property
    def advance_minor(self) -> int:
        """What was paid ahead, 0 where nothing was."""
        return max(0, self.balance.posted_minor)


def balance_view(here: Visit, account_id: AccountId) -> BalanceView:
    """Return the balance of an account in reach, as of now."""
    session, scope, language = here.session, here.scope, here.language
    account = billing_store.account_in_reach(session, scope, account_id)
    listed = queries.listed_account(session, scope, account_id, on=here.today)
    prepaid = listed is not None and listed.settlement is Settlement.PREPAID
    balance = wallet_store.balances(session, [account_id], here.now).get(
        account_id, Balance(0, 0, 0, 0, 0)
    )
    states = queries.running_state(session, scope, account_id)
    known_until = states[0].known_until if states else None
    lasting = _runway(here, session, scope, account_id, balance, states) if prepaid else None
    return BalanceView(
        balance=balance,
        prepaid=prepaid,
        runway=lasting,
        known_until=known_until if account.closed_on is None else None,
        parts=_parts(balance, language, prepaid=prepaid),
        known_text=_known_text(here, known_until, language, prepaid=prepaid),
    )


def _parts(balance: Balance, language: Language, *, prepaid: bool) -> tuple[tuple[str, int], ...]:
    words = [
        (mark("Posted"), balance.posted_minor),
        (mark("Held"), balance.held_minor),
        (mark("Available"), balance.available_minor),
    ]
    if not prepaid:
        words = words[:1]
    if balance.bonus_minor:
        words.append((mark("of it bonus"), balance.bonus_minor))
    return tuple((gettext(message, language), amount) for message, amount in words)


def _known_text(
    here: Visit, known_until: datetime | None, language: Language, *, prepaid: bool
) -> str:
    if prepaid and known_until is not None:
        at = instant_text(known_until, here.zone, language)
        return gettext(mark("Measured and taken until %(at)s"), language) % {"at": at}
    if prepaid:
        return gettext(mark("Nothing was measured in this month yet."), language)
    return gettext(mark("Charged after the end of each month."), language)


def _runway(
    here: Visit,
    session: Session,
    scope: Scope,
    account_id: AccountId,
    balance: Balance,
    states: tuple[queries.RunningState, ...],
) -> Runway | None:
    """Return how long the money lasts, from the latest stretch that says enough."""
    today = here.today
    from_day = local_date(states[0].known_until, here.zone) if states else today
    for state in states:
        known = (local_date(state.known_until, here.zone) - state.month.first_day) // timedelta(1)
        if known >= FEWEST_DAYS and state.posted_minor > 0:
            return runway(balance.available_minor, state.posted_minor, known, from_day=from_day)
    last = Month.of(today).plus(-1)
    lines = billing_store.charge_lines_of(session, scope, account_id, last)
    spent = sum(line.amount_minor for line in lines if line.service is Service.ELECTRICITY)
    return runway(balance.available_minor, spent, len(last.days), from_day=from_day)
