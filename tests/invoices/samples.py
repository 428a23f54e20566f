"""Builders of documents for the tests: plain functions with defaults, figures that add up."""

from dataclasses import replace
from datetime import UTC, date, datetime

from billing.models import CorrectionReason, LineKind, LineUnit, Service
from invoices.payment_document import (
    Alternative,
    DocumentLine,
    ExpiringLot,
    MeterUse,
    MonthUse,
    Payer,
    PaymentDocument,
    Requisites,
    WalletBox,
)
from invoices.receipt import MoneyReceipt
from invoices.statement import Balance, Movement, MovementKind, Statement
from kilokassa.core.calendar import Month
from kilokassa.core.money import half_up_ratio
from tariffs.lines import ChargeKind

OCTOBER = Month(2026, 10)

RETAILER = Requisites(
    name="АО «Энергосбыт Приамурья»",
    inn="2700000016",
    kpp="270001001",
    bank_name="ФИЛИАЛ «ХАБАРОВСКИЙ» БАНКА ТЕСТ",
    bic="040813999",
    bank_account="40702810000000000001",
    correspondent_account="30101810800000000999",
    address="680000, г. Хабаровск, ул. Примерная, д. 1",
    phone="+7 4212 00-00-00",
    email="help@example.org",
)

PAYER = Payer(
    name="Константинопольская-Преображенская Александра Владиславовна",
    address="г. Хабаровск, ул. Героев Амурской флотилии, д. 128, корп. 2, кв. 147",
    account_number="270104000147",
    area_dm2=5430,
    persons=3,
)


def line(quantity, rate_scaled, zone="", service=Service.ELECTRICITY, **fields):
    unit = 1000 if service is Service.ELECTRICITY else 1_000_000
    amount_minor = half_up_ratio(quantity * rate_scaled * 100, unit * 1_000_000)
    return DocumentLine(service, quantity, rate_scaled, amount_minor, zone=zone, **fields)


ZONED_LINES = (
    line(96_431, 7_750_000, "peak"),
    line(121_008, 5_540_000, "semi_peak", estimated=4_120),
    line(74_250, 2_070_000, "night"),
)
HEAT_LINE = line(1_043_217, 2288_380_000, service=Service.HEAT, note="shared by area")
CORRECTIONS = (
    replace(line(-88_000, 5_540_000), kind=LineKind.REVERSAL, month=Month(2026, 8)),
    replace(line(81_350, 5_540_000), kind=LineKind.CORRECTION, month=Month(2026, 8)),
)
METERS = (
    MeterUse(
        "0712345678",
        "ТУ-147-1",
        Service.ELECTRICITY,
        287_569,
        4_120,
        zone="",
        verified_until=date(2034, 6, 30),
    ),
    MeterUse(
        "А-55/021",
        "ТУ-ОДПУ-Т",
        Service.HEAT,
        1_043_217,
        0,
        4_512_000,
        5_555_217,
        verified_until=date(2027, 3, 1),
    ),
)
HISTORY = tuple(
    MonthUse(
        Month(2025, 11).plus(n),
        (
            ("peak", 70_000 + 9_000 * abs(6 - n)),
            ("semi_peak", 90_000 + 7_000 * abs(6 - n)),
            ("night", 60_000 + 4_000 * abs(6 - n)),
        ),
    )
    for n in range(12)
)


def document(lines=(*ZONED_LINES,), opening=0, paid=(), **fields):
    charged = sum(x.amount_minor for x in lines if x.kind is LineKind.ORIGINAL)
    corrected = sum(x.amount_minor for x in lines if x.kind is not LineKind.ORIGINAL)
    movements = [Movement(MovementKind.TOP_UP, amount, on) for amount, on in paid]
    if charged:
        movements.append(Movement(MovementKind.CHARGE, -charged))
    if corrected:
        movements.append(Movement(MovementKind.CORRECTION, -corrected))
    closing = opening + sum(m.amount_minor for m in movements)
    statement = Statement(Balance.of(opening), tuple(movements), Balance.of(closing))
    values = {
        "month": OCTOBER,
        "issued_on": date(2026, 11, 3),
        "due_on": date(2026, 11, 15),
        "retailer": RETAILER,
        "payer": PAYER,
        "vat_percent": 22,
        "meters": METERS[:1],
        "history": HISTORY,
        "plan_name": "Население, газ: три зоны",
        "plan_name_en": "Household, gas: three zones",
        "number": "2026-000147",
    }
    return PaymentDocument(lines=tuple(lines), statement=statement, **(values | fields))


def debtor(**fields):
    """A postpaid account in debt, with heat and a recalculation."""
    return document(
        (*ZONED_LINES, HEAT_LINE, *CORRECTIONS),
        opening=-1_873_40,
        paid=((1_000_00, date(2026, 10, 12)),),
        **({"meters": METERS} | fields),
    )


def prepaid(lines=ZONED_LINES, **fields):
    """A prepaid account in advance, with a bonus that will expire."""
    values = {
        "prepaid": True,
        "wallet": WalletBox(
            posted_minor=1_845_55,
            available_minor=1_345_55,
            bonus_minor=75_00,
            reserve_minor=500_00,
            expiring=(ExpiringLot(75_00, date(2026, 11, 30)),),
        ),
    }
    paid = ((1_500_00, date(2026, 10, 2)), (2_000_00, date(2026, 10, 19)))
    return document(lines, opening=352_27, paid=paid, **(values | fields))


def long_document(**fields):
    """A register-read account with a price change, ranges and many corrected months."""
    lines = [
        replace(
            line(3_900_000, 4_930_000, range_number=1),
            first_on=date(2026, 10, 1),
            last_on=date(2026, 10, 15),
        ),
        replace(
            line(1_204_000, 8_270_000, range_number=2),
            first_on=date(2026, 10, 16),
            last_on=date(2026, 10, 31),
        ),
    ]
    for n in range(9):
        month = Month(2026, 1).plus(n)
        lines.append(
            replace(line(-(50_000 + n), 5_540_000, "day"), kind=LineKind.REVERSAL, month=month)
        )
        lines.append(
            replace(line(48_000 + n, 5_540_000, "day"), kind=LineKind.CORRECTION, month=month)
        )
    meters = tuple(
        MeterUse(
            "009112233445566",
            "ТУ-00000000001234567",
            Service.ELECTRICITY,
            2_552_000,
            0,
            previous=123_456_000,
            current=126_008_000,
            zone=zone,
            verified_until=date(2031, 12, 31),
        )
        for zone in ("day", "night")
    )
    return document(
        lines,
        meters=meters,
        opening=-50_000_00,
        warnings=(
            "No reading came for this month: nothing was charged for it yet.",
            "Sources differ on the due day of this bill; the earlier one is not penalised.",
        ),
        **fields,
    )


def beside(service, charge, unit, quantity, rate_scaled, amount_minor, names=("", ""), **fields):
    return DocumentLine(
        service,
        quantity,
        rate_scaled,
        amount_minor,
        charge=charge,
        unit=unit,
        label_ru=names[0],
        label_en=names[1],
        **fields,
    )


def digital(**fields):
    """A prepaid account on the digital plan, with a discount, a concession and the guarantee."""
    electricity, minor = Service.ELECTRICITY, LineUnit.MINOR
    energy_minor = sum(one.amount_minor for one in ZONED_LINES)
    lines = (
        *ZONED_LINES,
        beside(
            electricity,
            ChargeKind.CONCESSION,
            minor,
            -energy_minor,
            30_000,
            -half_up_ratio(energy_minor * 3, 100),
            ("Скидка цифрового тарифа", "Discount of the digital tariff"),
        ),
        beside(
            electricity,
            ChargeKind.GUARANTEE,
            minor,
            -12_345,
            0,
            -123_45,
            ("Одноставочный", "Single rate"),
            code="single",
        ),
    )
    alternatives = (
        Alternative("Цифровой", "Digital", 1_571_43, own=True),
        Alternative("Одноставочный", "Single rate", 1_447_98, guaranteed=True),
        Alternative("Двухзонный", "Two zones", 1_602_10),
    )
    return prepaid(lines=lines, alternatives=alternatives, **fields)


def shop(**fields):
    """A shop by the hour: components in the price, capacity, a fixed charge, VAT on top."""
    electricity = Service.ELECTRICITY
    net_minor = 31_407_18 + 5_687_50 + 450_00 - 120_00
    lines = (
        beside(electricity, ChargeKind.HOURLY, LineUnit.WH, 8_412_500, 0, 31_407_18, code="dam"),
        beside(
            electricity,
            ChargeKind.CAPACITY,
            LineUnit.W,
            7_000,
            812_500_000,
            5_687_50,
            ("Мощность", "Capacity"),
        ),
        beside(
            electricity,
            ChargeKind.FIXED,
            LineUnit.DAY,
            31,
            450_000_000,
            450_00,
            ("Обслуживание учёта", "Metering service"),
            share=(1, 31),
        ),
        beside(electricity, ChargeKind.EXPORT, LineUnit.WH, -40_000, 3_000_000, -120_00),
        beside(
            electricity,
            ChargeKind.TAX,
            LineUnit.MINOR,
            net_minor,
            220_000,
            half_up_ratio(net_minor * 22, 100),
            ("НДС", "VAT"),
            code="vat",
        ),
    )
    return document(lines, plan_name="По часовым ценам", plan_name_en="By the hour", **fields)


def house(**fields):
    """A flat with all services of its house, a deduction and a recalculation by persons."""
    water = Service.HOT_WATER
    lines = (
        *ZONED_LINES,
        beside(
            Service.COMMON_ELECTRICITY,
            ChargeKind.SERVICE,
            LineUnit.WH,
            17_472,
            5_540_000,
            96_79,
            ("КР на СОИ: электроэнергия", "Common areas: electricity"),
        ),
        HEAT_LINE,
        beside(
            Service.COLD_WATER,
            ChargeKind.SERVICE,
            LineUnit.LITRE,
            5_250,
            38_120_000,
            200_13,
            ("Холодная вода", "Cold water"),
            estimated=5_250,
        ),
        beside(
            water,
            ChargeKind.SERVICE,
            LineUnit.LITRE,
            3_500,
            50_120_000,
            175_42,
            ("Горячая вода: компонент на холодную воду", "Hot water: the water"),
        ),
        beside(
            water,
            ChargeKind.SERVICE,
            LineUnit.KCAL,
            184_100,
            2288_380_000,
            421_29,
            ("Горячая вода: компонент на тепловую энергию", "Hot water: its heat"),
        ),
        beside(
            water,
            ChargeKind.DEDUCTION,
            LineUnit.MINOR,
            596_71,
            15_000,
            -8_95,
            ("Отклонение температуры горячей воды", "Temperature of hot water"),
            code="5",
        ),
        beside(
            Service.DRAINAGE,
            ChargeKind.SERVICE,
            LineUnit.LITRE,
            8_750,
            29_410_000,
            257_34,
            ("Водоотведение", "Drainage"),
        ),
        beside(
            Service.HOUSING,
            ChargeKind.SERVICE,
            LineUnit.DM2,
            5_430,
            27_350_000,
            1_485_11,
            ("Содержание жилого помещения", "Upkeep of the house"),
        ),
        beside(
            Service.HOUSING,
            ChargeKind.SERVICE,
            LineUnit.PERSON,
            3,
            112_400_000,
            228_45,
            ("Обращение с ТКО", "Waste"),
            share=(21, 31),
        ),
        replace(CORRECTIONS[0], reason=CorrectionReason.FACTS),
        replace(CORRECTIONS[1], reason=CorrectionReason.FACTS),
    )
    return document(lines, opening=-2_310_00, paid=((2_310_00, date(2026, 10, 12)),), **fields)


def receipt(**fields):
    values = {
        "retailer": RETAILER,
        "payer_name": PAYER.name,
        "address": PAYER.address,
        "account_number": PAYER.account_number,
        "amount_minor": 2_000_00,
        "received_at": datetime(2026, 10, 19, 3, 15, tzinfo=UTC),
        "zone": "Asia/Vladivostok",
        "issued_on": date(2026, 10, 19),
        "tender": "Card",
        "reference": "PAY-77120045",
        "bonus_minor": 40_00,
        "balance_after_minor": 3_852_27,
        "number": "R-2026-000031",
    }
    return MoneyReceipt(**(values | fields))
