"""What notices about the wallet, the use and the supply say: facts in, a letter out."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from kilokassa.core.calendar import Month
from kilokassa.core.quantity import kwh
from kilokassa.core.text import (
    Language,
    amount_text,
    date_text,
    gettext,
    instant_text,
    mark,
    ngettext,
    number_text,
)
from notices.letters import Letter, line


@dataclass(frozen=True, slots=True)
class BonusExpiring:
    """A bonus that was not spent ends soon."""

    amount_minor: int
    """What is left of it."""
    expires_at: datetime
    """The first instant at which it cannot be spent."""
    zone: ZoneInfo
    rule: str = ""
    """The rule that granted it."""


@dataclass(frozen=True, slots=True)
class UnusualUse:
    """The last days used much more than the account's own past lets one expect."""

    last_day: date
    days: int
    used_wh: int
    usual_wh: int
    """The sum of the medians of the same weekdays before."""


@dataclass(frozen=True, slots=True)
class TariffChanged:
    """Another plan holds from a day on."""

    plan_name: str
    """In the reader's language."""
    former_name: str
    since: date


@dataclass(frozen=True, slots=True)
class Limitation:
    """The supply will be limited for a debt, unless it is paid (ПП 354, п. 119)."""

    service: str
    """What is limited, a message of the catalogue."""
    debt_minor: int
    threshold_minor: int
    """Two monthly charges by the norm: a debt up to it limits nothing (п. 118)."""
    days: int
    """After the delivery of this notice."""
    suspended_after_days: int = 0
    """Days of limitation after which the supply is suspended; 0: it is only limited."""
    number: str = ""
    """By which the notice is named in letters and receipts."""
    basis: str = ""
    """The rule that the notice rests on, as its source is named."""
    unchecked: tuple[str, ...] = ()
    """Messages of the catalogue: rules that were not checked against their source."""


@dataclass(frozen=True, slots=True)
class AutoTopUpRefused:
    """The bank refused an automatic top-up."""

    amount_minor: int
    on: date
    card_hint: str
    """The last digits of the card."""
    paused: bool
    """Whether it is not tried again before it is confirmed."""


@dataclass(frozen=True, slots=True)
class ReserveEnding:
    """The term of a reserve ends soon."""

    name: str
    kept_minor: int
    ends_on: date


@dataclass(frozen=True, slots=True)
class ChargePosted:
    """A charge was taken from the wallet; told to systems alone."""

    amount_minor: int
    """What was taken; below zero where it was given back."""
    month: Month | None
    sequence: int
    """Of the entry in the wallet's chain."""
    valid_at: datetime
    balance_after_minor: int


@dataclass(frozen=True, slots=True)
class BalanceChanged:
    """An entry moved the balance; told to systems alone."""

    reason: str
    amount_minor: int
    sequence: int
    valid_at: datetime
    balance_before_minor: int
    balance_after_minor: int


@dataclass(frozen=True, slots=True)
class TestEvent:
    """Whoever set a webhook up sees that it works."""

    endpoint: str


WalletFacts = (
    BonusExpiring
    | UnusualUse
    | TariffChanged
    | Limitation
    | AutoTopUpRefused
    | ReserveEnding
    | ChargePosted
    | BalanceChanged
    | TestEvent
)


def wallet_letter(facts: WalletFacts, account: str, language: Language) -> Letter:
    """Return the letter of `facts` about `account`, a number that is on one line already."""
    match facts:
        case BonusExpiring():
            return _bonus_expiring(facts, account, language)
        case UnusualUse():
            return _unusual_use(facts, account, language)
        case TariffChanged():
            return _tariff_changed(facts, account, language)
        case Limitation():
            return _limitation(facts, account, language)
        case AutoTopUpRefused():
            return _auto_top_up_refused(facts, account, language)
        case ReserveEnding():
            return _reserve_ending(facts, account, language)
        case ChargePosted() | BalanceChanged() | TestEvent():
            raise ValueError(f"told to systems alone: {type(facts).__name__}")


def _bonus_expiring(facts: BonusExpiring, account: str, language: Language) -> Letter:
    amount = amount_text(facts.amount_minor, language)
    when = instant_text(facts.expires_at, facts.zone, language)
    return Letter(
        subject=gettext(mark("Account %(account)s: bonus of %(amount)s ends soon"), language)
        % {"account": account, "amount": amount},
        tone="warn",
        headline=gettext(mark("A bonus ends soon"), language),
        figure=amount,
        figure_note=gettext(mark("can be spent until %(instant)s"), language) % {"instant": when},
        sentences=(
            gettext(
                mark(
                    "Bonuses pay first: what you use until then is taken from this bonus. What is "
                    "left of it then is lost; your own money is not touched."
                ),
                language,
            ),
        ),
        rows=(),
        action=gettext(mark("Open the account page"), language),
        short=gettext(mark("It can be spent until %(instant)s."), language) % {"instant": when},
    )


def _unusual_use(facts: UnusualUse, account: str, language: Language) -> Letter:
    used, usual = _energy(facts.used_wh, language), _energy(facts.usual_wh, language)
    days = ngettext(
        "in %(count)s day up to %(day)s",
        "in %(count)s days up to %(day)s",
        facts.days,
        language,
    ) % {"count": facts.days, "day": date_text(facts.last_day, language)}
    return Letter(
        subject=gettext(mark("Account %(account)s: more is used than usual"), language)
        % {"account": account},
        tone="warn",
        headline=gettext(mark("More is used than usual"), language),
        figure=used,
        figure_note=days,
        sentences=(
            gettext(
                mark(
                    "Perhaps something was left on, or a device is faulty. If you know why, "
                    "there is nothing to do: you are told again only after the use was normal."
                ),
                language,
            ),
        ),
        rows=((gettext(mark("Usual for such days"), language), usual),),
        action=gettext(mark("See the hours"), language),
        short=gettext(mark("%(used)s instead of the usual %(usual)s."), language)
        % {"used": used, "usual": usual},
    )


def _tariff_changed(facts: TariffChanged, account: str, language: Language) -> Letter:
    since = date_text(facts.since, language)
    return Letter(
        subject=gettext(mark("Account %(account)s: new tariff from %(day)s"), language)
        % {"account": account, "day": since},
        tone="plain",
        headline=gettext(mark("Your tariff changes"), language),
        figure=line(facts.plan_name),
        figure_note=gettext(mark("from %(day)s"), language) % {"day": since},
        sentences=(gettext(mark("What was used before that day is charged as before."), language),),
        rows=((gettext(mark("Until then"), language), line(facts.former_name)),)
        if facts.former_name
        else (),
        action=gettext(mark("Compare the tariffs"), language),
        short=line(facts.plan_name),
    )


def _limitation(facts: Limitation, account: str, language: Language) -> Letter:
    debt = amount_text(facts.debt_minor, language)
    service = gettext(facts.service, language)
    days = ngettext("%(count)s day", "%(count)s days", facts.days, language) % {"count": facts.days}
    sentences = [
        gettext(
            mark(
                "%(service)s: the debt is above two monthly charges by the norm. If it is not paid "
                "within %(days)s after this notice was delivered, the supply will be limited."
            ),
            language,
        )
        % {"service": service, "days": days}
    ]
    if facts.suspended_after_days:
        sentences.append(
            ngettext(
                "If it is not paid %(count)s day after that, the supply will be suspended.",
                "If it is not paid %(count)s days after that, the supply will be suspended.",
                facts.suspended_after_days,
                language,
            )
            % {"count": facts.suspended_after_days}
        )
    sentences.append(
        gettext(
            mark(
                "You may pay the debt, or agree on paying it by instalments: either ends this "
                "procedure. If the debt is not right, tell us."
            ),
            language,
        )
    )
    number = line(facts.number)
    rows = [
        (
            gettext(mark("Two monthly charges by the norm"), language),
            amount_text(facts.threshold_minor, language),
        )
    ]
    if facts.basis:
        rows.append((gettext(mark("By the rule"), language), line(facts.basis)))
    if facts.unchecked:
        rules = "; ".join(gettext(rule, language) for rule in facts.unchecked)
        rows.append((gettext(mark("Not checked against a source"), language), rules))
    if number:
        rows.append((gettext(mark("Number of the notice"), language), number))
    return Letter(
        subject=gettext(mark("Account %(account)s: limitation for a debt of %(amount)s"), language)
        % {"account": account, "amount": debt},
        tone="warn",
        headline=gettext(mark("Notice of a limitation of supply"), language),
        figure=debt,
        figure_note=gettext(mark("is owed"), language),
        sentences=tuple(sentences),
        rows=tuple(rows),
        action=gettext(mark("Pay"), language),
        short=gettext(mark("%(service)s will be limited in %(days)s if it is not paid."), language)
        % {"service": service, "days": days},
    )


def _auto_top_up_refused(facts: AutoTopUpRefused, account: str, language: Language) -> Letter:
    amount = amount_text(facts.amount_minor, language)
    hint = line(facts.card_hint)
    if facts.paused:
        then = mark("It is not tried again before you confirm it on the account page.")
    else:
        then = mark("It will be tried again; you may also top up by hand.")
    return Letter(
        subject=gettext(mark("Account %(account)s: automatic top-up was refused"), language)
        % {"account": account},
        tone="warn",
        headline=gettext(mark("The bank refused an automatic top-up"), language),
        figure=amount,
        figure_note=gettext(mark("asked for on %(day)s"), language)
        % {"day": date_text(facts.on, language)},
        sentences=(gettext(then, language),),
        rows=((gettext(mark("Card"), language), f"•••• {hint}"),) if hint else (),
        action=gettext(mark("Top up"), language),
        short=amount,
    )


def _reserve_ending(facts: ReserveEnding, account: str, language: Language) -> Letter:
    kept = amount_text(facts.kept_minor, language)
    day = date_text(facts.ends_on, language)
    return Letter(
        subject=gettext(mark("Account %(account)s: the reserve ends on %(day)s"), language)
        % {"account": account, "day": day},
        tone="plain",
        headline=gettext(mark("The term of your reserve ends soon"), language),
        figure=kept,
        figure_note=gettext(mark("set aside until %(day)s"), language) % {"day": day},
        sentences=(
            gettext(
                mark(
                    "On that day the money returns to your balance with the bonus it has earned. "
                    "You may set it aside anew."
                ),
                language,
            ),
        ),
        rows=((gettext(mark("Reserve"), language), line(facts.name)),),
        action=gettext(mark("Open the account page"), language),
        short=kept,
    )


def _energy(energy_wh: int, language: Language) -> str:
    return f"{number_text(kwh(energy_wh), language, decimals=1)} {gettext('kWh', language)}"
