"""Notices on pages: lists, one as it was written, the form of wishes; for staff and residents."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import request, url_for
from wtforms import (
    BooleanField,
    IntegerField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.ids import AccountId
from kilokassa.core.money import parse_minor
from kilokassa.core.text import amount_text, mark, sentence
from kilokassa.web.doers import Doers
from kilokassa.web.forms import Form
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, visit
from kilokassa.web.words import word
from notices.desk.service import BY_HAND, LONGEST_PROOF, DeliveryOrder, state_preference
from notices.notice import (
    LEGAL_KINDS,
    RESIDENT_KINDS,
    DeliveryMethod,
    NoticeKind,
    NoticeState,
    Outcome,
    QuietHours,
    Way,
)
from notices.preferences import MOST_DAYS, Preference, checked_address
from notices.store import Attempt, NoticeSummary, RecordedDelivery, preference_of

STATE_TONES: Final = {
    NoticeState.SENT: "quiet",
    NoticeState.FAILED: "warn",
    NoticeState.GIVEN_UP: "bad",
}
OUTCOME_TONES: Final = {
    Outcome.ACCEPTED: "good",
    Outcome.DEFERRED: "warn",
    Outcome.UNREACHABLE: "warn",
    Outcome.REFUSED: "bad",
}
ADDRESSES: Final = ((Way.EMAIL, "mail_to"), (Way.SMS, "sms_to"), (Way.MESSENGER, "messenger_to"))


def notices_table(
    items: Sequence[NoticeSummary], accounts: Mapping[int, str] | None = None
) -> Table[NoticeSummary]:
    """Return notices as staff see them; with their accounts where those are given."""
    account: tuple[Column[NoticeSummary], ...] = ()
    if accounts is not None:
        account = (
            Column(
                "account",
                mark("Account"),
                lambda one: accounts.get(one.account_id or 0, ""),
                link=lambda one: _account_link(accounts.get(one.account_id or 0)),
            ),
        )
    return Table(
        name="notices",
        caption=mark("Notices"),
        columns=(
            Column(
                "created",
                mark("Recorded"),
                lambda one: one.created_at,
                Kind.INSTANT,
                link=lambda one: url_for("console.notice", notice_id=one.id),
            ),
            Column("kind", mark("About"), lambda one: one.kind, Kind.WORD),
            *account,
            Column("way", mark("Way"), lambda one: one.way, Kind.WORD),
            Column("recipient", mark("To"), lambda one: one.recipient, minor=True),
            Column(
                "state",
                mark("State"),
                lambda one: one.state,
                Kind.WORD,
                tone=lambda one: STATE_TONES.get(one.state, ""),
            ),
            Column("attempts", mark("Attempts"), lambda one: one.attempts, Kind.NUMBER, minor=True),
            Column(
                "delivered",
                mark("Delivery proven"),
                lambda one: one.delivered_at,
                Kind.INSTANT,
                tone=lambda one: "good" if one.delivered else "",
            ),
            Column("error", mark("Last answer"), lambda one: one.last_error[:80], minor=True),
        ),
        items=items,
        empty=mark("No notice fits: take a filter away, or wait for something to tell."),
    )


def own_notices(items: Sequence[NoticeSummary], number: str) -> Table[NoticeSummary]:
    """Return the notices of an account as its resident sees them."""
    return Table(
        name="notices",
        caption=mark("Notices"),
        columns=(
            Column("created", mark("Recorded"), lambda one: one.created_at, Kind.INSTANT),
            Column(
                "subject",
                mark("Subject"),
                lambda one: one.subject,
                link=lambda one: url_for("account.notice", number=number, notice_id=one.id),
            ),
            Column("way", mark("Way"), lambda one: one.way, Kind.WORD, minor=True),
            Column(
                "state",
                mark("State"),
                lambda one: one.state,
                Kind.WORD,
                tone=lambda one: STATE_TONES.get(one.state, ""),
                minor=True,
            ),
        ),
        items=items,
        empty=mark("Nothing was told yet. Below you say what you want to be told, and how."),
    )


def attempts_table(items: Sequence[Attempt]) -> Table[Attempt]:
    """Return the attempts to deliver a notice."""
    return Table(
        name="attempts",
        caption=mark("Attempts"),
        columns=(
            Column("began", mark("Began"), lambda one: one.began_at, Kind.INSTANT),
            Column("took", mark("Took, ms"), lambda one: one.took_ms, Kind.NUMBER),
            Column(
                "outcome",
                mark("Outcome"),
                lambda one: one.outcome,
                Kind.WORD,
                tone=lambda one: OUTCOME_TONES[one.outcome],
            ),
            Column("answer", mark("What the other side answered"), lambda one: one.answer),
        ),
        items=items,
        empty=mark("It was not tried yet."),
    )


def deliveries_table(items: Sequence[RecordedDelivery], doers: Doers) -> Table[RecordedDelivery]:
    """Return the records of deliveries, those that were withdrawn too."""
    return Table(
        name="deliveries",
        caption=mark("Deliveries"),
        columns=(
            Column("at", mark("Delivered"), lambda one: one.delivered_at, Kind.INSTANT),
            Column("method", mark("How"), lambda one: one.method, Kind.WORD),
            Column("proof", mark("Proof"), lambda one: one.proof),
            Column("by", mark("Recorded by"), lambda one: doers.name(one.actor), minor=True),
            Column("recorded", mark("Recorded"), lambda one: one.recorded_at, Kind.INSTANT),
            Column(
                "state",
                mark("State"),
                lambda one: mark("counts") if one.stands else mark("withdrawn"),
                Kind.MESSAGE,
                tone=lambda one: "good" if one.stands else "bad",
            ),
            Column("why", mark("Why withdrawn"), lambda one: one.withdrawn_why, minor=True),
        ),
        items=items,
        empty=mark("No delivery is proven yet. That a server accepted the notice is no proof."),
    )


class DeliveryForm(Form):
    """That a notice arrived: how, when and what proves it."""

    method = SelectField(mark("How it was delivered"), choices=[])
    at = StringField(mark("When"), validators=[InputRequired()])
    proof = TextAreaField(mark("Proof"), validators=[InputRequired(), Length(max=LONGEST_PROOF)])

    def offer(self) -> None:
        """Offer what a person may record."""
        self.method.choices = [
            SelectChoice(str(method), translate(word(method))) for method in BY_HAND
        ]

    def order(self, notice_id: int, zone: ZoneInfo) -> DeliveryOrder:
        """Return the order; the instant is that on the wall of the retailer."""
        try:
            local = datetime.fromisoformat(self.at.data or "")
        except ValueError:
            raise Invalid(
                where=mark("when"), problem=mark("a day and a time of day such as 2026-11-24 14:30")
            ) from None
        if local.tzinfo is not None or not 2000 <= local.year < 2100:
            raise Invalid(
                where=mark("when"), problem=mark("a day and a time of day such as 2026-11-24 14:30")
            )
        at = local.replace(tzinfo=zone).astimezone(UTC)
        return DeliveryOrder(notice_id, DeliveryMethod(self.method.data), at, self.proof.data or "")


class WishesForm(Form):
    """What an account wants to be told, when and how."""

    low = StringField(mark("Tell me below, roubles"), validators=[InputRequired(), Length(max=20)])
    days = IntegerField(
        mark("Tell me how many days before the money runs out"),
        validators=[InputRequired(), NumberRange(0, MOST_DAYS)],
    )
    bonus_days = IntegerField(
        mark("Tell me how many days before a bonus ends"),
        validators=[InputRequired(), NumberRange(1, MOST_DAYS)],
    )
    quiet_from = TimeField(mark("Quiet from"), validators=[InputRequired()])
    quiet_until = TimeField(mark("Quiet until"), validators=[InputRequired()])
    mail = BooleanField(mark("By e-mail"))
    mail_to = StringField(mark("Another e-mail address"), validators=[Optional(), Length(max=254)])
    sms_to = StringField(mark("Telephone for SMS"), validators=[Optional(), Length(max=40)])
    messenger_to = StringField(mark("Name in the messenger"), validators=[Length(max=64)])

    kinds: tuple[NoticeKind, ...] = ()
    """Kinds that are wanted, as the boxes were ticked."""

    def show(self, wish: Preference) -> None:
        """Fill the fields in."""
        self.low.data = amount_text(wish.low_minor, visit().language, unit=False)
        self.days.data, self.bonus_days.data = wish.days, wish.bonus_days
        self.quiet_from.data, self.quiet_until.data = wish.quiet.begins, wish.quiet.ends
        self.mail.data = wish.mail
        for way, name in ADDRESSES:
            self[name].data = wish.addresses.get(way, "")
        self.kinds = tuple(kind for kind in RESIDENT_KINDS if kind not in wish.off)

    def take(self, wanted: Sequence[str]) -> None:
        """Take the boxes that were ticked."""
        self.kinds = tuple(kind for kind in RESIDENT_KINDS if str(kind) in wanted)

    def preference(self) -> Preference:
        """Return what was typed; `Invalid` names the field of what cannot be."""
        low = re.sub(r"\s", "", self.low.data or "")
        addresses = {
            way: checked_address(way, self[name].data)
            for way, name in ADDRESSES
            if (self[name].data or "").strip()
        }
        return Preference(
            low_minor=parse_minor(low, where=mark("threshold of money")),
            days=self.days.data or 0,
            bonus_days=self.bonus_days.data or 1,
            quiet=QuietHours(_minute(self.quiet_from.data), _minute(self.quiet_until.data)),
            off=frozenset(RESIDENT_KINDS) - set(self.kinds) - LEGAL_KINDS,
            mail=bool(self.mail.data),
            addresses=addresses,
        )


def keep_wishes(here: Visit, form: WishesForm, account_id: AccountId) -> bool:
    """Keep the wishes that were sent and say so; else let the form show those that stand, or why.

    What is refused stays in the form with its reason.
    """
    if request.method != "POST":
        form.show(preference_of(here.session, account_id))
        return False
    form.take(request.form.getlist("kinds"))
    if not form.validate():
        return False
    try:
        wish = form.preference()
        scope, clock = here.scope, here.application.clock
        with here.writing() as session:
            state_preference(session, scope, account_id, wish, clock)
    except DomainError as error:
        form.form_errors.append(sentence(error, here.language))
        return False
    return True


def wishes(form: WishesForm) -> list[dict[str, Any]]:
    """Return the boxes of the form: each kind, whether it is wanted, and whether it may be off."""
    return [
        {
            "kind": kind,
            "on": kind in form.kinds or kind in LEGAL_KINDS,
            "legal": kind in LEGAL_KINDS,
        }
        for kind in RESIDENT_KINDS
    ]


def local_now(here: Visit) -> str:
    """Return the present as a field of a day and a time takes it."""
    return here.now.astimezone(here.zone).strftime("%Y-%m-%dT%H:%M")


def _minute(at: time | None) -> time:
    assert at is not None, "the form asks for it"
    return at.replace(second=0, microsecond=0)


def _account_link(number: str | None) -> str | None:
    return url_for("console.account", number=number) if number else None
