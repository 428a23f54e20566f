"""The payment document (платёжный документ) as a frozen value and as the snapshot that is stored.

Ten thousand are made at every close of a month, so building one is plain: a handful of small
values, one dict, no look-ups. What would make a document false is checked: the statement adds up,
and the charge lines explain what the statement says was charged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any, Final, Self

from billing.charges import UsedEstimate
from billing.law import included_vat_minor
from billing.models import CorrectionReason, LineKind, LineUnit, Service
from invoices.statement import Balance, Movement, MovementKind, Statement
from kilokassa.core.calendar import Month
from kilokassa.core.digest import digest_value
from metering.estimation.methods import EstimationMethod
from tariffs.lines import ChargeKind

SNAPSHOT_VERSION: Final = 1
"""Raised when a field changes its meaning; old snapshots are read as what they were."""

HISTORY_MONTHS: Final = 12

VAT_CODE: Final = "vat"
"""Code that a tariff document gives VAT on top."""


@dataclass(frozen=True, slots=True)
class Requisites:
    """The retailer as the document names it, with the account to pay to."""

    name: str
    inn: str
    kpp: str
    bank_name: str
    bic: str
    bank_account: str
    correspondent_account: str
    address: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Payer:
    """Who the document is for, and for which premises."""

    name: str
    address: str
    account_number: str
    area_dm2: int = 0
    """Hundredths of a square metre; 0 prints none."""
    persons: int = 0


@dataclass(frozen=True, slots=True)
class MeterUse:
    """What one meter measured in one zone: by two register readings, or by its intervals."""

    serial: str
    point: str
    service: Service
    measured: int
    """Whole Wh or kcal."""
    estimated: int = 0
    previous: int | None = None
    """Register reading at the start of the month, Wh or kcal; None for interval metering."""
    current: int | None = None
    zone: str = ""
    """A `kilokassa.core.zones.Zone`; empty or `all` where the meter has one register."""
    verified_until: date | None = None


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One charge line as printed: quantity x rate = amount."""

    service: Service
    quantity: int
    """Whole, in the line's unit; negative on a reversal."""
    rate_scaled: int
    """Millionths of a rouble per kWh, Gcal, m3 and so on; of a share, parts per million."""
    amount_minor: int
    zone: str = ""
    range_number: int = 0
    """The consumption range, from 1; 0 where the plan has none."""
    estimated: int = 0
    kind: LineKind = LineKind.ORIGINAL
    month: Month | None = None
    """The month a reversal or correction belongs to; None is the document's own."""
    first_on: date | None = None
    last_on: date | None = None
    """Local days of a line that covers a part of the month only: a price changed."""
    note: str = ""
    """A message of the catalogue, such as how heat was shared."""
    estimates: tuple[UsedEstimate, ...] = ()
    """By which methods the estimated part came about."""
    charge: ChargeKind = ChargeKind.ENERGY
    unit: LineUnit = LineUnit.WH
    """Of a line of energy; heat of documents made before the field was there is kcal."""
    label_ru: str = ""
    """The name that the charge has in its tariff or price document."""
    label_en: str = ""
    reason: CorrectionReason | None = None
    """Of a reversing and a right line: what came or changed later."""
    code: str = ""
    """Of a tax or a deduction: its code in the tariff, or the item of the rules."""
    share: tuple[int, int] = (1, 1)
    """The amount is quantity x rate x share: days of a month, for what is priced by the month."""


@dataclass(frozen=True, slots=True)
class ExpiringLot:
    """Money that will soon be gone if it is not spent."""

    amount_minor: int
    expires_on: date
    """The local day of the first instant at which it cannot be spent."""
    bonus: bool = True


@dataclass(frozen=True, slots=True)
class WalletBox:
    """The wallet as it stood when the document was made."""

    posted_minor: int
    """Everything in the wallet, negative where it owes."""
    available_minor: int
    """What may be spent: without the reserve, holds and what is rated but not posted."""
    bonus_minor: int = 0
    reserve_minor: int = 0
    expiring: tuple[ExpiringLot, ...] = ()


@dataclass(frozen=True, slots=True)
class MonthUse:
    """Electricity of one month by zone, for the chart."""

    month: Month
    by_zone: tuple[tuple[str, int], ...]
    """Pairs of a zone and whole Wh."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """What the same consumption would have cost on a plan the resident had the right to."""

    plan_name: str
    plan_name_en: str
    cost_minor: int
    """VAT included, before bonuses and the retailer's own discounts."""
    guaranteed: bool = False
    """Says that the resident's own plan promises never to cost more."""
    own: bool = False
    """Says that it is the resident's own plan, which the others are compared with."""


@dataclass(frozen=True, slots=True)
class PaymentDocument:
    """All that a payment document shows, apart from the words of its language."""

    month: Month
    issued_on: date
    due_on: date
    retailer: Requisites
    payer: Payer
    lines: tuple[DocumentLine, ...]
    statement: Statement
    vat_percent: int
    meters: tuple[MeterUse, ...] = ()
    wallet: WalletBox | None = None
    history: tuple[MonthUse, ...] = ()
    plan_name: str = ""
    """In Russian, as the plan is published."""
    plan_name_en: str = ""
    prepaid: bool = False
    demo: bool = False
    warnings: tuple[str, ...] = ()
    """Messages of the catalogue: rules whose source is not certain, readings that did not come."""
    alternatives: tuple[Alternative, ...] = ()
    """The own plan first; empty where the plan promises nothing and gives no discount."""
    number: str = ""
    """Given when the document is issued; a draft has none."""

    def __post_init__(self) -> None:
        if self.total_minor != self.statement.charged_minor:
            raise ValueError(
                f"account {self.payer.account_number}: the lines come to {self.total_minor}, "
                f"the statement says {self.statement.charged_minor} was charged"
            )

    @property
    def total_minor(self) -> int:
        """What the lines come to, corrections included."""
        return sum([line.amount_minor for line in self.lines])

    @property
    def vat_minor(self) -> int:
        """The VAT of the document: what is on top as its lines say, and what the rest contains.

        Of the rest it is half up of its total x rate / (100 + rate).
        """
        taxed = {line.service for line in self.lines if _vat_on_top(line)}
        on_top = sum(line.amount_minor for line in self.lines if _vat_on_top(line))
        rest = sum(line.amount_minor for line in self.lines if line.service not in taxed)
        return on_top + included_vat_minor(rest, self.vat_percent)

    @property
    def vat_on_top(self) -> bool:
        """Say whether a line of the document is VAT on top of others."""
        return any(_vat_on_top(line) for line in self.lines)

    @property
    def to_pay_minor(self) -> int:
        """What the customer is asked to pay: the debt at the closing, nothing from an advance."""
        return self.statement.closing.debt_minor

    @property
    def digest(self) -> str:
        """The SHA-256 of the snapshot as a draft, without its number."""
        return digest_value(self.to_snapshot())

    def numbered(self, number: str) -> Self:
        """Return the document with its number."""
        return replace(self, number=number)

    def to_snapshot(self) -> dict[str, Any]:
        """Return the document as a dict that JSON keeps whole: no floats, nothing left at default.

        The number is left out: it is taken last, and kept beside the snapshot.
        """
        payer = self.payer
        snapshot: dict[str, Any] = {
            "v": SNAPSHOT_VERSION,
            "month": str(self.month),
            "issued_on": self.issued_on.isoformat(),
            "due_on": self.due_on.isoformat(),
            "retailer": _requisites(self.retailer),
            "payer": {
                "name": payer.name,
                "address": payer.address,
                "account": payer.account_number,
                "area_dm2": payer.area_dm2,
                "persons": payer.persons,
            },
            "lines": [line_snapshot(line) for line in self.lines],
            "statement": statement_snapshot(self.statement),
            "vat_percent": self.vat_percent,
            "total_minor": self.total_minor,
            "vat_minor": self.vat_minor,
            "to_pay_minor": self.to_pay_minor,
        }
        if self.meters:
            snapshot["meters"] = [meter_snapshot(meter) for meter in self.meters]
        if self.wallet is not None:
            snapshot["wallet"] = _wallet(self.wallet)
        if self.history:
            snapshot["history"] = [
                [str(use.month), [[zone, energy_wh] for zone, energy_wh in use.by_zone]]
                for use in self.history
            ]
        if self.plan_name:
            snapshot["plan"] = [self.plan_name, self.plan_name_en]
        if self.prepaid:
            snapshot["prepaid"] = True
        if self.demo:
            snapshot["demo"] = True
        if self.warnings:
            snapshot["warnings"] = list(self.warnings)
        if self.alternatives:
            snapshot["alternatives"] = [_alternative(one) for one in self.alternatives]
        return snapshot

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any], number: str = "") -> Self:
        """Read a snapshot; `number`, or one under that key, is the document's own."""
        payer = snapshot["payer"]
        plan = snapshot.get("plan", ["", ""])
        return cls(
            month=Month.parse(snapshot["month"]),
            issued_on=date.fromisoformat(snapshot["issued_on"]),
            due_on=date.fromisoformat(snapshot["due_on"]),
            retailer=Requisites(**snapshot["retailer"]),
            payer=Payer(
                payer["name"],
                payer["address"],
                payer["account"],
                payer["area_dm2"],
                payer["persons"],
            ),
            lines=tuple(read_line(line) for line in snapshot["lines"]),
            statement=read_statement(snapshot["statement"]),
            vat_percent=snapshot["vat_percent"],
            meters=tuple(read_meter(meter) for meter in snapshot.get("meters", ())),
            wallet=_read_wallet(snapshot["wallet"]) if "wallet" in snapshot else None,
            history=tuple(
                MonthUse(Month.parse(month), tuple((zone, wh) for zone, wh in by_zone))
                for month, by_zone in snapshot.get("history", ())
            ),
            plan_name=plan[0],
            plan_name_en=plan[1],
            prepaid=snapshot.get("prepaid", False),
            demo=snapshot.get("demo", False),
            warnings=tuple(snapshot.get("warnings", ())),
            alternatives=tuple(Alternative(**one) for one in snapshot.get("alternatives", ())),
            number=number or snapshot.get("number", ""),
        )


def _vat_on_top(line: DocumentLine) -> bool:
    return line.charge is ChargeKind.TAX and line.code == VAT_CODE


def statement_snapshot(statement: Statement) -> dict[str, Any]:
    """Return a statement as JSON keeps it."""
    return {
        "opening": _balance(statement.opening),
        "movements": [
            [m.kind.value, m.amount_minor]
            if m.on is None
            else [m.kind.value, m.amount_minor, m.on.isoformat()]
            for m in statement.movements
        ],
        "closing": _balance(statement.closing),
    }


def read_statement(snapshot: Mapping[str, Any]) -> Statement:
    """Read a statement; one that does not add up cannot be read either."""
    return Statement(
        opening=Balance(**snapshot["opening"]),
        movements=tuple(
            Movement(MovementKind(kind), amount, date.fromisoformat(on[0]) if on else None)
            for kind, amount, *on in snapshot["movements"]
        ),
        closing=Balance(**snapshot["closing"]),
    )


def requisites_snapshot(retailer: Requisites) -> dict[str, str]:
    """Return requisites as JSON keeps them."""
    return dict(_requisites(retailer))


@lru_cache(maxsize=16)
def _requisites(retailer: Requisites) -> dict[str, str]:
    """Return one dict for all documents of a run; nobody may change it."""
    fields = {name: getattr(retailer, name) for name in Requisites.__slots__}
    return {name: value for name, value in fields.items() if value or name in _ALWAYS}


_ALWAYS: Final = frozenset(
    {"name", "inn", "kpp", "bank_name", "bic", "bank_account", "correspondent_account"}
)


def _balance(balance: Balance) -> dict[str, int]:
    if balance.debt_minor:
        return {"debt_minor": balance.debt_minor}
    return {"advance_minor": balance.advance_minor} if balance.advance_minor else {}


def line_snapshot(line: DocumentLine) -> dict[str, Any]:
    """Return a line as JSON keeps it: nothing that is left at its default."""
    fields: dict[str, Any] = {
        "service": line.service.value,
        "quantity": line.quantity,
        "rate_scaled": line.rate_scaled,
        "amount_minor": line.amount_minor,
    }
    if line.zone:
        fields["zone"] = line.zone
    if line.range_number:
        fields["range"] = line.range_number
    if line.estimated:
        fields["estimated"] = line.estimated
    if line.kind is not LineKind.ORIGINAL:
        fields["kind"] = line.kind.value
    if line.month is not None:
        fields["month"] = str(line.month)
    if line.first_on is not None:
        fields["first_on"] = line.first_on.isoformat()
    if line.last_on is not None:
        fields["last_on"] = line.last_on.isoformat()
    if line.note:
        fields["note"] = line.note
    if line.estimates:
        fields["estimates"] = [[str(u.method), u.months, u.article] for u in line.estimates]
    heat = line.service is Service.HEAT
    if line.charge is not (ChargeKind.SERVICE if heat else ChargeKind.ENERGY):
        fields["charge"] = line.charge.value
    if line.unit is not (LineUnit.KCAL if heat else LineUnit.WH):
        fields["unit"] = line.unit.value
    if line.label_ru:
        fields["label"] = [line.label_ru, line.label_en]
    if line.reason is not None:
        fields["reason"] = line.reason.value
    if line.code:
        fields["code"] = line.code
    if line.share != (1, 1):
        fields["share"] = list(line.share)
    return fields


def _alternative(one: Alternative) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "plan_name": one.plan_name,
        "plan_name_en": one.plan_name_en,
        "cost_minor": one.cost_minor,
    }
    if one.guaranteed:
        fields["guaranteed"] = True
    if one.own:
        fields["own"] = True
    return fields


def read_line(fields: Mapping[str, Any]) -> DocumentLine:
    """Read a line of a snapshot."""
    service = Service(fields["service"])
    heat = service is Service.HEAT
    label = fields.get("label", ("", ""))
    return DocumentLine(
        service=service,
        quantity=fields["quantity"],
        rate_scaled=fields["rate_scaled"],
        amount_minor=fields["amount_minor"],
        zone=fields.get("zone", ""),
        range_number=fields.get("range", 0),
        estimated=fields.get("estimated", 0),
        kind=LineKind(fields.get("kind", LineKind.ORIGINAL)),
        month=Month.parse(fields["month"]) if "month" in fields else None,
        first_on=_read_day(fields, "first_on"),
        last_on=_read_day(fields, "last_on"),
        note=fields.get("note", ""),
        estimates=tuple(
            UsedEstimate(EstimationMethod(method), months, article)
            for method, months, article in fields.get("estimates", ())
        ),
        charge=ChargeKind(fields.get("charge", ChargeKind.SERVICE if heat else ChargeKind.ENERGY)),
        unit=LineUnit(fields.get("unit", LineUnit.KCAL if heat else LineUnit.WH)),
        label_ru=label[0],
        label_en=label[1],
        reason=CorrectionReason(fields["reason"]) if "reason" in fields else None,
        code=fields.get("code", ""),
        share=tuple(fields.get("share", (1, 1))),
    )


def meter_snapshot(meter: MeterUse) -> dict[str, Any]:
    """Return what a meter gave as a snapshot keeps it."""
    fields: dict[str, Any] = {
        "serial": meter.serial,
        "point": meter.point,
        "service": meter.service.value,
        "measured": meter.measured,
    }
    if meter.estimated:
        fields["estimated"] = meter.estimated
    if meter.previous is not None:
        fields["previous"] = meter.previous
    if meter.current is not None:
        fields["current"] = meter.current
    if meter.zone:
        fields["zone"] = meter.zone
    if meter.verified_until is not None:
        fields["verified_until"] = meter.verified_until.isoformat()
    return fields


def read_meter(fields: Mapping[str, Any]) -> MeterUse:
    """Read what `meter_snapshot` made."""
    return MeterUse(
        serial=fields["serial"],
        point=fields["point"],
        service=Service(fields["service"]),
        measured=fields["measured"],
        estimated=fields.get("estimated", 0),
        previous=fields.get("previous"),
        current=fields.get("current"),
        zone=fields.get("zone", ""),
        verified_until=_read_day(fields, "verified_until"),
    )


def _wallet(wallet: WalletBox) -> dict[str, Any]:
    return {
        "posted_minor": wallet.posted_minor,
        "available_minor": wallet.available_minor,
        "bonus_minor": wallet.bonus_minor,
        "reserve_minor": wallet.reserve_minor,
        "expiring": [
            [lot.amount_minor, lot.expires_on.isoformat(), int(lot.bonus)]
            for lot in wallet.expiring
        ],
    }


def _read_wallet(fields: Mapping[str, Any]) -> WalletBox:
    return WalletBox(
        posted_minor=fields["posted_minor"],
        available_minor=fields["available_minor"],
        bonus_minor=fields["bonus_minor"],
        reserve_minor=fields["reserve_minor"],
        expiring=tuple(
            ExpiringLot(amount, date.fromisoformat(on), bool(bonus))
            for amount, on, bonus in fields["expiring"]
        ),
    )


def _read_day(fields: Mapping[str, Any], name: str) -> date | None:
    return date.fromisoformat(fields[name]) if name in fields else None
