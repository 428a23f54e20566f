"""What a document's page says, in the words and marks of one language; templates only place it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from billing.models import LineKind, LineUnit, Service
from billing.wording import estimate_text
from invoices.chart import consumption_svg, zones_shown
from invoices.line_words import (
    METERED,
    SERVICES,
    ZONES,
    label_of,
    quantity_text,
    rate_text,
    share_text,
    unit_of,
    unit_text,
)
from invoices.payment_document import (
    Alternative,
    DocumentLine,
    MeterUse,
    PaymentDocument,
    Requisites,
    WalletBox,
)
from invoices.payment_qr import Payment
from invoices.receipt import MoneyReceipt
from invoices.statement import Balance, Movement, MovementKind, Statement
from invoices.words import amount_in_words
from kilokassa.core.money import half_up_ratio
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.text import (
    Language,
    amount_text,
    date_text,
    gettext,
    instant_text,
    mark,
    month_text,
    number_text,
    told,
)
from tariffs.lines import ChargeKind
from tariffs.zone_look import COLOURS

MOVEMENTS: Final = {
    MovementKind.CHARGE: mark("Charged for the month"),
    MovementKind.CORRECTION: mark("Recalculation of earlier months"),
    MovementKind.TOP_UP: mark("Paid in"),
    MovementKind.BONUS: mark("Bonus given"),
    MovementKind.EXPIRY: mark("Bonus expired"),
    MovementKind.REVERSAL: mark("Reversed payments"),
    MovementKind.REFUND: mark("Money paid back"),
    MovementKind.TRANSFER: mark("Moved between accounts of the payer"),
    MovementKind.SET_ASIDE: mark("Set aside in the reserve"),
    MovementKind.RESERVE_RETURN: mark("Returned from the reserve"),
    MovementKind.CLAW_BACK: mark("Unearned bonus of the reserve"),
    MovementKind.COMPENSATION: mark("Compensation"),
    MovementKind.CREDIT: mark("Emergency credit"),
    MovementKind.LATE_FEE: mark("Late fees"),
    MovementKind.INTEREST: mark("Interest on instalments"),
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
class ChargeSection:
    """The lines of one service, with what they come to together where there are several."""

    title: str
    """Empty where the rows say their service themselves."""
    rows: tuple[ChargeRow, ...]
    total: str = ""


@dataclass(frozen=True, slots=True)
class AlternativeRow:
    """What the same consumption would have cost on a plan."""

    plan: str
    note: str
    cost: str
    difference: str
    """How much more, or less, than on the own plan."""
    own: bool = False


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
    charges: tuple[ChargeSection, ...]
    sectioned: bool
    """Says that the charges stand by service."""
    corrections: tuple[ChargeRow, ...]
    charges_total: str
    corrections_total: str
    total: str
    vat_label: str
    vat: str
    vat_on_top: bool
    alternatives: tuple[AlternativeRow, ...]
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
        requisites=requisites_facts(document.retailer, language),
        contacts=contacts_of(document.retailer),
        payer=payer.name,
        address=payer.address,
        account_number=payer.account_number,
        facts=_facts(document, language),
        asks_payment=document.to_pay_minor > 0,
        to_pay=amount_text(document.to_pay_minor, language),
        in_words=amount_in_words(document.to_pay_minor, language) if document.to_pay_minor else "",
        advance=amount_text(statement.closing.advance_minor, language),
        charges=_sections(charges, language),
        sectioned=not all(map(_says_service, charges)),
        corrections=tuple(charge_row(line, language) for line in corrections),
        charges_total=amount_text(sum(c.amount_minor for c in charges), language, unit=False),
        corrections_total=amount_text(
            sum(c.amount_minor for c in corrections), language, unit=False
        ),
        total=amount_text(document.total_minor, language, unit=False),
        vat_label=vat_label % {"percent": document.vat_percent},
        vat=amount_text(document.vat_minor, language, unit=False),
        vat_on_top=document.vat_on_top,
        alternatives=_alternatives(document.alternatives, language),
        statement=statement_rows(statement, language),
        wallet=() if document.wallet is None else _wallet(document.wallet, language),
        expiring=() if document.wallet is None else _expiring(document.wallet, language),
        meters=tuple(meter_row(meter, language) for meter in document.meters),
        chart=consumption_svg(document.history, language),
        legend=tuple(
            LegendEntry(gettext(ZONES[zone], language), COLOURS[zone])
            for zone in zones_shown(document.history)
        ),
        warnings=tuple(told(warning, language) for warning in document.warnings),
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
        amount = amount_text(receipt.bonus_minor, language)
        rules = receipt.bonus_rules
        facts.append(Fact(label, f"{amount} ({rules})" if rules else amount))
    if receipt.balance_after_minor is not None:
        label = gettext(mark("Balance after it"), language)
        facts.append(Fact(label, amount_text(receipt.balance_after_minor, language)))
    return ReceiptPage(
        language=str(language),
        number=receipt.number,
        demo=receipt.demo,
        payee=receipt.retailer.name,
        requisites=requisites_facts(receipt.retailer, language),
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
        requisites=requisites_facts(retailer, language),
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


def requisites_facts(retailer: Requisites, language: Language) -> tuple[Fact, ...]:
    """Return where a payment goes, as documents print it."""
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


def _sections(lines: Sequence[DocumentLine], language: Language) -> tuple[ChargeSection, ...]:
    """Return the lines by service, where any of them says more than energy and heat."""
    if all(_says_service(line) for line in lines):
        rows = tuple(charge_row(line, language) for line in lines)
        return (ChargeSection("", rows),) if rows else ()
    by_service: dict[Service, list[DocumentLine]] = {}
    for line in lines:
        by_service.setdefault(line.service, []).append(line)
    sections = []
    for service in sorted(by_service, key=list(SERVICES).index):
        of_service = by_service[service]
        if len(of_service) == 1:
            sections.append(ChargeSection("", (charge_row(of_service[0], language),)))
            continue
        total = sum(line.amount_minor for line in of_service)
        sections.append(
            ChargeSection(
                gettext(SERVICES[service], language),
                tuple(charge_row(line, language, within=True) for line in of_service),
                amount_text(total, language, unit=False),
            )
        )
    return tuple(sections)


def _says_service(line: DocumentLine) -> bool:
    """Say whether a line is what documents had before there was anything beside energy."""
    return line.charge is ChargeKind.ENERGY or line.service is Service.HEAT


def charge_row(line: DocumentLine, language: Language, *, within: bool = False) -> ChargeRow:
    """Return how a line is printed; `within` the section of its service, or by itself."""
    service = gettext(SERVICES[line.service], language)
    label = label_of(
        line.charge,
        name=line.label_ru if language is Language.RUSSIAN else line.label_en or line.label_ru,
        zone=line.zone,
        range_number=line.range_number,
        language=language,
    )
    if not within and not (label and line.charge is ChargeKind.SERVICE):
        label = f"{service}, {label}" if label else service
    elif not label:
        label = gettext(mark("Energy"), language) if line.unit is LineUnit.WH else service
    unit = unit_of(line.unit, line.service)
    quantity, shown_unit, share = line.quantity, unit_text(line.charge, unit, language), line.share
    if unit is LineUnit.DAY and share != (1, 1):
        # A price by the month: so many of its days, not so many times the price.
        quantity, share = 1, (line.quantity * share[0], share[1])
        shown_unit = gettext(mark("month"), language)
        share = (1, 1) if share[0] == share[1] else share
    detail = [*_when(line, language), share_text(share, language)]
    if line.charge is ChargeKind.HOURLY and line.quantity:
        detail.append(_mean(line, language))
    if line.note:
        detail.append(gettext(line.note, language))
    if line.estimated:
        detail.append(_estimated(line, language))
    return ChargeRow(
        label=label,
        detail="; ".join(filter(None, detail)),
        quantity=quantity_text(line.charge, quantity, unit, language),
        unit=shown_unit,
        rate=rate_text(line.charge, line.rate_scaled, unit, language),
        amount=amount_text(line.amount_minor, language, unit=False),
    )


def _when(line: DocumentLine, language: Language) -> list[str]:
    """Return the month a line belongs to, and its days where they are a part of one."""
    found = []
    if line.kind in KINDS:
        kind = gettext(KINDS[line.kind], language)
        found.append(f"{month_text(line.month, language)}: {kind}" if line.month else kind)
    elif line.month is not None:
        found.append(month_text(line.month, language))
    if line.first_on is not None and line.last_on is not None:
        found.append(f"{date_text(line.first_on, language)} – {date_text(line.last_on, language)}")
    return found


def _mean(line: DocumentLine, language: Language) -> str:
    """Return what a kWh of hourly energy cost on average, to the kopeck."""
    mean_minor = half_up_ratio(line.amount_minor * WH_PER_KWH, line.quantity)
    text = mark("each hour at its own price, on average %(price)s")
    return gettext(text, language) % {"price": amount_text(mean_minor, language)}


def _estimated(line: DocumentLine, language: Language) -> str:
    """Return how much of a line was not measured, and by which method it came about."""
    unit = unit_of(line.unit, line.service)
    name = unit_text(line.charge, unit, language)
    amount = f"{quantity_text(line.charge, line.estimated, unit, language)} {name}"
    if line.estimates:
        part = "" if line.estimated == line.quantity else amount
        return estimate_text(line.estimates, language, part=part)
    return gettext(mark("estimated: %(quantity)s"), language) % {"quantity": amount}


def _alternatives(found: Sequence[Alternative], language: Language) -> tuple[AlternativeRow, ...]:
    """Return the plans with what they would have cost, the own one first."""
    own = next((one for one in found if one.own), None)
    rows = []
    for one in found:
        note = ""
        if one.own:
            note = gettext(mark("your plan"), language)
        elif one.guaranteed:
            note = gettext(mark("your plan never costs more than this"), language)
        compared = own is not None and not one.own
        more_minor = one.cost_minor - own.cost_minor if own is not None else 0
        name = one.plan_name if language is Language.RUSSIAN else one.plan_name_en
        rows.append(
            AlternativeRow(
                plan=name or one.plan_name,
                note=note,
                cost=amount_text(one.cost_minor, language, unit=False),
                difference=_signed(more_minor, language) if compared else "",
                own=one.own,
            )
        )
    return tuple(rows)


def _signed(amount_minor: int, language: Language) -> str:
    sign = "+" if amount_minor > 0 else ""
    return sign + amount_text(amount_minor, language, unit=False)


def statement_rows(statement: Statement, language: Language) -> tuple[StatementRow, ...]:
    """Return the rows of a statement: opening, movements, closing."""
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


def _measured(meter: MeterUse, quantity: int, language: Language) -> str:
    return quantity_text(ChargeKind.ENERGY, quantity, METERED[meter.service], language)


def meter_row(meter: MeterUse, language: Language) -> MeterRow:
    """Return what a meter gave, as documents print it."""
    service = gettext(SERVICES[meter.service], language)
    if meter.zone and meter.zone != "all":
        service = f"{service}, {gettext(ZONES[meter.zone], language)}"
    by_register = meter.previous is not None and meter.current is not None
    return MeterRow(
        serial=meter.serial,
        point=meter.point,
        service=service,
        previous=_measured(meter, meter.previous or 0, language) if by_register else "",
        current=_measured(meter, meter.current or 0, language) if by_register else "",
        used=_measured(meter, meter.measured, language),
        estimated=_measured(meter, meter.estimated, language) if meter.estimated else "",
        unit=unit_text(ChargeKind.ENERGY, METERED[meter.service], language),
        verified_until=date_text(meter.verified_until, language) if meter.verified_until else "",
    )
