"""From charges and wallet movements of a month to payment documents; values in, drafts out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from billing.accounts import BilledAccount
from billing.charges import NewLine, by_zone, name_of, range_of, used_estimates, zone_of
from billing.law import VAT_PERCENT, due_on, in_force
from billing.models import LineKind, RetailerRow
from invoices.documents import Draft
from invoices.line_words import share_of
from invoices.numbering import DocumentKind
from invoices.payment_document import (
    Alternative,
    DocumentLine,
    MeterUse,
    MonthUse,
    Payer,
    PaymentDocument,
    Requisites,
    WalletBox,
)
from invoices.statement import Balance, Movement, Statement
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.digest import digest_text
from kilokassa.core.text import Language
from tariffs.lines import ChargeKind

_CODED: Final = frozenset({ChargeKind.TAX, ChargeKind.DEDUCTION})
"""Kinds of lines whose code a document has to tell."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """What all documents of a run share: the retailer, its zone, the month and the law of it."""

    requisites: Requisites
    zone: ZoneInfo
    demo: bool
    month: Month
    issued_on: date
    due_on: date
    vat_percent: int
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, retailer: RetailerRow, month: Month, issued_on: date) -> "Issuer":
        """Return the issuer of `month`'s documents as the retailer and the law stand."""
        due, warnings = due_on(month)
        return cls(
            requisites=requisites_of(retailer),
            zone=ZoneInfo(retailer.zone),
            demo=retailer.demo,
            month=month,
            issued_on=issued_on,
            due_on=due,
            vat_percent=in_force(VAT_PERCENT, month.days[-1]).value,
            warnings=warnings,
        )


@dataclass(frozen=True, slots=True)
class AccountMonth:
    """All that one account's document shows, gathered from the subjects."""

    account: BilledAccount
    lines: tuple[tuple[Month, NewLine], ...]
    """Lines of this document with the month each belongs to."""
    meters: tuple[MeterUse, ...]
    opening_minor: int
    movements: tuple[Movement, ...]
    closing_minor: int
    wallet: WalletBox | None
    history: tuple[MonthUse, ...]
    plan_name: str
    plan_name_en: str
    warnings: tuple[str, ...]
    alternatives: tuple[Alternative, ...] = ()


def draft_of(issuer: Issuer, facts: AccountMonth) -> Draft:
    """Return the draft of one account's payment document."""
    account = facts.account
    document = PaymentDocument(
        month=issuer.month,
        issued_on=issuer.issued_on,
        due_on=issuer.due_on,
        retailer=issuer.requisites,
        payer=Payer(
            name=account.payer_name,
            address=premises_address(account.address, account.premises_number),
            account_number=account.number,
            area_dm2=account.area_dm2,
            persons=account.persons,
        ),
        lines=tuple(document_line(issuer, month, line) for month, line in facts.lines),
        statement=Statement(
            opening=Balance.of(facts.opening_minor),
            movements=facts.movements,
            closing=Balance.of(facts.closing_minor),
        ),
        vat_percent=issuer.vat_percent,
        meters=facts.meters,
        wallet=facts.wallet,
        history=facts.history,
        plan_name=facts.plan_name,
        plan_name_en=facts.plan_name_en,
        prepaid=facts.wallet is not None,
        demo=issuer.demo,
        warnings=issuer.warnings + facts.warnings,
        alternatives=facts.alternatives,
    )
    return Draft(
        kind=DocumentKind.PAYMENT_DOCUMENT,
        account_id=account.id,
        snapshot=document.to_snapshot(),
        key=f"bill:{issuer.month}:{account.id}",
        month=issuer.month,
        language=Language(account.language),
        input_digest=digest_text("|".join(line.input_digest for _, line in facts.lines)),
    )


def requisites_of(retailer: RetailerRow) -> Requisites:
    """Return the retailer's requisites as documents print them."""
    return Requisites(
        name=retailer.name,
        inn=retailer.inn,
        kpp=retailer.kpp,
        bank_name=retailer.bank_name,
        bic=retailer.bic,
        bank_account=retailer.bank_account,
        correspondent_account=retailer.correspondent_account,
        address=retailer.address,
        phone=retailer.phone,
        email=retailer.email,
    )


def premises_address(address: str, premises_number: str) -> str:
    """Return the address of a flat as documents print it."""
    return f"{address}, кв. {premises_number}"


def history_of(
    by_month: Mapping[Month, Mapping[str, int]], this_month: Month, lines: Sequence[NewLine]
) -> tuple[MonthUse, ...]:
    """Return the electricity by zone of the months before and of this one, for the chart."""
    uses = [
        MonthUse(month, _shown(keys.items()))
        for month, keys in sorted(by_month.items())
        if month < this_month
    ]
    current = [
        (line.key, line.energy_wh)
        for line in lines
        if line.energy_wh and line.kind is LineKind.ORIGINAL
    ]
    return (*uses[-11:], MonthUse(this_month, _shown(current)))


def _shown(quantities: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((zone, wh) for zone, wh in by_zone(quantities).items() if wh))


def document_line(issuer: Issuer, month: Month, line: NewLine) -> DocumentLine:
    """Return a charge line as documents print it; `month` is the one it belongs to."""
    whole = _month_bounds(month, issuer.zone)
    partial = (line.period_start, line.period_end) != whole
    energy = line.charge is ChargeKind.ENERGY
    return DocumentLine(
        service=line.service,
        quantity=line.quantity,
        rate_scaled=line.rate_scaled,
        amount_minor=line.amount_minor,
        zone=zone_of(line.key) if energy else "",
        range_number=range_of(line.key) if energy else 0,
        estimated=line.estimated,
        kind=line.kind,
        month=None if month == issuer.month else month,
        first_on=local_date(line.period_start, issuer.zone) if partial else None,
        last_on=local_date(_just_before(line.period_end), issuer.zone) if partial else None,
        estimates=used_estimates(line.detail) if line.estimated else (),
        charge=line.charge,
        unit=line.unit,
        label_ru=name_of(line.detail, "ru"),
        label_en=name_of(line.detail, "en"),
        reason=line.reason,
        code=line.code if line.charge in _CODED else "",
        share=share_of(line),
    )


@lru_cache(maxsize=64)
def _month_bounds(month: Month, zone: ZoneInfo) -> tuple[datetime, datetime]:
    period = month.period(zone)
    return period.start, period.end


def _just_before(instant: datetime) -> datetime:
    return instant - timedelta(microseconds=1)
