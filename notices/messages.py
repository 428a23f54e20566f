"""What notices say: facts in, a message in the reader's language out, as plain text and as HTML.

Both bodies are made from one letter, so they cannot disagree. Names and addresses come from files
of others: they are put on one line, freed of marks that steer a terminal or turn the reading
direction, and escaped by the template.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from kilokassa.core.calendar import Month
from kilokassa.core.text import (
    Language,
    amount_text,
    date_text,
    gettext,
    instant_text,
    mark,
    month_text,
    ngettext,
)
from notices.letters import Letter, line
from notices.notice import Message, Way
from notices.sms import cut, plain
from notices.wallet_letters import WalletFacts, wallet_letter


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Who writes, and where the reader may turn to."""

    retailer_name: str
    phone: str = ""
    email: str = ""
    page_url: str = ""
    """Address of the account page; empty where none is known."""
    demo: bool = False

    def __post_init__(self) -> None:
        if self.page_url and not self.page_url.startswith(("https://", "http://")):
            raise ValueError(f"the account page has a web address: {self.page_url!r}")


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a notice is about."""

    account_number: str
    """Empty where it tells somebody who is no customer."""
    payer_name: str
    address: str


@dataclass(frozen=True, slots=True)
class MoneyLow:
    """Less is available than the account's threshold."""

    available_minor: int
    threshold_minor: int
    days_left: int | None
    known_until: date
    """The last local day whose use is taken into account."""


@dataclass(frozen=True, slots=True)
class DaysLeft:
    """The money lasts only so many days."""

    available_minor: int
    days: int
    until: date
    """The first local day that is no longer covered wholly."""
    daily_minor: int
    known_until: date


@dataclass(frozen=True, slots=True)
class TopUpReceived:
    """Money came in."""

    amount_minor: int
    bonus_minor: int
    available_minor: int
    """What is available after it."""
    received_at: datetime
    zone: ZoneInfo
    receipt_number: str = ""
    """The receipt of money that goes along; empty where none does."""


@dataclass(frozen=True, slots=True)
class DocumentIssued:
    """The payment document of a month goes along."""

    number: str
    month: Month
    charged_minor: int
    balance_minor: int
    """What the account has at the end of the month; below zero it is to be paid."""
    due_on: date


@dataclass(frozen=True, slots=True)
class RecalculationIssued:
    """Closed months were put right, and the document of the difference goes along."""

    number: str
    first_month: Month
    last_month: Month
    difference_minor: int
    """What was charged in addition; below zero where it was given back."""
    shown_in: Month
    """The payment document that will show the same lines."""


@dataclass(frozen=True, slots=True)
class MeterDue:
    """A meter at which something is due."""

    place: str
    """Where it stands, as one finds it: address, premises, metering point."""
    serial: str
    message: str
    """What is due, a message of the catalogue over `%(day)s`."""
    day: date


@dataclass(frozen=True, slots=True)
class VerificationsDue:
    """Meters that somebody who services them must come to, the longest overdue first."""

    meters: tuple[MeterDue, ...]
    count: int
    """All of them, those that are left out of `meters` too."""
    overdue: int
    within_days: int


@dataclass(frozen=True, slots=True)
class ReadingsDue:
    """The time for readings ends soon, and some meters have none yet."""

    month: Month
    closes_on: date
    """The last day on which they are taken in."""
    days_left: int
    """Today included."""
    meters: tuple[tuple[str, str], ...]
    """What each measures, as a message, and its serial number."""


Facts = (
    MoneyLow
    | DaysLeft
    | TopUpReceived
    | DocumentIssued
    | RecalculationIssued
    | VerificationsDue
    | ReadingsDue
    | WalletFacts
)


def message_of(
    facts: Facts, addressee: Addressee, letterhead: Letterhead, language: Language
) -> Message:
    """Return what is to be told about `facts`, with exact amounts, in `language`."""
    return _mail(_letter(facts, addressee, language), _frame(addressee, letterhead, language))


def message_for(
    way: Way, facts: Facts, addressee: Addressee, letterhead: Letterhead, language: Language
) -> Message:
    """Return what is to be told as a way of delivery carries it: a letter, or a few lines of text.

    What goes to a telephone has no HTML; an SMS is at most `notices.sms.MOST_PARTS` parts long.
    """
    if way is Way.EMAIL:
        return message_of(facts, addressee, letterhead, language)
    letter = _letter(facts, addressee, language)
    frame = _frame(addressee, letterhead, language)
    if way is Way.SMS:
        told = plain(f"{frame.demo_short}{letter.subject}. {letter.short}".strip())
        return Message(letter.subject, cut(told), "")
    lines = [
        f"{frame.retailer}",
        *([frame.demo] if frame.demo else []),
        f"{letter.headline}: {letter.figure} ({letter.figure_note})",
        *letter.sentences,
        *(f"{label}: {value}" for label, value in letter.rows + frame.rows),
        *([f"{letter.action}: {frame.page_url}"] if frame.page_url else []),
    ]
    return Message(letter.subject, "\n".join(lines), "")


def _mail(letter: Letter, frame: "_Frame") -> Message:
    return Message(
        subject=letter.subject,
        text=_template("notice.txt").render(letter=letter, frame=frame),
        html=_template("notice.html").render(letter=letter, frame=frame),
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands around every letter."""

    language: Language
    retailer: str
    greeting: str
    rows: tuple[tuple[str, str], ...]
    page_url: str
    contact: str
    reason: str
    demo: str
    demo_short: str


def _letter(facts: Facts, addressee: Addressee, language: Language) -> Letter:
    match facts:
        case MoneyLow():
            return _money_low(facts, addressee, language)
        case DaysLeft():
            return _days_left(facts, addressee, language)
        case TopUpReceived():
            return _top_up_received(facts, addressee, language)
        case DocumentIssued():
            return _document_issued(facts, addressee, language)
        case RecalculationIssued():
            return _recalculation_issued(facts, addressee, language)
        case VerificationsDue():
            return _verifications_due(facts, language)
        case ReadingsDue():
            return _readings_due(facts, addressee, language)
        case _:
            return wallet_letter(facts, line(addressee.account_number), language)


def _money_low(facts: MoneyLow, addressee: Addressee, language: Language) -> Letter:
    account = line(addressee.account_number)
    amount = amount_text(facts.available_minor, language)
    gone = facts.available_minor <= 0
    sentences = []
    if not gone and facts.days_left is not None:
        sentences.append(
            ngettext(
                "At the present rate of use it lasts %(count)s more day.",
                "At the present rate of use it lasts %(count)s more days.",
                facts.days_left,
                language,
            )
            % {"count": facts.days_left}
        )
    request = (
        mark("Please top up your account.")
        if gone
        else mark("Please top up before the money runs out.")
    )
    sentences.append(gettext(request, language))
    subject = (
        mark("Account %(account)s: the money has run out")
        if gone
        else mark("Account %(account)s: %(amount)s left")
    )
    return Letter(
        subject=gettext(subject, language) % {"account": account, "amount": amount},
        tone="warn",
        headline=gettext(
            mark("The money has run out") if gone else mark("Little money is left"), language
        ),
        figure=amount,
        figure_note=gettext(mark("available now"), language),
        sentences=tuple(sentences),
        rows=(
            (
                gettext(mark("Notice is given below"), language),
                amount_text(facts.threshold_minor, language),
            ),
            (
                gettext(mark("Use is counted up to and with"), language),
                date_text(facts.known_until, language),
            ),
        ),
        action=gettext(mark("Top up"), language),
    )


def _days_left(facts: DaysLeft, addressee: Addressee, language: Language) -> Letter:
    account = line(addressee.account_number)
    if facts.days > 0:
        figure = ngettext("%(count)s day", "%(count)s days", facts.days, language) % {
            "count": facts.days
        }
    else:
        figure = gettext(mark("less than a day"), language)
    return Letter(
        subject=gettext(mark("Account %(account)s: money for %(time)s"), language)
        % {"account": account, "time": figure},
        tone="warn",
        headline=gettext(mark("The money will last for"), language),
        figure=figure,
        figure_note=gettext(mark("not enough for %(day)s"), language)
        % {"day": date_text(facts.until, language)},
        sentences=(
            gettext(
                mark(
                    "This is what your use of the last days costs, set against what is available."
                ),
                language,
            ),
        ),
        rows=(
            (
                gettext(mark("Available"), language),
                amount_text(facts.available_minor, language),
            ),
            (
                gettext(mark("A day costs about"), language),
                amount_text(facts.daily_minor, language),
            ),
            (
                gettext(mark("Use is counted up to and with"), language),
                date_text(facts.known_until, language),
            ),
        ),
        action=gettext(mark("Top up"), language),
    )


def _top_up_received(facts: TopUpReceived, addressee: Addressee, language: Language) -> Letter:
    amount = amount_text(facts.amount_minor, language)
    receipt = line(facts.receipt_number)
    sentences = []
    if receipt:
        sentences.append(
            gettext(
                mark("The receipt of money %(number)s is attached. It is not a fiscal receipt."),
                language,
            )
            % {"number": receipt}
        )
    rows = []
    if facts.bonus_minor:
        rows.append(
            (
                gettext(mark("Bonus for this top-up"), language),
                amount_text(facts.bonus_minor, language),
            )
        )
    rows.append(
        (
            gettext(mark("Available after it"), language),
            amount_text(facts.available_minor, language),
        )
    )
    return Letter(
        subject=gettext(mark("Account %(account)s: %(amount)s received"), language)
        % {"account": line(addressee.account_number), "amount": amount},
        tone="good",
        headline=gettext(mark("Your top-up was received"), language),
        figure=amount,
        figure_note=gettext(mark("booked %(instant)s"), language)
        % {"instant": instant_text(facts.received_at, facts.zone, language)},
        sentences=tuple(sentences),
        rows=tuple(rows),
        action=gettext(mark("Open the account page"), language),
    )


def _document_issued(facts: DocumentIssued, addressee: Addressee, language: Language) -> Letter:
    month = month_text(facts.month, language)
    if facts.balance_minor < 0:
        tone = "plain"
        note = gettext(mark("to pay by %(day)s"), language) % {
            "day": date_text(facts.due_on, language)
        }
    else:
        tone = "good"
        note = gettext(mark("nothing to pay: this is your advance"), language)
    return Letter(
        subject=gettext(mark("Account %(account)s: payment document for %(month)s"), language)
        % {"account": line(addressee.account_number), "month": month},
        tone=tone,
        headline=gettext(mark("Payment document for %(month)s"), language) % {"month": month},
        figure=amount_text(abs(facts.balance_minor), language),
        figure_note=note,
        sentences=(
            gettext(mark("The payment document %(number)s is attached."), language)
            % {"number": line(facts.number)},
        ),
        rows=(
            (
                gettext(mark("Charged for the month"), language),
                amount_text(facts.charged_minor, language),
            ),
        ),
        action=gettext(mark("Open the account page"), language),
    )


def _recalculation_issued(
    facts: RecalculationIssued, addressee: Addressee, language: Language
) -> Letter:
    months = list(dict.fromkeys((facts.first_month, facts.last_month)))
    shown = " – ".join(month_text(month, language) for month in months)
    if facts.difference_minor > 0:
        tone, note = "plain", mark("charged in addition")
    else:
        tone, note = "good", mark("given back to your account")
    subject = mark("Account %(account)s: recalculation for %(months)s")
    follows = mark("The payment document for %(month)s will show the same lines.")
    return Letter(
        subject=gettext(subject, language)
        % {"account": line(addressee.account_number), "months": shown},
        tone=tone,
        headline=gettext(mark("Recalculation for %(months)s"), language) % {"months": shown},
        figure=amount_text(abs(facts.difference_minor), language),
        figure_note=gettext(note, language),
        sentences=(
            gettext(
                mark("The document %(number)s is attached: it sets the old lines beside the new."),
                language,
            )
            % {"number": line(facts.number)},
            gettext(follows, language) % {"month": month_text(facts.shown_in, language)},
        ),
        rows=(),
        action=gettext(mark("Open the account page"), language),
    )


def _readings_due(facts: ReadingsDue, addressee: Addressee, language: Language) -> Letter:
    month = month_text(facts.month, language)
    last = date_text(facts.closes_on, language)
    left = ngettext(
        "%(count)s day is left.", "%(count)s days are left.", facts.days_left, language
    ) % {"count": facts.days_left}
    return Letter(
        subject=gettext(mark("Account %(account)s: readings by %(day)s"), language)
        % {"account": line(addressee.account_number), "day": last},
        tone="plain",
        headline=gettext(mark("It is time to read your meters"), language),
        figure=gettext(mark("until %(day)s"), language) % {"day": last},
        figure_note=left,
        sentences=(
            gettext(
                mark(
                    "We have no readings of these meters for %(month)s yet. Without them the use "
                    "is estimated."
                ),
                language,
            )
            % {"month": month},
        ),
        rows=tuple(
            (
                gettext(kind, language),
                gettext(mark("meter no. %(serial)s"), language) % {"serial": line(serial)},
            )
            for kind, serial in facts.meters
        ),
        action=gettext(mark("Submit the readings"), language),
    )


def _verifications_due(facts: VerificationsDue, language: Language) -> Letter:
    figure = ngettext("%(count)s meter", "%(count)s meters", facts.count, language) % {
        "count": facts.count
    }
    sentences = [
        gettext(
            mark("Readings of a meter whose verification has run out no longer count."),
            language,
        )
    ]
    left_out = facts.count - len(facts.meters)
    if left_out:
        sentences.append(
            gettext(
                mark("The letter names the first %(shown)s; the whole list is in the registry."),
                language,
            )
            % {"shown": len(facts.meters)}
        )
    return Letter(
        subject=gettext(
            mark("Verification of meters: %(count)s due, %(overdue)s overdue"), language
        )
        % {"count": facts.count, "overdue": facts.overdue},
        tone="warn" if facts.overdue else "plain",
        headline=gettext(mark("Verifications that are due"), language),
        figure=figure,
        figure_note=gettext(mark("%(overdue)s overdue, the rest within %(days)s days"), language)
        % {"overdue": facts.overdue, "days": facts.within_days},
        sentences=tuple(sentences),
        rows=tuple(
            (
                line(f"{meter.place}, № {meter.serial}"),
                gettext(meter.message, language) % {"day": date_text(meter.day, language)},
            )
            for meter in facts.meters
        ),
        action=gettext(mark("Open the registry"), language),
    )


def _frame(addressee: Addressee, letterhead: Letterhead, language: Language) -> _Frame:
    account = line(addressee.account_number)
    rows = [(gettext(mark("Account"), language), account)] if account else []
    if addressee.address.strip():
        rows.append((gettext(mark("Address"), language), line(addressee.address)))
    contact = [letterhead.retailer_name, letterhead.phone, letterhead.email]
    return _Frame(
        language=language,
        retailer=line(letterhead.retailer_name),
        greeting=gettext(mark("Hello, %(name)s!"), language) % {"name": line(addressee.payer_name)},
        rows=tuple(rows),
        page_url=letterhead.page_url,
        contact=" · ".join(line(part) for part in contact if part.strip()),
        reason=gettext(
            mark("You get this letter because your address is given for account %(account)s.")
            if account
            else mark("You get this letter as the one who services these meters."),
            language,
        )
        % {"account": account},
        demo=gettext(mark("DEMO: an invented town. Nobody is asked for money."), language)
        if letterhead.demo
        else "",
        demo_short=f"{gettext(mark('DEMO'), language)} " if letterhead.demo else "",
    )


@cache
def _template(name: str) -> Template:
    return _environment(html=name.endswith(".html")).get_template(name)


@cache
def _environment(*, html: bool) -> Environment:
    return Environment(
        loader=PackageLoader("notices"),
        autoescape=html,  # noqa: S701 - off for the plain text alone
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
