"""The lines of one account for its water, from readings or without them; pure calculation."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from billing.accounts import BilledAccount
from billing.charges import MeterFact
from billing.house.facts import WATERS, HouseFacts
from billing.house.lines import NO_VOLUME, HouseCharge, ServiceDays, volume_lines
from billing.house.water import Volume, common_volume, counted_within, water_of_month
from billing.law import REGISTER_WENT_BACK
from billing.recalculation.absence import absence_warnings, person_days
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.digest import digest_text
from kilokassa.core.series import Quality
from metering.estimation.methods import norm_in_force
from metering.registers import RegisterBackwards, register_differences
from metering.registry.at_premises import PremisesMeter
from metering.registry.places import Commodity
from tariffs.services.prices import Basis, HouseService, ServicePrice
from tariffs.services.volumes import Counted, VolumeMethod, norm_litres


class AccountWater:
    """The water of one account in a month, found once for all services that count it."""

    def __init__(
        self,
        account: BilledAccount,
        month: Month,
        facts: HouseFacts,
        norm_codes: Mapping[Commodity, str],
    ) -> None:
        self.account, self.month, self.facts = account, month, facts
        self.norm_codes = norm_codes
        self._backwards = False

    def charge(
        self,
        served: ServiceDays,
        price: ServicePrice,
        since: date,
        until: date,
        charge: HouseCharge,
    ) -> None:
        """Add the lines of a service by volume of water that the account has over some days."""
        kinds = {
            HouseService.COLD_WATER: (Commodity.COLD_WATER,),
            HouseService.HOT_WATER: (Commodity.HOT_WATER,),
        }.get(price.service, tuple(WATERS))
        volumes = {str(kind): self._volume(kind, since, until) for kind in kinds}
        volume = common_volume(volumes)
        if self._backwards:
            charge.warnings.append(REGISTER_WENT_BACK)
        if volume is None:
            charge.warnings.append(NO_VOLUME)
            return
        absences = self.facts.absences.get(self.account.id, ())
        by_norm = any(
            one is not None and one.method is VolumeMethod.NORM for one in volumes.values()
        )
        if by_norm:
            charge.warnings += absence_warnings(self.month.days, absences)
        facts: dict[str, Any] = {
            "volumes": {
                kind: {
                    "litres": one.litres,
                    "method": str(one.method),
                    "counted": one.counted,
                    "charged_before": one.charged_before,
                }
                for kind, one in volumes.items()
                if one is not None
            },
            "persons": self.facts.persons[self.account.id],
        }
        charge.lines += volume_lines(
            served,
            volume.litres,
            facts,
            digest=self._digest(kinds),
            counted=volume.method is VolumeMethod.METER,
            estimated=volume.method is not VolumeMethod.METER,
        )
        if price.basis is Basis.METER:
            charge.meters += self._meters(kinds[0], volume)

    def _volume(self, kind: Commodity, since: date, until: date) -> Volume | None:
        in_service = self._in_service(kind)
        try:
            counted = counted_within(self._counted(kind), since, until)
        except RegisterBackwards:
            self._backwards = True
            return None
        return water_of_month(
            counted,
            self.month,
            since,
            lambda month: self._norm(kind, month),
            metered=bool(in_service) or any(Month.of(one.last) == self.month for one in counted),
        )

    def _in_service(self, kind: Commodity) -> list[PremisesMeter]:
        end = self.month.plus(1).first_day
        return [
            meter
            for meter in self.facts.meters.get((self.account.premises_id, kind), ())
            if meter.installed_on < end
            and (meter.removed_on is None or meter.removed_on > self.month.first_day)
        ]

    def _counted(self, kind: Commodity) -> list[Counted]:
        """Return what the meters counted by the day, each stretch as long as between two visits."""
        found = []
        for meter in self.facts.meters.get((self.account.premises_id, kind), ()):
            readings = [
                reading
                for reading in self.facts.readings.get(meter.meter_id, ())
                if reading.quality is not Quality.MISSING
            ]
            found += [
                Counted(
                    self._day(difference.period.start),
                    self._day(difference.period.end),
                    difference.energy,
                )
                for difference in register_differences(
                    readings, digits=meter.digits, commodity=kind
                )
            ]
        return found

    def _day(self, instant: datetime) -> date:
        """Return the local day a reading closes: one of midnight closes the day before."""
        return local_date(instant - timedelta(microseconds=1), self.account.zone)

    def _norm(self, kind: Commodity, month: Month) -> int | None:
        facts, account = self.facts, self.account
        code = self.norm_codes.get(kind) or facts.houses[account.building_id].norm_code
        persons = facts.persons[account.id]
        norm = norm_in_force(
            facts.norms[kind],
            code,
            month.first_day,
            rooms=facts.rooms.get(account.premises_id),
            persons=persons,
        )
        if norm is None:
            return None
        numerator, denominator = person_days(
            persons, month.days, facts.absences.get(account.id, ())
        )
        return norm_litres(norm.quantity, (numerator, denominator))

    def _digest(self, kinds: Sequence[Commodity]) -> str:
        parts = [f"persons:{self.facts.persons[self.account.id]}"]
        for kind in kinds:
            for meter in self.facts.meters.get((self.account.premises_id, kind), ()):
                parts += [
                    f"{reading.meter_id}:{reading.taken_at.isoformat()}:{reading.value}"
                    f":{reading.revision}"
                    for reading in self.facts.readings.get(meter.meter_id, ())
                ]
        return digest_text("|".join(parts))

    def _meters(self, kind: Commodity, volume: Volume) -> list[MeterFact]:
        found = []
        period = self.month.period(self.account.zone)
        for meter in self._in_service(kind):
            readings = self.facts.readings.get(meter.meter_id, ())
            within = [one for one in readings if period.start < one.taken_at <= period.end]
            before = [one for one in readings if one.taken_at <= period.start]
            first = before[-1] if before else (within[0] if within else None)
            last = within[-1] if within else None
            read = volume.method is VolumeMethod.METER and last is not None
            found.append(
                MeterFact(
                    serial=meter.serial,
                    point_code=meter.point_code,
                    service=WATERS[kind],
                    measured=volume.counted if read else 0,
                    estimated=0 if read else volume.litres,
                    previous=None if first is None else first.value,
                    current=None if last is None else last.value,
                    verified_until=meter.verified_until,
                )
            )
        return found
