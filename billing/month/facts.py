"""Facts of one account out of those of many: to explain, to refuse by name, to tell changes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.digest import digest_text
from kilokassa.core.series import WattHours
from tariffs.charges import CapacityCharge
from tariffs.facts import AccountFacts
from tariffs.plans import TariffVersion
from tariffs.zone_calendar import mask_of_windows

_MINUTES_PER_HOUR = 60


def row_of(facts: AccountFacts, place: int) -> AccountFacts:
    """Return the facts of one account, as a population of one."""
    return rows_of(facts, [place])


def rows_of(facts: AccountFacts, places: Sequence[int]) -> AccountFacts:
    """Return the facts of some accounts, in that order."""

    def some(values: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
        return None if values is None else values[list(places)]

    return AccountFacts(
        area_dm2=some(facts.area_dm2),
        persons=some(facts.persons),
        contracted_w=some(facts.contracted_w),
        opening_wh=some(facts.opening_wh),
        common_area_wh=some(facts.common_area_wh),
        demand_before_w=some(facts.demand_before_w),
        export_wh=some(facts.export_wh),
        entitled={code: who[list(places)] for code, who in facts.entitled.items()},
        price_series=facts.price_series,
        regulated_hours=facts.regulated_hours,
        closing=facts.closing,
    )


def digest_with(readings: str, facts: AccountFacts | None) -> str:
    """Return the digest of an account's inputs: its readings, and its facts where they count."""
    if facts is None:
        return readings
    columns = (
        facts.area_dm2,
        facts.persons,
        facts.contracted_w,
        facts.opening_wh,
        facts.common_area_wh,
        facts.demand_before_w,
        facts.export_wh,
    )
    parts = ["-" if one is None else ",".join(map(str, one.ravel().tolist())) for one in columns]
    parts += [f"{code}:{bool(who[0])}" for code, who in sorted(facts.entitled.items())]
    parts += [f"{code}:{series.digest}" for code, series in sorted(facts.price_series.items())]
    parts += [
        f"{code}:{','.join(hour.isoformat() for hour in hours)}"
        for code, hours in sorted(facts.regulated_hours.items())
    ]
    return digest_text("|".join([readings, *parts]))


def highest_demand_w(
    charge: CapacityCharge,
    version: TariffVersion,
    energy_wh: WattHours,
    start: datetime,
    interval_min: int,
    zone: ZoneInfo,
) -> npt.NDArray[np.int64]:
    """Return each account's highest interval inside the windows of a charge, as whole watts."""
    chosen = mask_of_windows(
        charge.windows,
        lambda day: not charge.day_types or version.calendar.type_of(day) in charge.day_types,
        zone,
        start,
        energy_wh.shape[1],
        interval_min,
    )
    highest: npt.NDArray[np.int64] = energy_wh[:, chosen].max(axis=1, initial=0).astype(np.int64)
    return highest * (_MINUTES_PER_HOUR // interval_min)
