"""A small town that never changes: Хабаровск, November and December 2022, prices as published.

Everything is integer arithmetic, so the town is the same on every machine. What a bill of it must
say is computed here a second time, by hand-sized sums in Decimal, without the product's code.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from kilokassa.demo.prices import HeatPrice, published_heat_prices, published_tariffs

ZONE = ZoneInfo("Asia/Vladivostok")
FIRST_DAY = date(2022, 11, 1)
PRICE_CHANGE = date(2022, 12, 1)
LAST_EXCLUSIVE = date(2023, 1, 1)

HEAT_POINT = "KHB-B-HEAT"
HEAT_SERIAL = "H-55001"
HEAT_TOTALS_KCAL = {
    date(2022, 11, 1): 1_200_000_000,
    date(2022, 12, 1): 1_207_123_000,
    date(2023, 1, 1): 1_216_654_000,
}
"""What the heat meter of the second house shows at the first midnight of each month."""

HEAT_PRICES = {date(2022, 11, 1): Decimal("1989.90"), date(2022, 12, 1): Decimal("2288.38")}
"""Rubles with VAT per Gcal (S1)."""

# Rubles with VAT per kWh, category of city homes with gas stoves (S1), by date.
PRICES = {
    date(2022, 11, 1): {
        "single": {"all": Decimal("5.09")},
        "two_zone": {"day": Decimal("5.85"), "night": Decimal("1.67")},
        "three_zone": {
            "peak": Decimal("6.11"),
            "semi_peak": Decimal("5.09"),
            "night": Decimal("1.67"),
        },
    },
    date(2022, 12, 1): {
        "single": {"all": Decimal("5.54")},
        "two_zone": {"day": Decimal("7.42"), "night": Decimal("2.07")},
        "three_zone": {
            "peak": Decimal("7.75"),
            "semi_peak": Decimal("5.54"),
            "night": Decimal("2.07"),
        },
    },
}


@dataclass(frozen=True)
class FrozenAccount:
    number: str
    payer: str
    building: str
    flat: str
    area_dm2: int
    persons: int
    plan: str
    settlement: str
    by_hand: bool
    debt_minor: int = 0
    advance_minor: int = 0

    @property
    def point(self) -> str:
        return f"{self.building}-{self.flat}"

    @property
    def serial(self) -> str:
        return f"E-{self.number[-4:]}"

    @property
    def key(self) -> int:
        return int(self.number[-2:])


def _account(
    key: int, payer: str, building: str, flat: str, area_dm2: int, plan: str, **more: object
) -> FrozenAccount:
    fields = {"persons": 1 + key % 4, "settlement": "postpaid", "by_hand": False} | more
    return FrozenAccount(f"27990000{key:02d}", payer, building, flat, area_dm2, plan=plan, **fields)  # type: ignore[arg-type]


ACCOUNTS = (
    _account(1, "Авдеев Пётр Ильич", "KHB-A", "1", 3120, "single"),
    _account(2, "Бородина Анна Львовна", "KHB-A", "2", 4360, "single", debt_minor=1_250_40),
    _account(3, "Вершинин Олег Юрьевич", "KHB-A", "3", 4410, "two_zone", advance_minor=300_00),
    _account(4, "Громова Нина Павловна", "KHB-A", "4", 5830, "two_zone", settlement="prepaid"),
    _account(5, "Дёмин Артём Олегович", "KHB-A", "5", 6240, "three_zone"),
    _account(6, "Ершова Дарья Ивановна", "KHB-A", "6", 7180, "three_zone", settlement="prepaid"),
    _account(7, "Жаров Иван Петрович", "KHB-A", "7", 3120, "single", settlement="prepaid"),
    _account(8, "Зуева Вера Андреевна", "KHB-A", "8", 4360, "two_zone", by_hand=True),
    _account(9, "Ильина Юлия Сергеевна", "KHB-B", "1", 3120, "single"),
    _account(10, "Котов Павел Романович", "KHB-B", "2", 4360, "two_zone"),
    _account(11, "Лаптева Ольга Юрьевна", "KHB-B", "3", 5830, "three_zone"),
    _account(12, "Маслов Юрий Степанович", "KHB-B", "4", 6240, "single", settlement="prepaid"),
)

TOP_UPS = (
    # account, local time, kopecks, tender
    ("2799000004", datetime(2022, 11, 1, 9, 15, tzinfo=ZONE), 1_500_00, "card"),
    ("2799000004", datetime(2022, 12, 3, 18, 40, tzinfo=ZONE), 1_000_00, "card"),
    ("2799000006", datetime(2022, 11, 1, 12, 0, tzinfo=ZONE), 4_000_00, "bank"),
    ("2799000007", datetime(2022, 11, 2, 8, 5, tzinfo=ZONE), 700_00, "cash"),
    ("2799000007", datetime(2022, 12, 1, 8, 5, tzinfo=ZONE), 700_00, "cash"),
    ("2799000012", datetime(2022, 11, 1, 20, 30, tzinfo=ZONE), 9_000_00, "card"),
)

_ADDRESSES = {
    "KHB-A": "г. Хабаровск, ул. Опытная, д. 1",
    "KHB-B": "г. Хабаровск, ул. Опытная, д. 3",
}
_OPENING_KWH = {"all": 10_000, "day": 6_000, "night": 4_000}


def accounts_csv() -> str:
    """Return the accounts file of the town, its control line included."""
    lines = [
        (
            "account;payer;email;phone;building;address;company;company_name;premises;area_m2;persons;"
            "commodity;point;meter_serial;meter_model;digits;interval;verified_until;plan;settlement;"
            "opened_on;opening_debt;opening_advance;reading_at;readings"
        )
    ]
    lines += [_account_line(account) for account in ACCOUNTS]
    opening_gcal = Decimal(HEAT_TOTALS_KCAL[FIRST_DAY]).scaleb(-6)
    lines.append(
        f";;;;KHB-B;{_ADDRESSES['KHB-B']};UK-OPYT;УК «Опытная»;;;;heat;{HEAT_POINT};{HEAT_SERIAL};"
        f"ТС-1;6;registers;2026-08-31;heat;;2022-11-01;;;2022-11-01;all={opening_gcal}"
    )
    debt = Decimal(sum(a.debt_minor for a in ACCOUNTS)).scaleb(-2)
    advance = Decimal(sum(a.advance_minor for a in ACCOUNTS)).scaleb(-2)
    lines.append(f"#TOTAL;{len(lines) - 1};{debt};{advance}")
    return "\n".join(lines) + "\n"


def readings_csv(first: date = FIRST_DAY, last_exclusive: date = LAST_EXCLUSIVE) -> str:
    """Return the half hours of every account that has them: point, start of interval, kWh."""
    lines = ["point;time;value"]
    for account in ACCOUNTS:
        if account.by_hand:
            continue
        for day in _days(first, last_exclusive):
            midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE)
            for half_hour in range(48):
                start = midnight + timedelta(minutes=30 * half_hour)
                wh = half_hour_wh(account, day, half_hour)
                lines.append(f"{account.point};{start.isoformat()};{Decimal(wh).scaleb(-3)}")
    return "\n".join(lines) + "\n"


def register_readings() -> tuple[tuple[str, datetime, dict[str, int]], ...]:
    """Return (serial, instant in UTC, whole Wh by zone) of the meter read by hand, in order.

    Read at the change of prices and at the end, so that nothing needs to be interpolated.
    """
    (account,) = (a for a in ACCOUNTS if a.by_hand)
    found = []
    totals = {zone: _OPENING_KWH[zone] * 1000 for zone in ("day", "night")}
    for start, end in (
        (FIRST_DAY, FIRST_DAY),
        (FIRST_DAY, PRICE_CHANGE),
        (PRICE_CHANGE, LAST_EXCLUSIVE),
    ):
        for zone, wh in energy_wh(account, start, end).items():
            totals[zone] += wh
        at = datetime(end.year, end.month, end.day, tzinfo=ZONE).astimezone(UTC)
        found.append((account.serial, at, dict(totals)))
    return tuple(found)


def heat_readings() -> tuple[tuple[str, datetime, int], ...]:
    """Return (serial, instant in UTC, kcal) of the heat meter, in order."""
    return tuple(
        (HEAT_SERIAL, datetime(d.year, d.month, d.day, tzinfo=ZONE).astimezone(UTC), total)
        for d, total in HEAT_TOTALS_KCAL.items()
    )


def tariff_documents() -> list[str]:
    """Return the tariff documents at the dates as published."""
    return published_tariffs()


def heat_prices() -> tuple[HeatPrice, ...]:
    """Return the prices of heat at the dates as published; the plan is called `heat`."""
    return published_heat_prices()


def registers_csv() -> str:
    """Return the later readings of both hand-read meters as a file: kWh, and Gcal for heat."""
    lines = ["meter;zone;time;value"]
    for serial, at, totals in register_readings()[1:]:
        local = at.astimezone(ZONE).isoformat()
        lines += [f"{serial};{z};{local};{Decimal(wh).scaleb(-3)}" for z, wh in totals.items()]
    for serial, at, kcal in heat_readings()[1:]:
        local = at.astimezone(ZONE).isoformat()
        lines.append(f"{serial};all;{local};{Decimal(kcal).scaleb(-6)}")
    return "\n".join(lines) + "\n"


def half_hour_wh(account: FrozenAccount, day: date, half_hour: int) -> int:
    """Return what an account uses in a half hour: low at night, high in the evening."""
    if half_hour < 14 or half_hour >= 46:
        base = 60
    elif half_hour < 20:
        base = 150
    else:
        base = 260 if 34 <= half_hour < 42 else 130
    whim = (7 * day.toordinal() + 11 * half_hour + 13 * account.key) % 41
    return base * (80 + whim) * (9 + account.key % 5) // 1000


def energy_wh(account: FrozenAccount, first: date, last_exclusive: date) -> dict[str, int]:
    """Return the whole Wh of an account by zone of its plan."""
    found = dict.fromkeys(PRICES[PRICE_CHANGE][account.plan], 0)
    for day in _days(first, last_exclusive):
        for half_hour in range(48):
            found[zone_of(account.plan, half_hour)] += half_hour_wh(account, day, half_hour)
    return found


def energy_lines(account: FrozenAccount, month: date) -> list[tuple[str, int, Decimal, int]]:
    """Return (zone, Wh, price, kopecks) of a month, which begins on `month`."""
    end = PRICE_CHANGE if month == FIRST_DAY else LAST_EXCLUSIVE
    prices = PRICES[month][account.plan]
    return [
        (zone, wh, prices[zone], _kopecks(Decimal(wh) / 1000 * prices[zone]))
        for zone, wh in energy_wh(account, month, end).items()
    ]


def heat_lines(month: date) -> dict[str, int]:
    """Return the kopecks of heat by account number: by area, the odd ones to the largest rests."""
    end = PRICE_CHANGE if month == FIRST_DAY else LAST_EXCLUSIVE
    kcal = HEAT_TOTALS_KCAL[end] - HEAT_TOTALS_KCAL[month]
    whole = _kopecks(Decimal(kcal).scaleb(-6) * HEAT_PRICES[month])
    flats = [account for account in ACCOUNTS if account.building == "KHB-B"]
    area = sum(flat.area_dm2 for flat in flats)
    shares = {flat.number: divmod(whole * flat.area_dm2, area) for flat in flats}
    left = whole - sum(share for share, _ in shares.values())
    first = sorted(shares, key=lambda number: -shares[number][1])[:left]
    return {number: share + (number in first) for number, (share, _) in shares.items()}


def zone_of(plan: str, half_hour: int) -> str:
    """Return the zone of a half hour: 7-23 day, 7-10 and 17-21 peak, 10-17 and 21-23 semi-peak."""
    if plan == "single":
        return "all"
    if half_hour < 14 or half_hour >= 46:
        return "night"
    if plan == "two_zone":
        return "day"
    return "peak" if half_hour < 20 or 34 <= half_hour < 42 else "semi_peak"


def _account_line(account: FrozenAccount) -> str:
    zones = ("day", "night") if account.by_hand else ("all",)
    readings = "|".join(f"{zone}={_OPENING_KWH[zone]}" for zone in zones)
    return ";".join(
        [
            account.number,
            account.payer,
            f"{account.number}@town.example",
            "",
            account.building,
            _ADDRESSES[account.building],
            "UK-OPYT",
            "УК «Опытная»",
            account.flat,
            str(Decimal(account.area_dm2).scaleb(-2)),
            str(account.persons),
            "electricity",
            account.point,
            account.serial,
            "Д-1",
            "6",
            "registers" if account.by_hand else "30",
            "2030-12-31",
            account.plan,
            account.settlement,
            FIRST_DAY.isoformat(),
            str(Decimal(account.debt_minor).scaleb(-2)),
            str(Decimal(account.advance_minor).scaleb(-2)),
            FIRST_DAY.isoformat(),
            readings,
        ]
    )


def _kopecks(rubles: Decimal) -> int:
    return int((rubles * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _days(first: date, last_exclusive: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last_exclusive - first).days)]
