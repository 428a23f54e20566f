"""What a document's page says, in the words and marks of one language; templates only place it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from billing.models import LineKind, Service
from billing.wording import estimate_text
from invoices.chart import COLOURS, consumption_svg, zones_shown
from invoices.payment_document import DocumentLine, MeterUse, PaymentDocument, Requisites, WalletBox
from invoices.payment_qr import Payment
from invoices.receipt import MoneyReceipt
from invoices.statement import Balance, Movement, MovementKind, Statement
from invoices.words import amount_in_words
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.quantity import gcal, kwh
from kilokassa.core.text import (
    Language,
    amount_text,
    date_text,
    gettext,
    instant_text,
    mark,
    month_text,
    number_text,
)

SERVICES: Final = {
    Service.ELECTRICITY: mark("Electricity"),
    Service.HEAT: mark("Heating"),
}
UNITS: Final = {
    Service.ELECTRICITY: mark("kWh"),
    Service.HEAT: mark("Gcal"),
}
ZONES: Final = {
    "peak": mark("peak zone"),
    "semi_peak": mark("semi-peak zone"),
    "day": mark("day zone"),
    "night": mark("night zone"),
    "all": mark("all day"),
}
MOVEMENTS: Final = {
    MovementKind.CHARGE: mark("Charged for the month"),
    MovementKind.CORRECTION: mark("Recalculation of earlier months"),
    MovementKind.TOP_UP: mark("Paid in"),
    MovementKind.BONUS: mark("Bonus given"),
    MovementKind.EXPIRY: mark("Bonus expired"),
    MovementKind.REVERSAL: mark("Reversed payments"),
    MovementKind.REFUND: mark("Money paid back"),
    MovementKind.ADJUSTMENT: mark("Adjustments"),
    MovementKind.BROUGHT_FORWARD: mark("Brought forward from earlier records"),
}
DATED_MOVEMENTS_SHOWN: Final = 4
"""More movements of a kind than this are printed as one row with their sum."""

KINDS: Final = {
    LineKind.REVERSAL: mark("reversed"),
    LineKind.CORRECTION: mark("charged anew"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what it says."""

    label: str
    value: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A row of the statement: its amount stands in one of two columns, and no sign is needed."""

    label: str
    owed: str = ""
    """A debt, or what was charged or taken back."""
    held: str = ""
    """An advance, or what was paid or given."""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """A row of the table of charges."""

    label: str
    detail: str
    quantity: str
    unit: str
    rate: str
    amount: str


@dataclass(frozen=True, slots=True)
class MeterRow:
    """A row of the table of meters; `previous` and `current` are empty for interval metering."""

    serial: str
    point: str
    service: str
    previous: str
    current: str
    used: str
    estimated: str
    unit: str
    verified_until: str

    @property
    def by_intervals(self) -> bool:
        """Say whether the meter is read by its intervals and not by its register."""
        return not self.current


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A zone of the chart with its colour."""

    label: str
    colour: str


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Everything the template of a payment document prints that is not a fixed word."""

    language: str
    number: str
    month: str
    issued_on: str
    due_on: str
    demo: bool
    payee: str
    requisites: tuple[Fact, ...]
    contacts: str
    payer: str
    address: str
    account_number: str
    facts: tuple[Fact, ...]
    asks_payment: bool
    to_pay: str
    in_words: str
    advance: str
    charges: tuple[ChargeRow, ...]
    corrections: tuple[ChargeRow, ...]
    charges_total: str
    corrections_total: str
    total: str
    vat_label: str
    vat: str
    statement: tuple[StatementRow, ...]
    wallet: tuple[Fact, ...]
    expiring: tuple[str, ...]
    meters: tuple[MeterRow, ...]
    chart: str
    legend: tuple[LegendEntry, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """Everything the template of a receipt of money prints that is not a fixed word."""

    language: str
    number: str
    demo: bool
    payee: str
    requisites: tuple[Fact, ...]
    contacts: str
    amount: str
    in_words: str
    facts: tuple[Fact, ...] = field(default=())


def document_page(document: PaymentDocument, language: Language) -> DocumentPage:
    """Return what the page of `document` says in `language`."""
    payer, statement = document.payer, document.statement
    charges = [line for line in document.lines if line.kind is LineKind.ORIGINAL]
    corrections = [line for line in document.lines if line.kind is not LineKind.ORIGINAL]
    vat_label = gettext(mark("of which VAT %(percent)s %%"), language)
    return DocumentPage(
        language=str(language),
        number=document.number,
        month=month_text(document.month, language),
        issued_on=date_text(document.issued_on, language),
        due_on=date_text(document.due_on, language),
        demo=document.demo,
        payee=document.retailer.name,
        requisites=_requisites(document.retailer, language),
        contacts=contacts_of(document.retailer),
        payer=payer.name,
        address=payer.address,
        account_number=payer.account_number,
        facts=_facts(document, language),
        asks_payment=document.to_pay_minor > 0,
        to_pay=amount_text(document.to_pay_minor, language),
        in_words=amount_in_words(document.to_pay_minor, language) if document.to_pay_minor else "",
        advance=amount_text(statement.closing.advance_minor, language),
        charges=tuple(charge_row(line, language) for line in charges),
        corrections=tuple(charge_row(line, language) for line in corrections),
        charges_total=amount_text(sum(c.amount_minor for c in charges), language, unit=False),
        corrections_total=amount_text(
            sum(c.amount_minor for c in corrections), language, unit=False
        ),
        total=amount_text(document.total_minor, language, unit=False),
        vat_label=vat_label % {"percent": document.vat_percent},
        vat=amount_text(document.vat_minor, language, unit=False),
        statement=_statement(statement, language),
        wallet=() if document.wallet is None else _wallet(document.wallet, language),
        expiring=() if document.wallet is None else _expiring(document.wallet, language),
        meters=tuple(_meter(meter, language) for meter in document.meters),
        chart=consumption_svg(document.history, language),
        legend=tuple(
            LegendEntry(gettext(ZONES[zone], language), COLOURS[zone])
            for zone in zones_shown(document.history)
        ),
        warnings=tuple(gettext(warning, language) for warning in document.warnings),
    )


def receipt_page(receipt: MoneyReceipt, language: Language) -> ReceiptPage:
    """Return what the page of a receipt of money says in `language`."""
    zone = ZoneInfo(receipt.zone)
    facts = [
        Fact(gettext(mark("Account"), language), receipt.account_number, strong=True),
        Fact(gettext(mark("Payer"), language), receipt.payer_name),
        Fact(gettext(mark("Address"), language), receipt.address),
        Fact(
            gettext(mark("Received"), language), instant_text(receipt.received_at, zone, language)
        ),
        Fact(gettext(mark("Way of payment"), language), gettext(receipt.tender, language)),
    ]
    if receipt.reference:
        facts.append(Fact(gettext(mark("Payment reference"), language), receipt.reference))
    if receipt.bonus_minor:
        label = gettext(mark("Bonus given for this top-up"), language)
        facts.append(Fact(label, amount_text(receipt.bonus_minor, language)))
    if receipt.balance_after_minor is not None:
        label = gettext(mark("Balance after it"), language)
        facts.append(Fact(label, amount_text(receipt.balance_after_minor, language)))
    return ReceiptPage(
        language=str(language),
        number=receipt.number,
        demo=receipt.demo,
        payee=receipt.retailer.name,
        requisites=_requisites(receipt.retailer, language),
        contacts=contacts_of(receipt.retailer),
        amount=amount_text(receipt.amount_minor, language),
        in_words=amount_in_words(receipt.amount_minor, language),
        facts=tuple(facts),
    )


def cancellation_page(snapshot: Mapping[str, Any], language: Language) -> ReceiptPage:
    """Return what the page of a cancellation says: what no longer holds, since when and why."""
    payer = snapshot["payer"]
    retailer = Requisites(**snapshot["retailer"])
    return ReceiptPage(
        language=str(language),
        number=snapshot.get("number", ""),
        demo=snapshot.get("demo", False),
        payee=retailer.name,
        requisites=_requisites(retailer, language),
        contacts=contacts_of(retailer),
        amount=snapshot["cancels"],
        in_words="",
        facts=(
            Fact(gettext(mark("Account"), language), payer["account"], strong=True),
            Fact(gettext(mark("Payer"), language), payer["name"]),
            Fact(gettext(mark("Address"), language), payer["address"]),
            Fact(
                gettext(mark("Cancelled on"), language),
                date_text(date.fromisoformat(snapshot["issued_on"]), language),
            ),
            Fact(gettext(mark("Reason"), language), gettext(snapshot["reason"], language)),
        ),
    )


def payment_of(document: PaymentDocument) -> Payment:
    """Return the payment the document's code asks for: the debt, or a top-up without a sum.

    The purpose is in Russian whatever the page's language: Russian banks carry it.
    """
    if document.to_pay_minor > 0:
        purpose = mark("Energy, account %(account)s, %(month)s, document %(number)s")
    else:
        purpose = mark("Top-up of account %(account)s")
    values = {
        "account": document.payer.account_number,
        "month": month_text(document.month, Language.RUSSIAN),
        "number": document.number,
    }
    return Payment(
        payee=document.retailer,
        account_number=document.payer.account_number,
        purpose=gettext(purpose, Language.RUSSIAN) % values,
        sum_minor=document.to_pay_minor or None,
        month=document.month if document.to_pay_minor > 0 else None,
        payer_address=document.payer.address,
    )


def _requisites(retailer: Requisites, language: Language) -> tuple[Fact, ...]:
    inn = f"{retailer.inn} / {retailer.kpp}" if retailer.kpp else retailer.inn
    label = mark("INN / KPP") if retailer.kpp else mark("INN")
    return (
        Fact(gettext(label, language), inn),
        Fact(gettext(mark("Account of payee"), language), retailer.bank_account),
        Fact(gettext(mark("Bank"), language), retailer.bank_name),
        Fact(gettext(mark("BIC"), language), retailer.bic),
        Fact(gettext(mark("Corr. account"), language), retailer.correspondent_account),
    )


def contacts_of(retailer: Requisites) -> str:
    """Return where the retailer can be reached, in one line."""
    return " · ".join(text for text in (retailer.address, retailer.phone, retailer.email) if text)


def _facts(document: PaymentDocument, language: Language) -> tuple[Fact, ...]:
    payer = document.payer
    facts = []
    plan = document.plan_name_en if language is Language.ENGLISH else document.plan_name
    if plan or document.plan_name:
        facts.append(Fact(gettext(mark("Tariff plan"), language), plan or document.plan_name))
    if payer.area_dm2:
        area = number_text(Decimal(payer.area_dm2).scaleb(-2), language)
        facts.append(
            Fact(
                gettext(mark("Area"), language),
                gettext(mark("%(area)s m²"), language) % {"area": area},
            )
        )
    if payer.persons:
        facts.append(
            Fact(
                gettext(mark("Persons registered"), language), number_text(payer.persons, language)
            )
        )
    settlement = mark("prepaid from the wallet") if document.prepaid else mark("after the month")
    facts.append(Fact(gettext(mark("Settlement"), language), gettext(settlement, language)))
    return tuple(facts)


def charge_row(line: DocumentLine, language: Language) -> ChargeRow:
    """Return how a line is printed."""
    label = [gettext(SERVICES[line.service], language)]
    if line.zone and line.zone != "all":
        label.append(gettext(ZONES[line.zone], language))
    if line.range_number:
        label.append(gettext(mark("range %(number)s"), language) % {"number": line.range_number})
    detail = []
    if line.kind in KINDS:
        kind = gettext(KINDS[line.kind], language)
        detail.append(f"{month_text(line.month, language)}: {kind}" if line.month else kind)
    elif line.month is not None:
        detail.append(month_text(line.month, language))
    if line.first_on is not None and line.last_on is not None:
        detail.append(f"{date_text(line.first_on, language)} – {date_text(line.last_on, language)}")
    if line.note:
        detail.append(gettext(line.note, language))
    if line.estimated:
        detail.append(_estimated(line, language))
    return ChargeRow(
        label=", ".join(label),
        detail="; ".join(detail),
        quantity=_quantity(line.service, line.quantity, language),
        unit=gettext(UNITS[line.service], language),
        rate=_rate(line.rate_scaled, language),
        amount=amount_text(line.amount_minor, language, unit=False),
    )


def _estimated(line: DocumentLine, language: Language) -> str:
    """Return how much of a line was not measured, and by which method it came about."""
    unit = gettext(UNITS[line.service], language)
    amount = f"{_quantity(line.service, line.estimated, language)} {unit}"
    if line.estimates:
        part = "" if line.estimated == line.quantity else amount
        return estimate_text(line.estimates, language, part=part)
    return gettext(mark("estimated: %(quantity)s"), language) % {"quantity": amount}


def _quantity(service: Service, quantity: int, language: Language) -> str:
    """Return a quantity exactly, so that quantity x rate can be checked by hand."""
    value = kwh(quantity) if service is Service.ELECTRICITY else gcal(quantity)
    return number_text(value.normalize() + 0, language)


def _rate(rate_scaled: int, language: Language) -> str:
    rate = rate_from_scaled(rate_scaled)
    exponent = rate.as_tuple().exponent
    assert isinstance(exponent, int)
    return number_text(rate, language, decimals=max(2, -exponent))


def _statement(statement: Statement, language: Language) -> tuple[StatementRow, ...]:
    opening = _balance(
        statement.opening,
        debt=mark("Debt at the start"),
        advance=mark("Advance at the start"),
        nothing=mark("At the start"),
        language=language,
    )
    closing = _balance(
        statement.closing,
        debt=mark("Debt at the end"),
        advance=mark("Advance at the end"),
        nothing=mark("At the end"),
        language=language,
    )
    return (opening, *_movements(statement.movements, language), closing)


def _balance(
    balance: Balance, *, debt: str, advance: str, nothing: str, language: Language
) -> StatementRow:
    if balance.debt_minor:
        owed = amount_text(balance.debt_minor, language, unit=False)
        return StatementRow(gettext(debt, language), owed=owed, strong=True)
    held = amount_text(balance.advance_minor, language, unit=False)
    label = advance if balance.advance_minor else nothing
    return StatementRow(gettext(label, language), held=held, strong=True)


def _movements(movements: Sequence[Movement], language: Language) -> list[StatementRow]:
    rows = []
    for kind in MovementKind:
        of_kind = [movement for movement in movements if movement.kind is kind]
        if not of_kind:
            continue
        label = gettext(MOVEMENTS[kind], language)
        if len(of_kind) > DATED_MOVEMENTS_SHOWN:
            rows.append(_moved(f"{label} ({len(of_kind)})", None, of_kind, language))
        else:
            rows += [_moved(label, movement.on, [movement], language) for movement in of_kind]
    return rows


def _moved(
    label: str, on: date | None, movements: Sequence[Movement], language: Language
) -> StatementRow:
    amount_minor = sum(movement.amount_minor for movement in movements)
    text = amount_text(abs(amount_minor), language, unit=False)
    if on is not None:
        label = f"{label}, {date_text(on, language)}"
    return StatementRow(label, owed=text) if amount_minor < 0 else StatementRow(label, held=text)


def _wallet(wallet: WalletBox, language: Language) -> tuple[Fact, ...]:
    facts = [
        Fact(gettext(mark("In the wallet"), language), amount_text(wallet.posted_minor, language))
    ]
    if wallet.bonus_minor:
        label = gettext(mark("of which bonus"), language)
        facts.append(Fact(label, amount_text(wallet.bonus_minor, language)))
    if wallet.reserve_minor:
        label = gettext(mark("of which kept in the reserve"), language)
        facts.append(Fact(label, amount_text(wallet.reserve_minor, language)))
    label = gettext(mark("Available to spend"), language)
    facts.append(Fact(label, amount_text(wallet.available_minor, language), strong=True))
    return tuple(facts)


def _expiring(wallet: WalletBox, language: Language) -> tuple[str, ...]:
    bonus = gettext(mark("%(amount)s of bonus is to be spent before %(day)s."), language)
    money = gettext(mark("%(amount)s is to be spent before %(day)s."), language)
    return tuple(
        (bonus if lot.bonus else money)
        % {
            "amount": amount_text(lot.amount_minor, language),
            "day": date_text(lot.expires_on, language),
        }
        for lot in wallet.expiring
    )


def _meter(meter: MeterUse, language: Language) -> MeterRow:
    service = gettext(SERVICES[meter.service], language)
    if meter.zone and meter.zone != "all":
        service = f"{service}, {gettext(ZONES[meter.zone], language)}"
    by_register = meter.previous is not None and meter.current is not None
    return MeterRow(
        serial=meter.serial,
        point=meter.point,
        service=service,
        previous=_quantity(meter.service, meter.previous or 0, language) if by_register else "",
        current=_quantity(meter.service, meter.current or 0, language) if by_register else "",
        used=_quantity(meter.service, meter.measured, language),
        estimated=_quantity(meter.service, meter.estimated, language) if meter.estimated else "",
        unit=gettext(UNITS[meter.service], language),
        verified_until=date_text(meter.verified_until, language) if meter.verified_until else "",
    )
