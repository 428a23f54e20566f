"""Forms of pages: what people type becomes typed values, or a sentence beside the field."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from flask import request
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, HiddenField, SelectChoice, SelectField, StringField
from wtforms.validators import Length, Regexp, ValidationError

from kilokassa.app.payments import TENDERS
from kilokassa.core.calendar import Month
from kilokassa.core.errors import Invalid
from kilokassa.core.money import parse_minor
from kilokassa.core.text import Language, mark, month_text
from kilokassa.web.language import translate

YEARS_SHOWN: Final = range(2000, 2100)
MOST_MINOR: Final = 1_000_000_00
"""More than a million roubles at a cash desk is a slip of the finger."""


class Form(FlaskForm):  # type: ignore[misc]
    """A form without a token of its own: the guard has checked the request's already."""

    class Meta:
        """Settings that WTForms reads."""

        csrf = False


class TopUpForm(Form):
    """An amount, how it was paid, and the key that makes the form count once."""

    amount = StringField(mark("Amount, roubles"))
    tender = SelectField(mark("Paid by"), choices=[])
    reference = StringField(mark("Reference"), validators=[Length(max=80)])
    key = HiddenField(validators=[Regexp(r"\A[0-9a-f]{32}\Z")])

    amount_minor = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.tender.choices = [
            SelectChoice(code, translate(words)) for code, words in TENDERS.items()
        ]
        if self.tender.data is None:
            self.tender.data = "cash"

    def validate_amount(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Read the amount exactly; refuse what is not one."""
        text = "".join((field.data or "").split())
        try:
            self.amount_minor = parse_minor(text)
        except Invalid:
            raise ValidationError(
                translate(mark("Write an amount such as 1500 or 1500.50."))
            ) from None
        if self.amount_minor <= 0:
            raise ValidationError(translate(mark("The amount must be more than zero.")))
        if self.amount_minor > MOST_MINOR:
            raise ValidationError(translate(mark("The amount is too large to be taken at once.")))


class ResidentTopUpForm(TopUpForm):
    """What a resident is asked: the amount alone."""

    tender = None
    reference = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super(TopUpForm, self).__init__(*args, **kwargs)


class FileForm(Form):
    """A form that takes a file in."""

    file = FileField(mark("File"))

    def validate_file(self, field: Any) -> None:  # noqa: ANN401 - WTForms' own hook
        """Ask for a file."""
        if not field.data:
            raise ValidationError(translate(mark("Choose a file.")))


class ReadingsForm(FileForm):
    """A file of readings, and what the file itself does not say."""

    unit = SelectField(mark("Unit of the values"), choices=[])
    point = StringField(mark("Metering point"), validators=[Length(max=100)])
    accept_timezone = BooleanField(mark("Accept the new time zone"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.unit.choices = [
            SelectChoice("kwh", translate(mark("kWh"))),
            SelectChoice("wh", translate(mark("Wh"))),
        ]


class CloseMonthForm(Form):
    """The month to close."""

    month = SelectField(mark("Month"), choices=[])

    def offer(self, months: Sequence[Month], language: Language) -> None:
        """Offer these months."""
        self.month.choices = [
            SelectChoice(str(month), month_text(month, language)) for month in months
        ]


def month_asked(name: str) -> Month | None:
    """Return the month that an argument of the address names, if it does.

    One before or after any that a page has to show is as good as none: pages count from it.
    """
    text = request.args.get(name, "")
    try:
        asked = Month.parse(text) if text else None
    except Invalid:
        return None
    return asked if asked is not None and asked.year in YEARS_SHOWN else None


def month_over(today: date) -> Month:
    """Return the month that the address asks for; without one, the last that is over."""
    current = Month.of(today)
    return min(month_asked("month") or current.plus(-1), current)
