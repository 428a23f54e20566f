"""Refunds on pages: the form and the table that the console and the account pages share."""

from collections.abc import Callable, Sequence
from typing import Any

from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import Length, Regexp, ValidationError

from kilokassa.core.errors import Invalid
from kilokassa.core.money import parse_minor
from kilokassa.core.text import mark
from kilokassa.web.forms import MOST_MINOR, Form
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate
from wallet.payments.payment import RefundState
from wallet.payments.refunds.refund import Refund

TONES = {RefundState.ASKED: "warn", RefundState.PAID: "good", RefundState.DROPPED: "quiet"}


class AmountForm(Form):
    """An amount and the key that makes the form count once."""

    amount = StringField(mark("Amount, roubles"))
    key = HiddenField(validators=[Regexp(r"\A[0-9a-f]{32}\Z")])

    amount_minor = 0

    def validate_amount(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Read the amount exactly; refuse what is not one."""
        try:
            self.amount_minor = parse_minor("".join((field.data or "").split()))
        except Invalid:
            raise ValidationError(
                translate(mark("Write an amount such as 1500 or 1500.50."))
            ) from None
        if not 0 < self.amount_minor <= MOST_MINOR:
            raise ValidationError(translate(mark("The amount must be more than zero.")))


class RefundForm(AmountForm):
    """Money that is asked back."""

    to_whom = StringField(mark("Who gets the money"), validators=[Length(max=200)])
    requisites = TextAreaField(mark("Bank requisites"), validators=[Length(max=1000)])
    why = StringField(mark("Reason"), validators=[Length(max=200)])


class TransferForm(AmountForm):
    """Money that goes to another account."""

    target = StringField(mark("Number of the other account"), validators=[Length(max=40)])
    why = StringField(mark("Reason"), validators=[Length(max=200)])


def refunds_table(
    found: Sequence[Refund], *, link: Callable[[str], str] | None = None
) -> Table[Refund]:
    """Return refunds as a table; accounts are shown where `link` leads to them."""
    of_account: tuple[Column[Refund], ...] = ()
    if link is not None:
        of_account = (
            Column(
                "account",
                mark("Account"),
                lambda one: f"{one.account_number} {one.payer_name}",
                link=lambda one: link(one.account_number),
            ),
        )
    return Table(
        name="refunds",
        columns=(
            Column("number", mark("Number"), lambda one: one.id, Kind.NUMBER),
            Column("asked", mark("Asked"), lambda one: one.asked_at, Kind.INSTANT),
            *of_account,
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
            Column("to", mark("Who gets the money"), lambda one: one.to_whom),
            Column(
                "state",
                mark("State"),
                lambda one: one.state,
                Kind.WORD,
                tone=lambda one: TONES[one.state],
            ),
            Column(
                "settled", mark("Settled on"), lambda one: one.settled_at, Kind.INSTANT, minor=True
            ),
            Column("reference", mark("Payment order"), lambda one: one.reference, minor=True),
        ),
        items=found,
        caption=mark("Refunds"),
        empty=mark("No money was asked back yet."),
    )
