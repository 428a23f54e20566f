"""The lists that pages show, described once: the page, its sorting and its CSV are the same."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from flask import request, url_for

from billing.charges import name_of, range_of, used_estimates, zone_of
from billing.models import ChargeLineRow, LineKind, LineUnit, RunState
from billing.wording import method_text
from invoices.line_words import (
    label_of,
    quantity_text,
    rate_text,
    unit_of,
    unit_text,
)
from invoices.numbering import DocumentKind
from kilokassa.core.calendar import Month
from kilokassa.core.text import Language, amount_text, mark
from kilokassa.core.zones import Zone
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate
from kilokassa.web.queries import ListedAccount, ListedDocument, ListedMeter, ListedTerm
from kilokassa.web.visit import visit
from kilokassa.web.words import word
from notices.store import NoticeSummary
from tariffs.lines import ChargeKind
from tariffs.picture import ladder
from tariffs.picture_svg import rate_text as tariff_rate_text
from tariffs.picture_svg import rung_text
from tariffs.plans import TariffVersion
from tariffs.store import Plan, PublishedVersion
from wallet.ledger import Reason
from wallet.store import Entry, LotState


def accounts(items: Sequence[ListedAccount], language: Language) -> Table[ListedAccount]:
    """Return the list of accounts."""
    return Table(
        name="accounts",
        caption=mark("Accounts"),
        columns=(
            Column(
                "number",
                mark("Account"),
                lambda one: one.number,
                link=lambda one: url_for("console.account", number=one.number),
            ),
            Column("payer", mark("Payer"), lambda one: one.payer_name),
            Column("place", mark("Address"), lambda one: one.place, minor=True),
            Column("plan", mark("Plan"), lambda one: plan_name(one, language), minor=True),
            Column(
                "settlement",
                mark("Settled"),
                lambda one: one.settlement,
                Kind.WORD,
                minor=True,
                server_sort=False,
            ),
            Column(
                "balance",
                mark("Balance"),
                lambda one: one.balance_minor,
                Kind.MONEY,
                tone=lambda one: "bad" if one.balance_minor < 0 else "",
            ),
        ),
        items=items,
        empty=mark("No account fits. Try fewer words, or another filter."),
    )


def plan_name(one: Any, language: Language) -> str:  # noqa: ANN401 - whatever names a plan
    """Return the name of a plan in the reader's language."""
    return str(one.plan_name if language is Language.RUSSIAN else one.plan_name_en)


def entries(items: Sequence[Entry], who: Callable[[str | None], str] | None = None) -> Table[Entry]:
    """Return the operations of a wallet; to staff with the names of those who did them."""
    columns: list[Column[Entry]] = [
        Column("at", mark("When"), lambda one: one.valid_at, Kind.INSTANT),
        Column("reason", mark("Operation"), lambda one: one.reason, Kind.WORD, tone=_entry_tone),
        Column(
            "month",
            mark("For"),
            lambda one: None if one.charge_month is None else Month.from_ordinal(one.charge_month),
            Kind.MONTH,
            minor=True,
        ),
        Column(
            "amount",
            mark("Amount"),
            lambda one: one.amount_minor,
            Kind.MONEY,
            tone=lambda one: "good" if one.amount_minor > 0 else "",
        ),
        Column("after", mark("Balance after"), lambda one: one.balance_after, Kind.MONEY),
    ]
    if who is not None:
        columns.append(Column("actor", mark("By"), lambda one: who(one.actor), minor=True))
    return Table(
        name="entries",
        caption=mark("Operations"),
        columns=columns,
        items=items,
        empty=mark("No money has moved yet."),
        filterable=True,
    )


def _entry_tone(one: Entry) -> str:
    if one.reason in (Reason.TOP_UP, Reason.BONUS, Reason.OPENING_ADVANCE):
        return "good"
    return "warn" if one.reason in (Reason.REVERSAL, Reason.CORRECTION, Reason.EXPIRY) else "quiet"


def lots(items: Sequence[LotState], names: Mapping[str, str] | None = None) -> Table[LotState]:
    """Return the lots of a wallet in the order they are spent; `names` are those of rules."""
    return Table(
        name="lots",
        caption=mark("Lots, in the order they are spent"),
        columns=(
            Column(
                "kind",
                mark("Lot"),
                lambda one: one.lot.kind,
                Kind.WORD,
                tone=lambda one: "good" if one.lot.kind == "bonus" else "quiet",
            ),
            Column("rule", mark("Rule"), lambda one: (names or {}).get(one.rule, one.rule)),
            Column("came", mark("Came"), lambda one: one.lot.came_at, Kind.INSTANT, minor=True),
            Column("expires", mark("Expires"), lambda one: one.lot.expires_at, Kind.INSTANT),
            Column("amount", mark("Of"), lambda one: one.lot.amount_minor, Kind.MONEY, minor=True),
            Column("left", mark("Left"), lambda one: one.lot.remaining_minor, Kind.MONEY),
        ),
        items=items,
        empty=mark("There is no money in the wallet."),
    )


def charge_lines(
    items: Sequence[ChargeLineRow], explained_at: Callable[[ChargeLineRow], str]
) -> Table[ChargeLineRow]:
    """Return charge lines, each rounded once and leading to its explanation."""
    how: Column[ChargeLineRow] = Column("how", mark("Estimated"), estimated_text_of)
    return Table(
        name="charges",
        caption=mark("Charge lines"),
        columns=(
            Column(
                "month", mark("Month"), lambda one: Month.from_ordinal(one.charge_month), Kind.MONTH
            ),
            Column("service", mark("Service"), lambda one: one.service, Kind.WORD, minor=True),
            Column("zone", mark("What for"), line_name, link=explained_at),
            Column(
                "kind",
                mark("Kind"),
                lambda one: one.kind,
                Kind.WORD,
                tone=lambda one: "" if one.kind is LineKind.ORIGINAL else "warn",
                minor=True,
            ),
            Column("quantity", mark("Quantity"), quantity_text_of, Kind.TEXT),
            Column("rate", mark("Rate, ₽"), rate_of, Kind.RATE),
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
            *((how,) if any(one.estimated for one in items) else ()),
        ),
        items=items,
        empty=mark("Nothing was charged yet."),
        filterable=True,
    )


def line_name(line: ChargeLineRow) -> str:
    """Return what a line is for within its service: its zone and range, or the charge's name."""
    language = visit().language
    energy = line.charge is ChargeKind.ENERGY
    name = label_of(
        line.charge,
        name=name_of(line.detail, str(language)),
        zone=zone_of(line.line_key) if energy else "",
        range_number=range_of(line.line_key) if energy else 0,
        language=language,
    )
    return name or translate(word(line.service))


def quantity_text_of(line: ChargeLineRow) -> str:
    """Return the quantity of a line with its unit; of a share what it is a share of."""
    language = visit().language
    unit = unit_of(line.unit, line.service)
    quantity = quantity_text(line.charge, line.quantity, unit, language)
    if quantity and unit is LineUnit.MINOR:
        share = rate_text(line.charge, line.rate_scaled, unit, language)
        text = translate(mark("%(share)s of %(amount)s"))
        return text % {"share": share, "amount": amount_text(line.quantity, language)}
    return f"{quantity} {unit_text(line.charge, unit, language)}".strip()


def rate_of(line: ChargeLineRow) -> int | None:
    """Return the rate of a line in millionths of a rouble; None where there is no one rate."""
    priced = line.rate_scaled and line.unit is not LineUnit.MINOR
    return line.rate_scaled if priced else None


def estimated_text_of(line: ChargeLineRow) -> str:
    """Return how the part of a line that was not measured came about; empty where all was."""
    if not line.estimated:
        return ""
    language = visit().language
    used = used_estimates(line.detail)
    unit = unit_of(line.unit, line.service)
    quantity = quantity_text(line.charge, line.estimated, unit, language)
    amount = f"{quantity} {unit_text(line.charge, unit, language)}"
    if not used:
        return amount
    how = "; ".join(method_text(one, language) for one in used)
    return how if line.estimated == line.quantity else f"{amount}: {how}"


def documents(
    items: Sequence[ListedDocument], pdf_endpoint: str, *, with_account: bool
) -> Table[ListedDocument]:
    """Return a list of documents, each leading to its PDF."""
    columns: list[Column[ListedDocument]] = [
        Column(
            "number",
            mark("Document"),
            lambda one: one.number,
            link=lambda one: url_for(pdf_endpoint, number=one.number, **_of_page(pdf_endpoint)),
        ),
        Column("kind", mark("Kind"), lambda one: one.kind, Kind.WORD, tone=_document_tone),
        Column("month", mark("For"), lambda one: one.month, Kind.MONTH),
        Column("issued", mark("Issued"), lambda one: one.issued_on, Kind.DATE),
        Column("cancelled", mark("Cancelled by"), lambda one: one.cancelled_by, minor=True),
    ]
    if with_account:
        columns[1:1] = [
            Column(
                "account",
                mark("Account"),
                lambda one: one.account_number,
                link=lambda one: url_for("console.account", number=one.account_number),
            ),
            Column("payer", mark("Payer"), lambda one: one.payer_name, minor=True),
        ]
    return Table(
        name="documents",
        caption=mark("Documents"),
        columns=columns,
        items=items,
        empty=mark("No document was issued yet. They come with the close of a month."),
    )


def _of_page(endpoint: str) -> dict[str, Any]:
    if endpoint.startswith("account."):
        return {"account_number": (request.view_args or {})["number"]}
    return {}


def _document_tone(one: ListedDocument) -> str:
    if not one.live:
        return "bad"
    return {DocumentKind.RECEIPT: "good", DocumentKind.CANCELLATION: "warn"}.get(one.kind, "quiet")


def notices(items: Sequence[NoticeSummary]) -> Table[NoticeSummary]:
    """Return the notices to an account with the proof of their delivery."""
    tones = {"sent": "good", "failed": "warn", "given_up": "bad"}
    return Table(
        name="notices",
        caption=mark("Notices"),
        columns=(
            Column("created", mark("When"), lambda one: one.created_at, Kind.INSTANT),
            Column("subject", mark("Subject"), lambda one: one.subject),
            Column("recipient", mark("To"), lambda one: one.recipient, minor=True),
            Column(
                "state",
                mark("State"),
                lambda one: one.state,
                Kind.WORD,
                tone=lambda one: tones.get(str(one.state), "quiet"),
            ),
            Column("sent", mark("Sent"), lambda one: one.sent_at, Kind.INSTANT, minor=True),
        ),
        items=items,
        empty=mark("Nothing was sent to this account yet."),
    )


def meters(items: Sequence[ListedMeter]) -> Table[ListedMeter]:
    """Return the meters at a premises."""
    return Table(
        name="meters",
        caption=mark("Meters"),
        columns=(
            Column("serial", mark("Meter"), lambda one: one.serial),
            Column("model", mark("Model"), lambda one: one.model, minor=True),
            Column("point", mark("Metering point"), lambda one: one.point_code),
            Column("installed", mark("Installed"), lambda one: one.installed_on, Kind.DATE),
            Column("removed", mark("Removed"), lambda one: one.removed_on, Kind.DATE, minor=True),
            Column("verified", mark("Verified until"), lambda one: one.verified_until, Kind.DATE),
        ),
        items=items,
        empty=mark("No meter is registered at these premises."),
    )


def terms(items: Sequence[ListedTerm], language: Language) -> Table[ListedTerm]:
    """Return what held for an account from when on."""
    return Table(
        name="terms",
        caption=mark("Terms"),
        columns=(
            Column("from", mark("From"), lambda one: one.valid_from, Kind.DATE),
            Column("plan", mark("Plan"), lambda one: plan_name(one, language)),
            Column("settlement", mark("Settled"), lambda one: one.settlement, Kind.WORD),
            Column("measurement", mark("Metered"), lambda one: one.measurement, Kind.WORD),
        ),
        items=items,
    )


def runs(items: Sequence[Any], who: Callable[[str | None], str]) -> Table[Any]:
    """Return the billing runs."""
    tones = {RunState.DONE: "good", RunState.OPEN: "warn", RunState.FAILED: "bad"}
    return Table(
        name="runs",
        caption=mark("Billing runs"),
        columns=(
            Column("id", mark("Run"), lambda one: one.id, Kind.NUMBER),
            Column("month", mark("Month"), lambda one: one.month, Kind.MONTH),
            Column(
                "state",
                mark("State"),
                lambda one: one.state,
                Kind.WORD,
                tone=lambda one: tones[one.state],
            ),
            Column("charged", mark("Charged"), lambda one: one.charged, Kind.NUMBER),
            Column("documents", mark("Documents"), lambda one: one.documents, Kind.NUMBER),
            Column("started", mark("Started"), lambda one: one.started_at, Kind.INSTANT),
            Column("ended", mark("Ended"), lambda one: one.ended_at, Kind.INSTANT, minor=True),
            Column("actor", mark("By"), lambda one: who(one.actor), minor=True),
        ),
        items=items,
        empty=mark("No month was closed yet."),
    )


PlanWithVersions = tuple[Plan, Sequence[PublishedVersion]]


def plans(
    items: Sequence[PlanWithVersions], today: date, language: Language
) -> Table[PlanWithVersions]:
    """Return the tariff plans with what holds today."""

    def name(one: PlanWithVersions) -> str:
        return one[0].name if language is Language.RUSSIAN else one[0].name_en

    def holding(one: PlanWithVersions) -> TariffVersion | None:
        started = [v.version for v in one[1] if v.version.valid_from <= today]
        ended = started and started[0].prices_until is not None and today > started[0].prices_until
        return started[0] if started and not ended else None

    def rates(one: PlanWithVersions) -> str:
        version = holding(one)
        return "" if version is None else rates_text(version, today, language)

    def since(one: PlanWithVersions) -> date | None:
        version = holding(one)
        return None if version is None else version.rates_on(today).valid_from

    return Table(
        name="tariffs",
        caption=mark("Tariff plans"),
        columns=(
            Column(
                "name",
                mark("Plan"),
                name,
                link=lambda one: url_for("console.tariff", code=one[0].code),
            ),
            Column("code", mark("Code"), lambda one: one[0].code, minor=True),
            Column("rates", mark("Rates today, ₽ per kWh"), rates),
            Column("since", mark("Since"), since, Kind.DATE),
            Column("versions", mark("Versions"), lambda one: len(one[1]), Kind.NUMBER, minor=True),
        ),
        items=items,
        empty=mark("No tariff was published yet: kilokassa tariff publish FILE."),
    )


def rates_text(version: TariffVersion, day: date, language: Language) -> str:
    """Return the rates of a day in one line, by zone: from the lowest range to the highest."""
    if not version.charges.energy_by_zone:
        return translate(mark("of each hour"))
    ladder_scaled = version.rates_on(day).rates_scaled
    parts = []
    for place, zone in enumerate(version.zones):
        ends = sorted({pick(row[place] for row in ladder_scaled) for pick in (min, max)})
        shown = "–".join(tariff_rate_text(rate, language) for rate in ends)
        name = translate(word(zone)).lower()
        parts.append(shown if zone is Zone.ALL else f"{name} {shown}")
    return ", ".join(parts)


def prices(version: TariffVersion) -> Table[Any]:
    """Return the dated rates of a version: one row a date and range, one column a zone."""
    language = visit().language
    rungs = ladder(version, version.valid_from)
    rows = [
        (dated.valid_from, number, rates, dated.season)
        for dated in reversed(version.rates)
        for number, rates in enumerate(dated.rates_scaled, start=1)
    ]
    columns: list[Column[Any]] = [
        Column("from", mark("From"), lambda one: one[0], Kind.DATE),
    ]
    if version.rates[0].season:
        columns.append(Column("season", mark("Season"), lambda one: one[3]))
    if version.range_count > 1:
        columns.append(
            Column("range", mark("Range"), lambda one: rung_text(rungs[one[1] - 1], language))
        )
    for place, zone in enumerate(version.zones):
        columns.append(
            Column(
                str(zone),
                word(zone),
                lambda one, place=place: one[2][place],  # type: ignore[misc]
                Kind.RATE,
            )
        )
    return Table(
        name=f"prices-{version.valid_from}",
        caption=mark("Rates, ₽ per kWh, VAT included"),
        columns=columns,
        items=rows,
        export=False,
    )
