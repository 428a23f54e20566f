"""What the balance card shows: the balance as its parts, how long it lasts, until when measured."""

from dataclasses import dataclass
from datetime import datetime

from billing import store as billing_store
from billing.foresight.foresight import Outlook
from billing.models import Measurement, Settlement
from kilokassa.app.overview import overviews
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.ids import AccountId
from kilokassa.core.text import date_text, instant_text, mark
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit
from wallet import store as wallet_store
from wallet.reserves import store as reserve_store
from wallet.store import Balance

_NOTHING = Balance(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class BalanceView:
    """The balance of an account, as people and machines are shown it."""

    balance: Balance
    prepaid: bool
    runway: Outlook | None
    lasts_text: str
    """Until when, in words: an hour where it is near enough, else a day."""
    known_until: datetime | None
    known_text: str
    month: Month | None
    """The running month, where the account is open in it."""
    month_minor: int = 0
    month_wh: int = 0
    reserve_minor: int = 0
    """Set aside, beside the balance."""

    @property
    def available_minor(self) -> int:
        """What may be spent: posted less held and rated."""
        return self.balance.available_minor

    @property
    def debt_minor(self) -> int:
        """What is owed, 0 where nothing is."""
        return max(0, -self.balance.posted_minor)

    @property
    def shown_minor(self) -> int:
        """The one figure in large print: of a prepaid account what is available, else posted."""
        return self.available_minor if self.prepaid else self.balance.posted_minor

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """The balance as its parts, in the order that never changes."""
        if not self.prepaid:
            words = [(mark("This month so far"), self.month_minor)] if self.month_minor else []
        else:
            words = [
                (mark("Posted"), self.balance.posted_minor),
                (mark("Held"), self.balance.held_minor),
                (mark("Not yet posted"), self.balance.rated_minor),
                (mark("Used since, estimated"), self.balance.estimated_minor),
            ]
        if self.balance.opening_debt_minor:
            if self.balance.new_debt_minor:
                words.append((mark("Owed for what was used"), self.balance.new_debt_minor))
            words.append((mark("Owed from before the wallet"), self.balance.opening_debt_minor))
        if self.balance.bonus_minor:
            words.append((mark("of it bonus"), self.balance.bonus_minor))
        if self.balance.credit_minor or self.balance.credit_used_minor:
            words.append((mark("of it emergency credit"), self.balance.credit_minor))
        if self.reserve_minor:
            words.append((mark("Beside it, in reserve"), self.reserve_minor))
        return tuple((translate(message), amount) for message, amount in words)


def balance_view(here: Visit, account_id: AccountId) -> BalanceView:
    """Return the balance of an account in reach, as of now."""
    session, now = here.session, here.now
    billing_store.account_in_reach(session, here.scope, account_id)
    found = wallet_store.balances(session, [account_id], now)
    billed = billing_store.billed_accounts(session, [account_id], Month.of(here.today))
    if not found or not billed:
        # Closed, or without a wallet yet: nothing runs, so only what is posted counts.
        return BalanceView(found.get(account_id, _NOTHING), False, None, "", None, "", None)
    seen = overviews(session, [account_id], now)[account_id]
    prepaid = seen.account.settlement is Settlement.PREPAID
    return BalanceView(
        balance=seen.balance,
        prepaid=prepaid,
        runway=seen.runway,
        lasts_text=_lasts_text(here, seen.runway),
        known_until=seen.balance.known_until,
        known_text=_known_text(here, seen.balance.known_until, seen.account.measurement),
        month=seen.month,
        month_minor=seen.month_minor,
        month_wh=seen.month_wh,
        reserve_minor=reserve_store.kept_minor(session, [account_id]).get(account_id, 0),
    )


def _lasts_text(here: Visit, outlook: Outlook | None) -> str:
    if outlook is None:
        return ""
    if outlook.to_the_hour:
        return instant_text(outlook.until, here.zone, here.language)
    return date_text(local_date(outlook.until, here.zone), here.language)


def _known_text(here: Visit, known_until: datetime | None, measurement: Measurement) -> str:
    if known_until is not None:
        at = instant_text(known_until, here.zone, here.language)
        return translate(mark("Measured until %(at)s")) % {"at": at}
    if measurement is Measurement.REGISTERS:
        return translate(mark("Charged by readings after the end of each month."))
    return translate(mark("Nothing was measured in this month yet."))
