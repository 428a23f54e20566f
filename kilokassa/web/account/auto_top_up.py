"""A resident agrees to an auto top-up, confirms it after refusals, or stops it."""

from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, IntegerField, SelectChoice, SelectField, StringField
from wtforms.validators import NumberRange, Optional, ValidationError

from kilokassa.app.gateways import DEMO_CARDS, DEMO_PROVIDER
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.ids import AccountId
from kilokassa.core.money import parse_minor
from kilokassa.core.text import mark, sentence
from kilokassa.web.auto_top_ups import attempts_table, state_of
from kilokassa.web.forms import MOST_MINOR, Form
from kilokassa.web.kit import export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from wallet.payments.auto import service, store
from wallet.payments.auto.agreed import Agreed
from wallet.payments.auto_top_up import (
    AutoTopUpRule,
    BelowThreshold,
    DayOfMonth,
    FixedAmount,
    UpToTarget,
)

TRIGGERS: Final = {
    "below": mark("whenever less is available than"),
    "day": mark("on a day of each month"),
}
SIZES: Final = {"fixed": mark("always the same amount"), "target": mark("up to a balance of")}
LEAST_MINOR: Final = 10_00
"""Less is not worth a payment by card."""


class AutoTopUpForm(Form):
    """When, how much, at most how much, and by which card."""

    trigger = SelectField(mark("When"))
    threshold = StringField(mark("Threshold, roubles"))
    day = IntegerField(mark("Day of the month"), validators=[Optional(), NumberRange(1, 31)])
    size = SelectField(mark("How much"))
    amount = StringField(mark("Amount, roubles"))
    most = StringField(mark("Most of one top-up, roubles"))
    window_days = IntegerField(
        mark("Days between top-ups at least"), validators=[NumberRange(1, 365)], default=3
    )
    card = SelectField(mark("Card"), validate_choice=False)
    agreed = BooleanField(mark("I agree that my card is drawn on by this rule"))

    def __init__(self, cards: list[tuple[str, str]], **values: Any) -> None:  # noqa: ANN401
        super().__init__(**values)
        self.trigger.choices = [SelectChoice(c, translate(w)) for c, w in TRIGGERS.items()]
        self.size.choices = [SelectChoice(c, translate(w)) for c, w in SIZES.items()]
        self.card.choices = [SelectChoice(token, name) for token, name in cards]
        self.minor: dict[str, int] = {}

    def validate_threshold(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Read the threshold where it counts."""
        if self.trigger.data == "below":
            self._read("threshold", field)

    def validate_day(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Ask for the day where it counts."""
        if self.trigger.data == "day" and field.data is None:
            raise ValidationError(translate(mark("Name a day from 1 to 31.")))

    def validate_amount(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Read the amount."""
        self._read("amount", field)

    def validate_most(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Read the bound."""
        self._read("most", field)

    def validate_agreed(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Ask for the consent."""
        if not field.data:
            raise ValidationError(translate(mark("Without your consent nothing is drawn.")))

    def _read(self, name: str, field: Any) -> None:  # noqa: ANN401
        try:
            self.minor[name] = parse_minor("".join((field.data or "").split()))
        except Invalid:
            raise ValidationError(
                translate(mark("Write an amount such as 1500 or 1500.50."))
            ) from None
        if not 0 < self.minor[name] <= MOST_MINOR:
            raise ValidationError(translate(mark("The amount must be more than zero.")))

    def rule(self, here: Visit) -> AutoTopUpRule:
        """Return the rule, from today on; refuse one whose parts do not fit together."""
        minor = self.minor
        try:
            return AutoTopUpRule(
                trigger=BelowThreshold(minor["threshold"])
                if self.trigger.data == "below"
                else DayOfMonth(self.day.data),
                size=FixedAmount(minor["amount"])
                if self.size.data == "fixed"
                else UpToTarget(minor["amount"]),
                valid_from=here.today,
                most_minor=minor["most"],
                least_minor=min(LEAST_MINOR, minor["most"]),
                window_days=self.window_days.data,
            )
        except ValueError as error:
            raise Invalid(
                where=mark("auto top-up"),
                problem=mark(
                    "the amount is at most the most of one top-up, and a target is not below the "
                    "threshold"
                ),
            ) from error


def auto_top_up(number: str) -> ResponseReturnValue:
    """Show what was agreed to and what came of it; take another consent in."""
    here = visit()
    row, account_id = account_of(here, number)
    rules = store.rules_of(here.session, here.scope, account_id)
    standing = next((one for one in rules if one.stands), None)
    cards = _cards(here, rules)
    form = AutoTopUpForm([(token, name) for token, (name, _, _) in cards.items()])
    if request.method == "POST" and form.validate():
        scope, clock = here.scope, here.application.clock
        try:
            rule = form.rule(here)
            chosen = cards.get(form.card.data or "")
            if chosen is None:
                raise Invalid(where=mark("card"), problem=mark("choose a card"))
            _, provider, hint = chosen
            order = service.AgreeOrder(account_id, rule, provider, form.card.data, hint)
            with here.writing() as session:
                service.agree(session, scope, order, clock)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
            row, account_id = account_of(here, number)
        else:
            flash(translate(mark("The auto top-up is agreed to.")), "good")
            return redirect(url_for("account.auto_top_up", number=number))
    attempts = store.attempts_of(here.session, here.scope, account_id)
    table = attempts_table(attempts)
    if export_asked() == table.name:
        return table.csv()
    answer = render_template(
        "account/auto_top_up.html",
        active="account.home",
        account=row,
        form=form,
        cards=cards,
        standing=standing,
        state=state_of(here, standing, attempts),
        table=table,
    )
    return answer, 422 if request.method == "POST" else 200


def confirm(number: str) -> ResponseReturnValue:
    """Let the rule ask again after refusals."""
    return _step(number, confirmed=True)


def stop(number: str) -> ResponseReturnValue:
    """Let the rule ask no more."""
    return _step(number, confirmed=False)


def _step(number: str, *, confirmed: bool) -> ResponseReturnValue:
    here = visit()
    _, account_id = account_of(here, number)
    scope, clock = here.scope, here.application.clock
    done = service.confirm if confirmed else service.stop
    try:
        with here.writing() as session:
            done(session, scope, AccountId(account_id), clock)
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
    else:
        text = (
            mark("The auto top-up is confirmed.") if confirmed else mark("The auto top-up is off.")
        )
        flash(translate(text), "good")
    return redirect(url_for("account.auto_top_up", number=number))


def _cards(here: Visit, rules: tuple[Agreed, ...]) -> dict[str, tuple[str, str, str]]:
    """Return the cards that may be chosen by their tokens: name, provider and last digits."""
    found = {
        one.card_token: (f"•••• {one.card_hint}", one.provider, one.card_hint) for one in rules
    }
    if here.retailer.demo:
        for token, hint in DEMO_CARDS.items():
            name = translate(mark("demo card •••• %(hint)s")) % {"hint": hint}
            found.setdefault(token, (name, DEMO_PROVIDER, hint))
    return found
