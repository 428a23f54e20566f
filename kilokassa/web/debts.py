"""Debts on pages: words, tables of bills, decisions, fees and instalments; sentences of a state."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from flask import url_for

from billing.models import Service
from kilokassa.app.debt_views import Debtor, DebtView, ServiceDebt
from kilokassa.app.debts import AgreementView
from kilokassa.app.late_fees import ComputedFee
from kilokassa.core.calendar import Month
from kilokassa.core.money import half_up_ratio
from kilokassa.core.text import amount_text, date_text, gettext, instant_text, mark, told
from kilokassa.web.doers import Doers
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from kilokassa.web.words import word
from wallet.debts.bills import SettledBill
from wallet.debts.flags import FLAG_WORDS, YES, YES_NO, FlagKind, StatedFlag
from wallet.debts.instalments import Instalment, Standing
from wallet.debts.late_fee import MINOR_DIGITS, percent_text
from wallet.debts.service_state import Action, Guard, ServiceState, Supply
from wallet.debts.store import ChargedFee, DecisionView

STATES: Final[Mapping[ServiceState, str]] = {
    ServiceState.NORMAL: mark("in order"),
    ServiceState.LOW: mark("little money is left"),
    ServiceState.NEGATIVE: mark("owes"),
    ServiceState.NOTICE_DUE: mark("a notice is due"),
    ServiceState.NOTICE_DELIVERED: mark("a notice was delivered"),
    ServiceState.RESTORING: mark("is to be restored"),
    ServiceState.LIMITED: mark("limited"),
    ServiceState.SUSPENDED: mark("suspended"),
}
TONES: Final[Mapping[ServiceState, str]] = {
    ServiceState.NORMAL: "good",
    ServiceState.LOW: "quiet",
    ServiceState.NEGATIVE: "quiet",
    ServiceState.NOTICE_DUE: "warn",
    ServiceState.NOTICE_DELIVERED: "warn",
    ServiceState.RESTORING: "warn",
    ServiceState.LIMITED: "bad",
    ServiceState.SUSPENDED: "bad",
}
ACTIONS: Final[Mapping[Action, str]] = {
    Action.NONE: mark("nothing"),
    Action.NOTIFY: mark("deliver the notice"),
    Action.LIMIT: mark("limit the supply"),
    Action.SUSPEND: mark("suspend the supply"),
    Action.RESTORE: mark("restore the supply"),
    Action.WITHDRAW: mark("withdraw the command"),
}
STANDINGS: Final[Mapping[Standing, str]] = {
    Standing.KEPT: mark("kept"),
    Standing.BEHIND: mark("behind, within the days of grace"),
    Standing.BROKEN: mark("broken"),
    Standing.FULFILLED: mark("paid in full"),
}
STANDING_TONES: Final[Mapping[Standing, str]] = {
    Standing.KEPT: "good",
    Standing.BEHIND: "warn",
    Standing.BROKEN: "bad",
    Standing.FULFILLED: "quiet",
}
ENDED: Final = mark("ended")
_ISO_DAY: Final = re.compile(r"\b\d{4}-\d\d-\d\d\b")
GUARD_SETS: Final = {
    "household_ru": mark("Household, Russia"),
    "prepay_contract": mark("Prepaid contract"),
}


@dataclass(frozen=True, slots=True)
class FeeRow:
    """One row of the table behind a late fee, with the bill that it is of."""

    service: str
    month: Month
    first: date
    last: date
    days: int
    debt_minor: int
    rate_bp: int
    divisor: int
    reason: str
    amount_minor: int


def service_word(service: str) -> str:
    """Return the name of a service as a message; a code that is not known stays as it is."""
    return word(Service(service)) if service in set(Service) else service


def held_text(decision: DecisionView) -> str:
    """Return every guard that holds the next step back, as one text.

    A service that is never cut needs no other reason: nothing that may be learned changes it.
    """
    language = visit().language
    never = [one for one in decision.held_by if one.guard is Guard.SERVICE and one.known]
    return "; ".join(told(held.reason, language) for held in never or decision.held_by)


def warning_texts(warnings: Sequence[str]) -> list[str]:
    """Return what is unsure or awaited as people read it, days in the reader's form."""
    language = visit().language
    return [
        _ISO_DAY.sub(
            lambda found: date_text(date.fromisoformat(found[0]), language), told(text, language)
        )
        for text in warnings
    ]


def debtors_table(items: Sequence[Debtor]) -> Table[Debtor]:
    """Return the debtors, a row for each service; its file has every column."""
    return Table(
        name="debtors",
        caption=mark("Debtors"),
        columns=(
            Column(
                "account",
                mark("Account"),
                lambda one: one.number,
                link=lambda one: url_for("console.debt", number=one.number),
            ),
            Column("payer", mark("Payer"), lambda one: one.payer_name, minor=True),
            Column(
                "service",
                mark("Service"),
                lambda one: service_word(one.decision.service),
                Kind.MESSAGE,
            ),
            Column(
                "state",
                mark("State"),
                lambda one: STATES[one.decision.state],
                Kind.MESSAGE,
                tone=lambda one: TONES[one.decision.state],
            ),
            Column("debt", mark("Debt"), lambda one: one.debt_minor, Kind.MONEY),
            Column("days", mark("Overdue, days"), lambda one: one.days, Kind.NUMBER),
            Column(
                "action",
                mark("To be done"),
                lambda one: ACTIONS[one.decision.action],
                Kind.MESSAGE,
                tone=lambda one: "" if one.decision.action is Action.NONE else "warn",
            ),
            Column(
                "next",
                mark("Next step at"),
                lambda one: one.decision.next_at,
                Kind.INSTANT,
                minor=True,
            ),
            Column("held", mark("Held back by"), lambda one: held_text(one.decision), minor=True),
        ),
        items=items,
        filterable=True,
        empty=mark("Nobody owes anything that is overdue."),
    )


def services_table(items: Sequence[ServiceDebt]) -> Table[ServiceDebt]:
    """Return what is owed service by service."""
    return Table(
        name="services",
        caption=mark("Debt by service"),
        columns=(
            Column("service", mark("Service"), lambda one: service_word(one.service), Kind.MESSAGE),
            Column(
                "overdue",
                mark("Overdue"),
                lambda one: one.overdue_minor,
                Kind.MONEY,
                tone=lambda one: "bad" if one.overdue_minor else "",
            ),
            Column("since", mark("Since"), lambda one: one.overdue_since, Kind.DATE, minor=True),
            Column("not_due", mark("Not due yet"), lambda one: one.not_due_minor, Kind.MONEY),
            Column(
                "norm",
                mark("A month by the norm"),
                lambda one: one.norm_month_minor,
                Kind.MONEY,
                minor=True,
            ),
            Column(
                "state",
                mark("State"),
                lambda one: STATES[one.decision.state if one.decision else ServiceState.NORMAL],
                Kind.MESSAGE,
                tone=lambda one: TONES[one.decision.state if one.decision else ServiceState.NORMAL],
            ),
        ),
        items=items,
        empty=mark("Nothing is owed."),
    )


def bills_table(items: Sequence[SettledBill], today: date) -> Table[SettledBill]:
    """Return the bills that are not paid in full."""
    return Table(
        name="bills",
        caption=mark("Bills that are not paid"),
        columns=(
            Column(
                "month",
                mark("Month"),
                lambda one: Month.from_ordinal(one.bill.charge_month),
                Kind.MONTH,
            ),
            Column(
                "service", mark("Service"), lambda one: service_word(one.bill.service), Kind.MESSAGE
            ),
            Column(
                "amount", mark("Billed"), lambda one: one.bill.amount_minor, Kind.MONEY, minor=True
            ),
            Column("left", mark("Left to pay"), lambda one: one.left_minor(today), Kind.MONEY),
            Column("due", mark("Pay by"), lambda one: one.bill.due_on, Kind.DATE),
        ),
        items=items,
        empty=mark("Every bill is paid."),
    )


def history_table(items: Sequence[DecisionView]) -> Table[DecisionView]:
    """Return how services stood and why, the latest first."""
    return Table(
        name="history",
        caption=mark("History of decisions"),
        columns=(
            Column("at", mark("Decided"), lambda one: one.decided_at, Kind.INSTANT),
            Column("service", mark("Service"), lambda one: service_word(one.service), Kind.MESSAGE),
            Column(
                "state",
                mark("State"),
                lambda one: STATES[one.state],
                Kind.MESSAGE,
                tone=lambda one: TONES[one.state],
            ),
            Column("debt", mark("Debt"), lambda one: one.debt_minor, Kind.MONEY),
            Column("action", mark("To be done"), lambda one: ACTIONS[one.action], Kind.MESSAGE),
            Column("why", mark("Held back by"), held_text, minor=True),
            Column("next", mark("Next step at"), lambda one: one.next_at, Kind.INSTANT, minor=True),
            Column(
                "guards",
                mark("Guard set"),
                lambda one: GUARD_SETS.get(one.guard_set, one.guard_set),
                Kind.MESSAGE,
                minor=True,
            ),
        ),
        items=items,
        filterable=True,
        empty=mark("Nothing was ever decided: this account has always paid in time."),
    )


def fee_rows(view: DebtView) -> list[FeeRow]:
    """Return the rows behind late fees, bill by bill: as charged, or as computed where further."""
    latest: dict[tuple[str, int], ChargedFee] = {}
    for one in view.charged:
        latest.setdefault((one.service, one.bill_month), one)
    found: list[FeeRow] = []
    for fee in view.computed:
        bill = fee.settled.bill
        charged = latest.get((bill.service, bill.charge_month))
        if charged is not None and charged.through_on >= fee.until:
            continue
        latest.pop((bill.service, bill.charge_month), None)
        found += _computed_rows(fee)
    for charged in latest.values():
        found += _charged_rows(charged)
    return sorted(found, key=lambda row: (row.month, row.service, row.first))


def _computed_rows(one: ComputedFee) -> list[FeeRow]:
    language = visit().language
    bill = one.settled.bill
    return [
        FeeRow(
            service=service_word(bill.service),
            month=Month.from_ordinal(bill.charge_month),
            first=row.first_day,
            last=row.last_day,
            days=row.days,
            debt_minor=row.debt_minor,
            rate_bp=row.rate_bp,
            divisor=row.divisor,
            reason=told(row.reason, language) if row.reason else "",
            amount_minor=_kopecks(row.amount_scaled, one.fee.digits),
        )
        for row in one.fee.rows
    ]


def _charged_rows(one: ChargedFee) -> list[FeeRow]:
    language = visit().language
    return [
        FeeRow(
            service=service_word(one.service),
            month=Month.from_ordinal(one.bill_month),
            first=date.fromisoformat(row["first"]),
            last=date.fromisoformat(row["last"]),
            days=row["days"],
            debt_minor=row["debt_minor"],
            rate_bp=row["rate_bp"],
            divisor=row["divisor"],
            reason=told(row["reason"], language) if row["reason"] else "",
            amount_minor=_kopecks(row["amount_scaled"], one.table["digits"]),
        )
        for row in one.table["rows"]
    ]


def _kopecks(amount_scaled: int, digits: int) -> int:
    """Return a row of finer digits in kopecks, as it is shown; their sum is rounded once."""
    return half_up_ratio(amount_scaled, 10 ** (digits - MINOR_DIGITS))


def fees_table(view: DebtView) -> Table[FeeRow]:
    """Return the table behind late fees: which days, on what debt, at which part of which rate."""
    return Table(
        name="fees",
        caption=mark("How the late fee is computed"),
        columns=(
            Column("month", mark("Bill of"), lambda one: one.month, Kind.MONTH),
            Column("service", mark("Service"), lambda one: one.service, Kind.MESSAGE, minor=True),
            Column("first", mark("From"), lambda one: one.first, Kind.DATE, minor=True),
            Column("last", mark("Up to"), lambda one: one.last, Kind.DATE),
            Column("days", mark("Days"), lambda one: one.days, Kind.NUMBER),
            Column("debt", mark("Debt"), lambda one: one.debt_minor, Kind.MONEY, minor=True),
            Column("rate", mark("Rate a day"), _rate_text, minor=True),
            Column("fee", mark("Late fee"), lambda one: one.amount_minor, Kind.MONEY),
        ),
        items=fee_rows(view),
        empty=mark("Nothing was paid late."),
    )


def _rate_text(row: FeeRow) -> str:
    if not row.divisor:
        return row.reason
    percent = percent_text(row.rate_bp)
    if visit().language == "ru":
        percent = percent.replace(".", ",")
    return f"{percent} % / {row.divisor}"


def charged_table(items: Sequence[ChargedFee]) -> Table[ChargedFee]:
    """Return the steps in which late fees were charged."""
    return Table(
        name="charged",
        caption=mark("Late fees that were charged"),
        columns=(
            Column("at", mark("Counted up to"), lambda one: one.through_on, Kind.DATE),
            Column(
                "month",
                mark("Bill of"),
                lambda one: Month.from_ordinal(one.bill_month),
                Kind.MONTH,
            ),
            Column("service", mark("Service"), lambda one: service_word(one.service), Kind.MESSAGE),
            Column(
                "total", mark("In all"), lambda one: one.cumulative_minor, Kind.MONEY, minor=True
            ),
            Column("charged", mark("Charged now"), lambda one: one.charged_minor, Kind.MONEY),
        ),
        items=items,
        empty=mark("No late fee was charged."),
    )


def agreements_table(
    items: Sequence[AgreementView], numbers: Mapping[Any, str]
) -> Table[AgreementView]:
    """Return agreements with how they stand."""
    return Table(
        name="agreements",
        caption=mark("Instalment agreements"),
        columns=(
            Column(
                "account",
                mark("Account"),
                lambda one: numbers[one.agreement.account_id],
                link=lambda one: url_for("console.debt", number=numbers[one.agreement.account_id]),
            ),
            Column(
                "agreed", mark("Signed on"), lambda one: one.agreement.terms.agreed_on, Kind.DATE
            ),
            Column("debt", mark("Debt"), lambda one: one.agreement.terms.debt_minor, Kind.MONEY),
            Column(
                "months",
                mark("Instalments"),
                lambda one: one.agreement.terms.months,
                Kind.NUMBER,
                minor=True,
            ),
            Column("paid", mark("Paid"), lambda one: one.state.paid_minor, Kind.MONEY, minor=True),
            Column("behind", mark("Overdue"), lambda one: one.state.overdue_minor, Kind.MONEY),
            Column("next", mark("Next instalment"), _next_due, Kind.DATE, minor=True),
            Column(
                "state",
                mark("State"),
                standing_word,
                Kind.MESSAGE,
                tone=lambda one: (
                    "quiet"
                    if one.agreement.ended_on is not None
                    else STANDING_TONES[one.state.standing]
                ),
            ),
        ),
        items=items,
        filterable=True,
        empty=mark("No agreement was signed. An account's debt page offers one."),
    )


def standing_word(one: AgreementView) -> str:
    """Return how an agreement stands, as a message."""
    return ENDED if one.agreement.ended_on is not None else STANDINGS[one.state.standing]


def _next_due(one: AgreementView) -> date | None:
    return None if one.state.next_due is None else one.state.next_due.due_on


def schedule_table(items: Sequence[Instalment]) -> Table[Instalment]:
    """Return the instalments of an agreement or of a calculation."""
    return Table(
        name="schedule",
        caption=mark("Instalments"),
        columns=(
            Column("number", mark("No."), lambda one: one.number, Kind.NUMBER),
            Column("due", mark("Pay by"), lambda one: one.due_on, Kind.DATE),
            Column("principal", mark("Of the debt"), lambda one: one.principal_minor, Kind.MONEY),
            Column(
                "interest", mark("Interest"), lambda one: one.interest_minor, Kind.MONEY, minor=True
            ),
            Column("amount", mark("To pay"), lambda one: one.amount_minor, Kind.MONEY),
            Column(
                "left", mark("Left of the debt"), lambda one: one.left_minor, Kind.MONEY, minor=True
            ),
        ),
        items=items,
        export=False,
    )


def flags_table(items: Sequence[StatedFlag], doers: Doers) -> Table[StatedFlag]:
    """Return all flags that were ever stated."""
    return Table(
        name="flags",
        caption=mark("Protection and contract"),
        columns=(
            Column("kind", mark("What"), lambda one: FLAG_WORDS[one.kind], Kind.MESSAGE),
            Column("value", mark("Value"), flag_text),
            Column("since", mark("From"), lambda one: one.valid_from, Kind.DATE),
            Column("document", mark("Document"), lambda one: one.document, minor=True),
            Column("by", mark("Stated by"), lambda one: doers.name(one.actor), minor=True),
            Column("at", mark("Recorded"), lambda one: one.recorded_at, Kind.INSTANT, minor=True),
            Column(
                "state",
                mark("State"),
                lambda one: mark("stands") if one.stands else mark("replaced or taken back"),
                Kind.MESSAGE,
                tone=lambda one: "good" if one.stands else "quiet",
            ),
        ),
        items=items,
        empty=mark("Nothing is stated yet: while it is not known who lives here, nothing is cut."),
    )


def flag_text(one: StatedFlag) -> str:
    """Return the value of a flag as people read it."""
    if one.kind in YES_NO:
        return translate(mark("yes") if one.value == YES else mark("no"))
    if one.kind is FlagKind.EMERGENCY_CREDIT:
        return amount_text(int(one.value), visit().language)
    if one.kind is FlagKind.OPENING_SHARE:
        return f"{percent_text(int(one.value))} %"
    return translate(GUARD_SETS.get(one.value, one.value))


def what_follows(here: Visit, view: DebtView) -> list[tuple[str, str, str]]:
    """Return, service by service, what is owed and what follows when: title, sentence, tone."""
    found = []
    for one in view.services:
        decision = one.decision
        if decision is None or decision.state in (ServiceState.NORMAL, ServiceState.LOW):
            continue
        title = translate(service_word(one.service))
        found.append((title, _sentence(here, view, decision), TONES[decision.state]))
    return found


def _sentence(here: Visit, view: DebtView, decision: DecisionView) -> str:
    language = here.language
    days = view.guards.notice_days
    cut = decision.facts.get("supply") != Supply.FULL
    until = "" if decision.next_at is None else instant_text(decision.next_at, here.zone, language)
    match decision.state:
        case ServiceState.NEGATIVE:
            reasons = held_text(decision)
            return gettext(
                mark("Something is overdue. Nothing is switched off for it: %(reasons)s."), language
            ) % {"reasons": reasons}
        case ServiceState.NOTICE_DUE:
            return gettext(
                mark(
                    "The debt is so high that a notice of a limitation is on its way. After it was "
                    "delivered, %(days)s whole days remain to pay or to agree on instalments."
                ),
                language,
            ) % {"days": days}
        case ServiceState.NOTICE_DELIVERED if until:
            return gettext(
                mark(
                    "If the debt is not paid or agreed on, the supply may be limited from %(at)s."
                ),
                language,
            ) % {"at": until}
        case ServiceState.NOTICE_DELIVERED:
            return gettext(mark("A notice of a limitation was delivered to you."), language)
        case ServiceState.RESTORING:
            if decision.restore_by is None:
                return gettext(mark("The supply is being restored."), language)
            by = date_text(decision.restore_by.astimezone(here.zone).date(), language)
            return gettext(mark("The supply is being restored, before %(day)s."), language) % {
                "day": by
            }
        case ServiceState.LIMITED if not cut:
            return gettext(
                mark("The supply may be limited now. Paying the debt stops it at once."), language
            )
        case ServiceState.LIMITED:
            return gettext(
                mark("The supply is limited. It comes back when the debt is paid or agreed on."),
                language,
            )
        case _:
            return gettext(
                mark("The supply is suspended. It comes back when the debt is paid or agreed on."),
                language,
            )
