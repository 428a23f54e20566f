"""The plan of the demo town: companies, buildings, flats, people, meters and what each account is.

A plan is decided by its first month alone. Give the first month of the stored town again on a
later day, and the plan is the same with more days behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from billing.models import Measurement, Settlement
from kilokassa.core.calendar import Month
from kilokassa.demo.households import Habits, draws, habits_of, person, persons_in
from kilokassa.demo.profiles import ProfileKind
from kilokassa.demo.real import RealSeries

ZONE: Final = "Asia/Vladivostok"
"""The zone of Хабаровск: UTC+10, without summer time."""

FULL_MONTHS: Final = 12
CHANGE_AFTER_MONTHS: Final = 5
"""Prices change at the start of the sixth of the full months."""

INTERVAL_MIN: Final = 30

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class CompanyPlan:
    """A management company of the town."""

    code: str
    name: str
    inn: str


@dataclass(frozen=True, slots=True)
class HouseHeatMeter:
    """The heat meter of a whole house."""

    point_code: str
    serial: str
    model: str
    digits: int
    installed_on: date
    verified_until: date


@dataclass(frozen=True, slots=True)
class BuildingPlan:
    """An apartment building; `heat_meter` is None where heat is not ours to charge."""

    code: str
    address: str
    company_code: str
    flats: int
    common_area_dm2: int
    heat_meter: HouseHeatMeter | None


@dataclass(frozen=True, slots=True)
class PaymentHabit:
    """How an account pays: a postpaid one its bills, a prepaid one ahead."""

    tender: str
    pay_day: int
    """Day of the month on which a bill is paid."""
    stops_from: Month | None = None
    """The first billed month that is no longer paid: a debtor."""
    cushion_days: int = 10
    """A prepaid wallet is topped up when it would last fewer days than this."""
    month_share_percent: int = 100
    """Size of a top-up against the cost of a month."""
    yearly_bonus: bool = False
    """Pays a large sum ahead and earns a bonus for it."""


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account of the town with its flat, its meter and its habits."""

    index: int
    """Place in the plan: the key of everything that is drawn for this account."""
    number: str
    payer_name: str
    email: str
    phone: str
    language: str
    persons: int
    note: str
    building_code: str
    premises_number: str
    area_dm2: int
    point_code: str
    meter_serial: str
    meter_model: str
    meter_digits: int
    installed_on: date
    verified_until: date
    interval_min: int | None
    """Length of an interval; None for a meter that is read by hand."""
    opening_register_wh: int
    """Total of the meter when the account begins (all zones together)."""
    opened_on: date
    opening_debt_minor: int
    opening_advance_minor: int
    plan_code: str
    settlement: Settlement
    measurement: Measurement
    habits: Habits
    payment: PaymentHabit
    faulty: bool = False
    """Its readings come as a file with gaps and repeated time stamps, not as a matrix."""


@dataclass(frozen=True, slots=True)
class TownPlan:
    """The whole town from its first month up to, but not including, `today`."""

    zone: ZoneInfo
    first_month: Month
    today: date
    companies: tuple[CompanyPlan, ...]
    buildings: tuple[BuildingPlan, ...]
    accounts: tuple[AccountPlan, ...]

    @property
    def first_day(self) -> date:
        """The first local day of the town."""
        return self.first_month.first_day

    @property
    def change_month(self) -> Month:
        """The month at whose start the prices change."""
        return self.first_month.plus(CHANGE_AFTER_MONTHS)

    @property
    def closed_months(self) -> tuple[Month, ...]:
        """The full months that lie behind `today`: those that can be billed."""
        count = Month.of(self.today).ordinal - self.first_month.ordinal
        return tuple(self.first_month.plus(n) for n in range(count))

    @property
    def matrix_accounts(self) -> tuple[AccountPlan, ...]:
        """The accounts whose half hours come as a matrix, in the order of its rows."""
        return tuple(
            account
            for account in self.accounts
            if account.measurement is Measurement.INTERVALS and not account.faulty
        )

    @property
    def register_accounts(self) -> tuple[AccountPlan, ...]:
        """The accounts whose meter is read by hand."""
        return tuple(a for a in self.accounts if a.measurement is Measurement.REGISTERS)

    @property
    def faulty_accounts(self) -> tuple[AccountPlan, ...]:
        """The accounts whose readings come as a file with faults."""
        return tuple(account for account in self.accounts if account.faulty)

    def building(self, code: str) -> BuildingPlan:
        """Return the building with this code."""
        return next(building for building in self.buildings if building.code == code)


def town(today: date, zone: str = ZONE, *, first_month: Month | None = None) -> TownPlan:
    """Return the town as it is planned for `today`.

    Without `first_month` it begins twelve full months before the month of `today`. To append days
    to a stored town, give the month in which that one begins.
    """
    first = first_month or Month.of(today).plus(-FULL_MONTHS)
    if first.first_day > today:
        raise ValueError(f"the town begins after {today}: {first}")
    return TownPlan(
        zone=ZoneInfo(zone),
        first_month=first,
        today=today,
        companies=_COMPANIES,
        buildings=_buildings(first.first_day),
        accounts=_accounts(first),
    )


def real_accounts(plan: TownPlan, series: Sequence[RealSeries]) -> tuple[AccountPlan, ...]:
    """Return an account for each real series: further flats of the third building, in its order.

    They pay after the month, by three zones, two zones and a single rate in turn.
    """
    building = plan.buildings[-1]
    zones = ("three_zone", "two_zone", "single")
    return tuple(
        _real_account(plan, building, place, found, zones[place % len(zones)])
        for place, found in enumerate(series)
    )


def _real_account(
    plan: TownPlan, building: BuildingPlan, place: int, series: RealSeries, plan_code: str
) -> AccountPlan:
    index = len(plan.accounts) + place
    flat = building.flats + 1 + place
    installed_on = _years_before(plan.first_day, 1)
    return AccountPlan(
        index=index,
        number=f"27{int(building.code[-1]):04d}{flat:04d}",
        payer_name=series.name_ru,
        email=f"{series.key}@town.example",
        phone="",
        language="ru",
        persons=2,
        note=series.note_ru,
        building_code=building.code,
        premises_number=str(flat),
        area_dm2=62_40,
        point_code=f"{building.code}-{flat:03d}",
        meter_serial=f"90000{index:03d}",
        meter_model=_METERS[0],
        meter_digits=6,
        installed_on=installed_on,
        verified_until=_years_before(installed_on, -16),
        interval_min=series.interval_min,
        opening_register_wh=5_000_000,
        opened_on=plan.first_day,
        opening_debt_minor=0,
        opening_advance_minor=0,
        plan_code=plan_code,
        settlement=Settlement.POSTPAID,
        measurement=Measurement.INTERVALS,
        habits=Habits(ProfileKind.HOUSEHOLD, 400, 0, 100, 100, False, 0),
        payment=PaymentHabit(tender="card", pay_day=8 + place),
    )


_COMPANIES: Final = (
    CompanyPlan("UK-SCHET", "ООО «Управляющая компания Счётная» (демо)", "2700000000"),
    CompanyPlan("TSZH-PECH", "ТСЖ «Печатников, 5» (демо)", "2700000017"),
)


def _buildings(first: date) -> tuple[BuildingPlan, ...]:
    heat_meter = HouseHeatMeter(
        point_code="KHV-2-HEAT",
        serial="70312280",
        model="Теплосчётчик ТС-4 (демо)",
        digits=6,
        installed_on=_years_before(first, 2),
        verified_until=_years_before(first, -2),
    )
    return (
        BuildingPlan("KHV-1", "г. Хабаровск, ул. Счётная, д. 12", "UK-SCHET", 72, 640_00, None),
        BuildingPlan(
            "KHV-2", "г. Хабаровск, ул. Счётная, д. 14", "UK-SCHET", 80, 925_80, heat_meter
        ),
        BuildingPlan("KHV-3", "г. Хабаровск, пер. Печатников, д. 5", "TSZH-PECH", 48, 410_50, None),
    )


_AREAS_DM2: Final = (31_20, 43_60, 44_10, 58_30, 62_40, 71_80)
_METERS: Final = ("Счётчик Д-208 (демо)", "Счётчик Д-307 (демо)", "Счётчик Ф-11 (демо)")

_FAULTY: Final = 17
_REGISTER_ONLY: Final = 23
_YEARLY_BONUS: Final = 40
_ENGLISH: Final = 3
_SHOP: Final = (0, 152)
_DEBTORS: Final = {7: 8, 31: 5, 66: 9, 90: 6, 118: 3, 141: 8, 189: 7}
"""Place of a debtor, and how many full months it paid before it stopped."""

_LATE: Final = {12: 0, 33: 1, 55: -3, 84: 2, 171: -9, 180: 1}
"""Prepaid accounts that top up only in the last days, or after them; and how many days before."""

_AHEAD: Final = frozenset({_YEARLY_BONUS, _ENGLISH, *_LATE})
_SPECIAL: Final = frozenset({_FAULTY, _REGISTER_ONLY, *_SHOP, *_DEBTORS, *_AHEAD})

_PREPAID_PER_BUILDING: Final = {"KHV-1": 43, "KHV-2": 10, "KHV-3": 27}
"""80 of 200 accounts; few where heat comes with the bill of the month."""


@lru_cache(maxsize=4)
def _accounts(first: Month) -> tuple[AccountPlan, ...]:
    buildings = _buildings(first.first_day)
    places = [(b, flat) for b in buildings for flat in range(1, b.flats + 1)]
    plans = _shuffled(["single"] * 70 + ["two_zone"] * 70 + ["three_zone"] * 60, 1)
    prepaid = _prepaid_places([building.code for building, _ in places])
    return tuple(
        _account(index, building, flat, plans[index], first, prepaid=index in prepaid)
        for index, (building, flat) in enumerate(places)
    )


def _account(
    index: int, building: BuildingPlan, flat: int, zones: str, first: Month, *, prepaid: bool
) -> AccountPlan:
    rng = draws(2, index)
    area_dm2 = _AREAS_DM2[(flat - 1) % len(_AREAS_DM2)] + int(rng.integers(0, 90))
    persons = persons_in(area_dm2, rng)
    name = person(rng)
    if index == _REGISTER_ONLY:
        zones = "two_zone"
    # Homes with electric stoves pay the reduced price: the third building has them.
    plan_code = f"{zones}_reduced" if building.code == "KHV-3" and index not in _SHOP else zones
    habits = habits_of(persons, rng, night_price=zones != "single")
    if index in _SHOP:
        name, persons = f"ИП {name}", 0
        habits = Habits(ProfileKind.BUSINESS, 420, 0, 100, 100, False, 0)
    number = f"27{int(building.code[-1]):04d}{flat:04d}"
    installed_on = _years_before(first.first_day, 1 + int(rng.integers(0, 8)))
    registers = index == _REGISTER_ONLY
    settlement = Settlement.PREPAID if prepaid else Settlement.POSTPAID
    opening_debt, opening_advance = _opening(index, rng, prepaid=prepaid)
    return AccountPlan(
        index=index,
        number=number,
        payer_name=name,
        email=f"{number}@town.example" if rng.random() < 0.7 or prepaid else "",
        phone=f"+7 000 {number[2:5]}-{number[5:7]}-{number[8:]}" if rng.random() < 0.8 else "",
        language="en" if index == _ENGLISH else "ru",
        persons=persons,
        note=_note(index),
        building_code=building.code,
        premises_number=str(flat),
        area_dm2=area_dm2,
        point_code=f"{building.code}-{flat:03d}",
        meter_serial=f"{int(rng.integers(10_000, 99_999))}{index:03d}",
        meter_model=_METERS[2] if registers else _METERS[int(rng.integers(2))],
        meter_digits=6,
        installed_on=installed_on,
        verified_until=_years_before(installed_on, -16),
        interval_min=None if registers else INTERVAL_MIN,
        opening_register_wh=int(rng.integers(1_200, 21_000)) * 1000,
        opened_on=first.first_day,
        opening_debt_minor=opening_debt,
        opening_advance_minor=opening_advance,
        plan_code=plan_code,
        settlement=settlement,
        measurement=Measurement.REGISTERS if registers else Measurement.INTERVALS,
        habits=habits,
        payment=_payment(index, first, rng),
        faulty=index == _FAULTY,
    )


def _opening(index: int, rng: np.random.Generator, *, prepaid: bool) -> tuple[int, int]:
    """Return the opening debt and advance, of which at most one is not zero."""
    kind, kopecks = rng.random(), int(rng.integers(40_00, 900_00))
    if index in _DEBTORS:
        return kopecks + 400_00, 0
    if prepaid or kind < 0.7:
        return 0, 0
    return (kopecks, 0) if kind < 0.85 else (0, kopecks)


def _payment(index: int, first: Month, rng: np.random.Generator) -> PaymentHabit:
    tenders = ("card", "card", "card", "sbp", "sbp", "bank", "cash")
    stops_after = _DEBTORS.get(index)
    return PaymentHabit(
        tender=tenders[int(rng.integers(len(tenders)))],
        pay_day=6 + int(rng.integers(0, 14)),
        stops_from=None if stops_after is None else first.plus(stops_after),
        cushion_days=_LATE.get(index, 2 + int(rng.integers(0, 14))),
        month_share_percent=50 + 25 * int(rng.integers(0, 5)),
        yearly_bonus=index == _YEARLY_BONUS,
    )


def _note(index: int) -> str:
    if index == _FAULTY:
        return "Демо: показания с пропусками и повторами"
    if index == _REGISTER_ONLY:
        return "Демо: прибор учёта без профиля, показания снимают вручную"
    if index == _YEARLY_BONUS:
        return "Демо: крупный аванс с бонусом"
    if index in _DEBTORS:
        return "Демо: должник"
    return "Демо"


def _prepaid_places(buildings: Sequence[str]) -> frozenset[int]:
    """Return who pays ahead: so many of each building, those among them who must."""
    chosen: set[int] = set()
    for code, count in _PREPAID_PER_BUILDING.items():
        places = [i for i, c in enumerate(buildings) if c == code and i not in _SPECIAL]
        must = {i for i in _AHEAD if buildings[i] == code}
        chosen |= must | set(_shuffled(places, 3)[: count - len(must)])
    return frozenset(chosen)


def _shuffled(values: Sequence[Item], key: int) -> list[Item]:
    """Return the values in an order that only `key` and their number decide."""
    order = draws(key, len(values)).random(len(values)).argsort(kind="stable")
    return [values[int(place)] for place in order]


def _years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years, day=min(day.day, 28))
