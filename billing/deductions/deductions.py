"""What a lack of quality takes off a charge: ПП РФ от 06.05.2011 № 354, annex 1; pure calculation.

    deduction = - charge of the month x share, rounded once, half up

where the share is the hours beyond what is allowed times what the item takes off an hour
(`metering.events.quality`, whose rules are dated data). The items of a service are taken one after
the other and never take off more than the whole charge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from billing.charges import NewLine, with_name
from billing.models import LineUnit, Service
from kilokassa.core.calendar import Month
from kilokassa.core.confidence import Confidence
from kilokassa.core.digest import canonical_json, digest_text
from kilokassa.core.money import half_up_ratio
from kilokassa.core.period import Period
from kilokassa.core.text import Language, gettext, mark
from metering.events.kinds import QualityEventKind
from metering.events.quality import PPM, Deviation, QualityPeriod, deviation
from metering.registry.places import Commodity
from tariffs.lines import ChargeKind

SERVICES: Final[Mapping[Commodity, Service]] = {
    Commodity.ELECTRICITY: Service.ELECTRICITY,
    Commodity.HEAT: Service.HEAT,
    Commodity.COLD_WATER: Service.COLD_WATER,
    Commodity.HOT_WATER: Service.HOT_WATER,
}
NAMES: Final[Mapping[QualityEventKind, str]] = {
    QualityEventKind.NO_SUPPLY: mark("Deduction for a break in supply"),
    QualityEventKind.VOLTAGE: mark("Deduction for voltage out of range"),
    QualityEventKind.ROOM_TEMPERATURE: mark("Deduction for the temperature of the rooms"),
    QualityEventKind.WATER_TEMPERATURE: mark("Deduction for the temperature of hot water"),
}
DEDUCTION_UNCERTAIN: Final = mark(
    "A deduction follows a rule of annex 1 that has not been checked against its source."
)
_NOT_CHARGED: Final = frozenset({ChargeKind.DEDUCTION, ChargeKind.EXPORT})


@dataclass(frozen=True, slots=True)
class QualityRecord:
    """A confirmed record of a lack of quality, with the number it has in the register."""

    id: int
    period: QualityPeriod

    @property
    def digest(self) -> str:
        """Digest of what a deduction is computed from."""
        one = self.period
        return digest_text(
            f"{self.id}|{one.commodity}|{one.kind}|{one.period.start}|{one.period.end}"
            f"|{one.measured_tenths}|{one.required_tenths}"
        )


def deductions(
    lines: Sequence[NewLine],
    records: Sequence[QualityRecord],
    month: Month,
    zone: ZoneInfo,
    stay: Period,
) -> tuple[tuple[NewLine, ...], tuple[str, ...]]:
    """Return the lines that `records` take off the month's `lines`, and what is unsure about them.

    `stay` is how long the account was the payer of the premises; what happened before or after it
    takes nothing off.
    """
    whole = month.period(zone)
    own = tuple(filter(None, (_cut(record, stay) for record in records)))
    found: list[NewLine] = []
    uncertain = False
    left: dict[Service, tuple[int, int]] = {}
    for item in _deviations(tuple(record.period for record in own), month, zone):
        service = SERVICES.get(item.rule.commodity)
        if service is None or not item.share_ppm:
            continue
        charged_minor = _charged_minor(lines, service)
        share_left, minor_left = left.get(service, (PPM, charged_minor))
        share_ppm = min(item.share_ppm, share_left)
        exact_minor = half_up_ratio(charged_minor * share_ppm, PPM)
        taken_minor = min(exact_minor, minor_left)
        left[service] = (share_left - share_ppm, minor_left - taken_minor)
        if not taken_minor:
            continue
        uncertain = uncertain or item.rule.confidence != Confidence.HIGH
        causes = [
            record
            for record in own
            if (record.period.commodity, record.period.kind)
            == (item.rule.commodity, item.rule.kind)
        ]
        found.append(
            NewLine(
                service=service,
                key=f"{ChargeKind.DEDUCTION}:{item.rule.item}/-/{month.first_day}",
                quantity=charged_minor,
                rate_scaled=share_ppm,
                amount_minor=-taken_minor,
                period_start=whole.start,
                period_end=whole.end,
                input_digest=_input_digest(lines, service, causes),
                charge=ChargeKind.DEDUCTION,
                code=item.rule.item,
                unit=LineUnit.MINOR,
                factor=-1,
                divisor=PPM if taken_minor == exact_minor else 0,
                detail=_detail(item, causes, share_ppm, charged_minor),
            )
        )
    return tuple(found), (DEDUCTION_UNCERTAIN,) if uncertain else ()


@lru_cache(maxsize=1024)
def _deviations(
    periods: tuple[QualityPeriod, ...], month: Month, zone: ZoneInfo
) -> tuple[Deviation, ...]:
    """Return what annex 1 counts; a house's flats mostly share the same records."""
    return deviation(periods, month, zone)


def _cut(record: QualityRecord, stay: Period) -> QualityRecord | None:
    part = record.period.period.intersect(stay)
    return None if part is None else replace(record, period=replace(record.period, period=part))


def _charged_minor(lines: Sequence[NewLine], service: Service) -> int:
    return max(
        0,
        sum(
            line.amount_minor
            for line in lines
            if line.service is service and line.charge not in _NOT_CHARGED
        ),
    )


def _input_digest(
    lines: Sequence[NewLine], service: Service, causes: Sequence[QualityRecord]
) -> str:
    parts = [record.digest for record in causes]
    parts += [f"{n.key}:{n.amount_minor}:{n.input_digest}" for n in lines if n.service is service]
    return digest_text("|".join(parts))


def _detail(
    item: Deviation, causes: Sequence[QualityRecord], share_ppm: int, charged_minor: int
) -> str:
    rule = item.rule
    told = {
        "deduction": {
            "records": [record.id for record in causes],
            "item": rule.item,
            "lasted_min": item.lasted_min,
            "counted_min": item.counted_min,
            "step_min": item.step_minutes,
            "an_hour_ppm": rule.share_ppm_an_hour,
            "share_ppm": share_ppm,
            "charged_minor": charged_minor,
            "source": rule.source,
            "confidence": rule.confidence,
        }
    }
    name = NAMES[rule.kind]
    return with_name(
        canonical_json(told), gettext(name, Language.RUSSIAN), gettext(name, Language.ENGLISH)
    )
