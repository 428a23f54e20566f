"""The report of a rehearsal for people: one body for the page, for a file and for a PDF."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup
from sqlalchemy.orm import Session

from billing.models import RehearsalRow
from billing.rehearsal import service, store
from billing.rehearsal.order import RehearsalOrder
from billing.rehearsal.picture import histogram_svg, months_svg
from billing.rehearsal.report import band_borders
from billing.store import retailer
from kilokassa.core.calendar import Month
from kilokassa.core.errors import Invalid
from kilokassa.core.quantity import kwh
from kilokassa.core.scope import Scope
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
from tariffs import store as tariffs_store
from tariffs.documents import parse_tariff
from tariffs.lines import CannotRate
from tariffs.rehearsal import CONFIDENCE_WORDS, Confidence, PriceBasis, share_ppm
from tariffs.store import Plan

SEGMENTS: Final = {
    "plan": mark("By plan"),
    "building": mark("By building"),
    "band": mark("By consumption a month"),
    "settlement": mark("By settlement"),
}
SETTLEMENTS: Final = {0: mark("Postpaid"), 1: mark("Prepaid")}
PRICES: Final = {
    PriceBasis.NEWEST: mark("today's prices against the new ones, over all months"),
    PriceBasis.OF_THE_TIME: mark("the prices of each month against the new ones"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """A finished rehearsal with all that its report shows."""

    rehearsal_id: int
    order: RehearsalOrder
    actor: str
    ended_at: datetime
    zone: ZoneInfo
    retailer: str
    figures: Mapping[str, Any]
    """As `billing.rehearsal.report` keeps it."""
    numbers: Mapping[int, str]
    """Of the accounts that the reader may see."""
    plans: Mapping[str, Plan]
    """By their codes, as they are called today."""


def load_report(session: Session, scope: Scope, rehearsal_id: int) -> Report:
    """Return the report of a rehearsal; refuse one that is not finished."""
    row = store.rehearsal(session, scope, rehearsal_id)
    if row.ended_at is None or not row.result:
        raise Invalid(
            where=mark("rehearsal"), problem=mark("it is not finished yet; go on with it first")
        )
    figures = json.loads(row.result)
    named = [one[0] for one in (*figures["winners"], *figures["losers"])]
    named += [account_id for one in figures["refused"] for account_id in one["account_ids"]]
    made_for = retailer(session)
    return Report(
        rehearsal_id=row.id,
        order=RehearsalOrder.from_json(row.order),
        actor=row.actor,
        ended_at=row.ended_at,
        zone=ZoneInfo(made_for.zone),
        retailer=made_for.name,
        figures=figures,
        numbers=store.numbers_in_scope(session, scope, named),
        plans={plan.code: plan for plan in tariffs_store.plans(session)},
    )


def report_body(
    report: Report, language: Language, account_url: Callable[[str], str] | None = None
) -> Markup:
    """Return the report as a part of a page; accounts are linked where an address is given."""
    template = _templates().get_template("rehearsal_report.html")
    text = template.render(_values(report, language) | {"account_url": account_url})
    return Markup(text)  # noqa: S704 - the template escapes


def report_page(report: Report, language: Language) -> str:
    """Return the report as a file of its own that a browser opens and prints."""
    template = _templates().get_template("rehearsal_file.html")
    return template.render(
        _values(report, language) | {"body": report_body(report, language), "language": language}
    )


def report_pdf(report: Report, language: Language) -> bytes:
    """Return the same as a PDF."""
    from invoices.render import pdf_of_page

    return pdf_of_page(report_page(report, language))


def report_csv(session: Session, scope: Scope, rehearsal_id: int, language: Language) -> bytes:
    """Return what each account came to as a CSV file, for a spreadsheet of the language."""
    row: RehearsalRow = store.rehearsal(session, scope, rehearsal_id)
    order = RehearsalOrder.from_json(row.order)
    outcome = service.outcome_of(session, rehearsal_id, len(order.months))
    numbers = store.numbers_in_scope(session, scope, outcome.account_ids.tolist())
    russian = language is Language.RUSSIAN
    say = partial(gettext, language=language)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";" if russian else ",")
    writer.writerow([say(title) for title in _COLUMNS])

    def exact(value: int, digits: int) -> str:
        shown = str(Decimal(value).scaleb(-digits))
        return shown.replace(".", ",") if russian else shown

    columns = zip(
        outcome.account_ids.tolist(),
        outcome.energy_wh.tolist(),
        outcome.measured_ppm.tolist(),
        outcome.old_minor.sum(axis=1).tolist(),
        outcome.new_minor.sum(axis=1).tolist(),
        strict=True,
    )
    for account_id, energy_wh, measured_ppm, old, new in columns:
        if account_id in numbers:
            writer.writerow(
                [
                    numbers[account_id],
                    exact(energy_wh, 3),
                    exact(measured_ppm, 4),
                    exact(old, 2),
                    exact(new, 2),
                    exact(new - old, 2),
                ]
            )
    # The mark tells spreadsheets that the text is UTF-8.
    return ("\ufeff" + text.getvalue()).encode()


_COLUMNS: Final = (
    mark("Account"),
    mark("kWh"),
    mark("Measured, %"),
    mark("Now, ₽"),
    mark("New tariff, ₽"),
    mark("Difference, ₽"),
)


def report_json(report: Report) -> dict[str, Any]:
    """Return the report for a program: money in kopecks, shares in millionths."""
    figures = report.figures
    return {
        "rehearsal": report.rehearsal_id,
        "name": report.order.name,
        "first_month": str(report.order.first),
        "last_month": str(report.order.last),
        "prices": str(report.order.prices),
        **{key: value for key, value in figures.items() if key not in {"winners", "losers"}},
        **{side: _named(report, side) for side in ("winners", "losers")},
        "refused": [
            {
                "reason": str(CannotRate(**one["values"])),
                "count": one["count"],
                "accounts": [
                    report.numbers[account_id]
                    for account_id in one["account_ids"]
                    if account_id in report.numbers
                ],
            }
            for one in figures["refused"]
        ],
    }


def _named(report: Report, side: str) -> list[dict[str, Any]]:
    return [
        {
            "account": report.numbers[account_id],
            "old_minor": old,
            "new_minor": new,
            "difference_minor": new - old,
        }
        for account_id, old, new in report.figures[side]
        if account_id in report.numbers
    ]


def _tried(report: Report, language: Language) -> list[tuple[str, str, str]]:
    """Return each plan, what its accounts were tried on, and of a document its first day."""

    def called(code: str) -> str:
        plan = report.plans.get(code)
        if plan is None:
            return code
        return plan.name if language is Language.RUSSIAN else plan.name_en

    tried = []
    for one in report.order.changes:
        if one.to_plan:
            tried.append((called(one.plan_code), called(one.to_plan), ""))
            continue
        version = parse_tariff(one.document)
        name = version.name if language is Language.RUSSIAN else version.name_en
        since = date_text(version.valid_from, language)
        tried.append((called(one.plan_code), name or version.plan_code, since))
    return tried


def _values(report: Report, language: Language) -> dict[str, Any]:
    """Return what the templates show, with the filters' language bound."""
    figures = report.figures
    say = partial(gettext, language=language)
    old, new = figures["figures"]["old_minor"], figures["figures"]["new_minor"]
    months = [(f"{month[5:]}.{month[2:4]}", was, will) for month, was, will in figures["months"]]
    return {
        "_": say,
        "report": report,
        "order": report.order,
        "tried": _tried(report, language),
        "figures": figures["figures"],
        "difference_minor": new - old,
        "difference_ppm": share_ppm(new - old, old),
        "by_rates_minor": figures["by_rates_minor"],
        "vat_minor": figures["vat_minor"],
        "energy_wh": figures["energy_wh"],
        "measured_ppm": figures["measured_ppm"],
        "months": [(Month.parse(month), was, will) for month, was, will in figures["months"]],
        "segments": [
            (say(title), [_segment(kind, one, language) for one in figures["segments"][kind]])
            for kind, title in SEGMENTS.items()
        ],
        "confidence": [
            (say(CONFIDENCE_WORDS[one]), figures["confidence"][one]) for one in Confidence
        ],
        "winners": _named(report, "winners"),
        "losers": _named(report, "losers"),
        "refused": [
            (CannotRate(**one["values"]).sentence(say), one["count"]) for one in figures["refused"]
        ],
        "prices": say(PRICES[report.order.prices]),
        "ended": instant_text(report.ended_at, report.zone, language),
        "histogram": Markup(  # noqa: S704 - numbers and escaped words
            histogram_svg(
                figures["histogram"],
                say(mark("Accounts by the change of what they pay, %")),
                say(mark("Left of the middle they pay less, right of it more.")),
            )
        ),
        "months_plot": Markup(  # noqa: S704 - numbers and escaped words
            months_svg(
                months,
                say(mark("What each month comes to")),
                say(mark("Two bars a month: now, and on the new tariff.")),
                (say(mark("now")), say(mark("on the new tariff"))),
            )
        ),
        "money": partial(amount_text, language=language),
        "signed": partial(_signed, language=language),
        "change": partial(_change, language=language),
        "number": partial(number_text, language=language),
        "percent": partial(_percent, language=language),
        "month": partial(month_text, language=language),
        "energy": lambda wh: number_text(kwh(wh), language, decimals=0),
    }


def _segment(kind: str, one: Mapping[str, Any], language: Language) -> dict[str, Any]:
    say = partial(gettext, language=language)
    name = one["ru"] if language is Language.RUSSIAN else one["en"]
    if kind == "band":
        low, high = band_borders(one["key"])
        name = (
            say(mark("above %(low)s kWh")) % {"low": low}
            if high is None
            else say(mark("%(low)s to %(high)s kWh")) % {"low": low, "high": high}
        )
    if kind == "settlement":
        name = say(SETTLEMENTS[one["key"]])
    difference = one["new_minor"] - one["old_minor"]
    return dict(one) | {
        "name": name,
        "difference_minor": difference,
        "difference_ppm": share_ppm(difference, one["old_minor"]),
    }


def change_text(old_minor: int, new_minor: int, language: Language) -> str:
    """Return by how much a sum changes, in roubles and per cent."""
    difference = new_minor - old_minor
    share = _change(share_ppm(difference, old_minor), language)
    return f"{_signed(difference, language)} ({share})"


def _signed(minor: int, language: Language) -> str:
    return "+" * (minor > 0) + amount_text(minor, language)


def _change(ppm: int | None, language: Language, decimals: int = 1) -> str:
    return "+" * ((ppm or 0) > 0) + _percent(ppm, language, decimals)


def _percent(ppm: int | None, language: Language, decimals: int = 1) -> str:
    if ppm is None:
        return "—"
    gap = "\u00a0" if language is Language.RUSSIAN else ""
    return number_text(Decimal(ppm).scaleb(-4), language, decimals=decimals) + gap + "%"


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(str(files("kilokassa.app"))) / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
