"""Who is told, once a month, which meters must be verified: those who service them.

A house whose servicer has no address is told to its management company; where that has none either
the list waits for somebody to enter one, and the report says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from billing import store as billing_store
from billing.models import RetailerRow
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.scope import Right, Scope, system_scope
from kilokassa.core.text import Language, gettext, mark
from metering.meters.life import DueBand, DueReason
from metering.meters.store import DueFilter, DueMeter, due_meters
from notices.messages import Addressee, Letterhead, MeterDue, VerificationsDue, message_of
from notices.notice import Message, NoticeKind, NoticeOrder
from notices.service import enqueue_all

WITHIN_DAYS: Final = 90
"""How far ahead a notice looks: long enough to agree on a day with the people who live there."""

SCOPE: Final = system_scope("scheduler")

METERS_NAMED: Final = 200
"""Meters that a letter names: more are read in the registry, not in a mail."""

MESSAGES: Final[Mapping[DueReason, str]] = {
    DueReason.VERIFICATION: mark("verified until %(day)s"),
    DueReason.SERVICE_LIFE: mark("service life until %(day)s"),
    DueReason.REPAIRED: mark("repaired on %(day)s, not verified since"),
}


@dataclass(frozen=True, slots=True)
class ToldServicer:
    """One who was told, or could not be."""

    name: str
    email: str
    """Empty: there is no address to write to."""
    count: int
    overdue: int


@dataclass(frozen=True, slots=True)
class VerificationNotices:
    """What a round of notices came to."""

    written: int
    """Notices that are new; the others were told this month already."""
    told: tuple[ToldServicer, ...]

    @property
    def without_address(self) -> tuple[ToldServicer, ...]:
        """Those who have meters that are due and no address."""
        return tuple(one for one in self.told if not one.email)


@dataclass(frozen=True, slots=True)
class _Recipient:
    key: str
    name: str
    email: str
    language: str


def tell_verifications(
    application: Application,
    *,
    scope: Scope = SCOPE,
    within_days: int = WITHIN_DAYS,
    servicer_code: str = "",
    again: bool = False,
) -> VerificationNotices:
    """Write a notice to each who services meters that are due; once a local month, or `again`.

    Meters of which nobody knows the verification are not told of: a registry that was just loaded
    would write a letter about every meter.
    """
    scope.demand(Right.MANAGE_METERS)
    now = application.clock.now()
    with application.database.writing() as session:
        retailer = billing_store.retailer(session)
        zone = ZoneInfo(retailer.zone)
        today = local_date(now, zone)
        asked = DueFilter(within_days=within_days, servicer_code=servicer_code, unknown=False)
        by_recipient: dict[_Recipient, list[DueMeter]] = {}
        for meter in due_meters(session, scope, asked, today=today):
            by_recipient.setdefault(_recipient_of(meter, retailer), []).append(meter)
        month = now.isoformat() if again else str(Month.of(today))
        orders = [
            NoticeOrder(
                kind=NoticeKind.VERIFICATIONS_DUE,
                account_id=None,
                language=Language(recipient.language),
                recipient=recipient.email,
                message=_message(retailer, recipient, meters, within_days),
                dedupe_key=f"{NoticeKind.VERIFICATIONS_DUE}:{recipient.key}:{month}",
                zone=zone,
            )
            for recipient, meters in by_recipient.items()
            if recipient.email
        ]
        written = enqueue_all(session, orders, application.clock)
    return VerificationNotices(
        written=written,
        told=tuple(
            ToldServicer(one.name, one.email, len(meters), _overdue(meters))
            for one, meters in by_recipient.items()
        ),
    )


def _recipient_of(meter: DueMeter, retailer: RetailerRow) -> _Recipient:
    first_language = retailer.languages.split(",")[0]
    company = _Recipient(
        f"company:{meter.company_code}", meter.company_name, meter.company_email, first_language
    )
    if not meter.servicer_code or (not meter.servicer_email and meter.company_email):
        return company
    return _Recipient(
        f"servicer:{meter.servicer_code}",
        meter.servicer_name,
        meter.servicer_email,
        meter.servicer_language or first_language,
    )


def _message(
    retailer: RetailerRow, recipient: _Recipient, meters: Sequence[DueMeter], within_days: int
) -> Message:
    return message_of(
        VerificationsDue(
            meters=tuple(
                _line(meter, Language(recipient.language)) for meter in meters[:METERS_NAMED]
            ),
            count=len(meters),
            overdue=_overdue(meters),
            within_days=within_days,
        ),
        Addressee("", recipient.name, ""),
        Letterhead(
            retailer_name=retailer.name,
            phone=retailer.phone,
            email=retailer.email,
            demo=retailer.demo,
        ),
        Language(recipient.language),
    )


def _line(meter: DueMeter, language: Language) -> MeterDue:
    assert meter.due.on is not None, "what is not known is not told of"
    place = meter.common_area
    if meter.premises_number:
        place = gettext(mark("flat %(number)s"), language) % {"number": meter.premises_number}
    parts = (meter.address, place, meter.point_code)
    return MeterDue(
        place=", ".join(part for part in parts if part),
        serial=meter.serial,
        message=MESSAGES[meter.reason],
        day=meter.due.on,
    )


def _overdue(meters: Sequence[DueMeter]) -> int:
    return sum(meter.band is DueBand.EXPIRED for meter in meters)
