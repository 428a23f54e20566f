"""Payments on pages: the list, the split before paying, the refused rows of a file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import url_for

from kilokassa.app.payment_orders import ShownSplit
from kilokassa.app.payments import TENDERS
from kilokassa.core.ids import AccountId
from kilokassa.core.text import Language, mark, told
from kilokassa.web.kit import Column, Kind, Table
from wallet.payments.models import PaymentOrderRow
from wallet.payments.payment import ORDER_WORDS, SOURCE_WORDS, STATE_WORDS, OrderState, PaymentState
from wallet.payments.reading import FORMAT_WORDS, FileFormat, FoundReading, RefusedRow, problem_text
from wallet.payments.split import PART_WORDS
from wallet.payments.store import Incoming, StoredFile

TONES: Mapping[PaymentState, str] = {
    PaymentState.TAKEN: "good",
    PaymentState.SUSPENSE: "warn",
    PaymentState.RETURNED: "quiet",
}
ORDER_TONES: Mapping[OrderState, str] = {
    OrderState.OPEN: "warn",
    OrderState.PAID: "good",
    OrderState.REFUSED: "bad",
    OrderState.EXPIRED: "quiet",
}


def split_rows(shown: ShownSplit) -> list[tuple[str, int]]:
    """Return the parts of a split with their words, those of nothing left out."""
    return [(PART_WORDS[part], minor) for part, minor in shown.split.parts if minor]


def payments_table(
    items: Sequence[Incoming], numbers: Mapping[AccountId, str], language: Language
) -> Table[Incoming]:
    """Return payments as a list, each leading to its own page."""

    def account(one: Incoming) -> str:
        return numbers[one.account_id] if one.account_id is not None else one.account_text

    return Table(
        name="payments",
        caption=mark("Payments"),
        columns=(
            Column("paid", mark("Paid on"), lambda one: one.paid_at, Kind.INSTANT),
            Column(
                "transaction",
                mark("Payment"),
                lambda one: f"№ {one.id}",
                link=lambda one: url_for("console.payment", payment_id=one.id),
            ),
            Column("account", mark("Account"), account),
            Column("payer", mark("Payer"), lambda one: one.payer, minor=True),
            Column("source", mark("Came by"), _source, Kind.MESSAGE, minor=True),
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
            Column("state", mark("State"), _state, Kind.MESSAGE, tone=_tone),
            Column("why", mark("Why"), lambda one: _why(one, language), minor=True),
        ),
        items=items,
        empty=mark("No payment fits. Take a bank's file in, or try fewer words."),
    )


def _source(one: Incoming) -> str:
    return SOURCE_WORDS[one.source]


def _state(one: Incoming) -> str:
    return STATE_WORDS[one.state]


def _tone(one: Incoming) -> str:
    return TONES[one.state]


def _why(one: Incoming, language: Language) -> str:
    return told(one.problem, language) if one.problem else one.note


def files_table(items: Sequence[StoredFile]) -> Table[StoredFile]:
    """Return the files that were taken in."""
    return Table(
        name="payment-files",
        caption=mark("Files that were taken in"),
        columns=(
            Column("received", mark("Received"), lambda one: one.received_at, Kind.INSTANT),
            Column(
                "name",
                mark("File"),
                lambda one: one.name,
                link=lambda one: url_for("console.payment_file", file_id=one.id),
            ),
            Column("format", mark("Layout"), format_words, Kind.MESSAGE, minor=True),
            Column("sender", mark("Bank"), lambda one: one.sender, minor=True),
            Column("rows", mark("Rows"), lambda one: one.rows, Kind.NUMBER),
            Column("total", mark("Total"), lambda one: one.total_minor, Kind.MONEY),
            Column(
                "state",
                mark("State"),
                lambda one: mark("Worked through") if one.done_at else mark("Stopped"),
                Kind.MESSAGE,
                tone=lambda one: "good" if one.done_at else "bad",
            ),
        ),
        items=items,
        empty=mark("No file was taken in yet. Choose the one that your bank sent."),
    )


def format_words(one: StoredFile) -> str:
    """Return the layout of a file as people read it."""
    return FORMAT_WORDS[FileFormat(one.format)]


def refused_table(items: Sequence[RefusedRow], language: Language) -> Table[RefusedRow]:
    """Return the rows of a file that are not taken, and why."""
    return Table(
        name="refused",
        caption=mark("Refused rows"),
        columns=(
            Column("line", mark("Line"), lambda one: one.line, Kind.NUMBER),
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
            Column("why", mark("Why"), lambda one: problem_text(one.problem, language)),
        ),
        items=items,
        empty=mark("Every row could be read, and none came before."),
    )


def readings_table(items: Sequence[FoundReading]) -> Table[FoundReading]:
    """Return the readings that came with the payments of a file."""
    return Table(
        name="brought-readings",
        caption=mark("Readings found in it, not posted"),
        columns=(
            Column("line", mark("Line"), lambda one: one.line, Kind.NUMBER),
            Column("account", mark("Account"), lambda one: one.account_text),
            Column("meter", mark("Meter"), lambda one: one.meter),
            Column("value", mark("Reading"), lambda one: one.value),
        ),
        items=items,
        empty=mark("No readings came with these payments."),
    )


def orders_table(
    items: Sequence[PaymentOrderRow],
    numbers: Mapping[AccountId, str],
    link: Callable[[PaymentOrderRow], str | None],
) -> Table[PaymentOrderRow]:
    """Return top-ups that were begun on a page."""
    return Table(
        name="payment-orders",
        caption=mark("Top-ups begun on a page"),
        columns=(
            Column("created", mark("Begun"), lambda one: one.created_at, Kind.INSTANT, link=link),
            Column("account", mark("Account"), lambda one: numbers[AccountId(one.account_id)]),
            Column("provider", mark("Provider"), lambda one: one.provider, minor=True),
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
            Column(
                "state",
                mark("State"),
                lambda one: ORDER_WORDS[one.state],
                Kind.MESSAGE,
                tone=lambda one: ORDER_TONES[one.state],
            ),
        ),
        items=items,
        empty=mark("Nobody has begun a top-up on a page yet."),
    )


def tender_words(code: str) -> str:
    """Return how money came in as people read it."""
    return TENDERS.get(code, code)


def till_table(items: Sequence[Any], who: Callable[[str | None], str]) -> Table[Any]:
    """Return what the desk took on a day, by person and tender."""
    return Table(
        name="till",
        caption=mark("Taken at the desk"),
        columns=(
            Column("who", mark("By"), lambda one: who(one.actor)),
            Column("tender", mark("Paid by"), lambda one: tender_words(one.tender), Kind.MESSAGE),
            Column("count", mark("Payments"), lambda one: one.count, Kind.NUMBER),
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
        ),
        items=items,
        empty=mark("Nothing was taken at the desk on this day."),
    )
