"""Commands: compare the plans open to an account, change its plan, rehearse a tariff."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kilokassa.core.calendar import Month
from kilokassa.core.ids import AccountId
from kilokassa.core.text import amount_text, mark, month_text, number_text
from kilokassa.jobs.console import Console, MonthType, emit, json_option, pass_console

if TYPE_CHECKING:
    from billing.comparison.comparison import Comparison
    from billing.rehearsal.order import Change


@click.command()
@click.argument("account")
@click.option("--months", type=click.IntRange(1, 36), default=12, help="How many months.")
@click.option("--last", type=MonthType(), help="The last of them; without it, the last one over.")
@click.option(
    "--shift", type=click.IntRange(0, 100), default=20, help="Per cent of the evening to move."
)
@json_option
@pass_console
def compare(
    console: Console, account: str, months: int, last: Month | None, shift: int, as_json: bool
) -> None:
    """Price the last months of ACCOUNT on every plan open to it; write nothing.

    Example: kilokassa compare 2799000004 --months 12
    """
    from billing.comparison.service import compare as price
    from billing.store import account_by_number, retailer_zone
    from kilokassa.core.calendar import local_date

    application = console.installed
    with application.database.reading() as session:
        row = account_by_number(session, console.scope, account)
        today = local_date(application.clock.now(), retailer_zone(session))
        found = price(
            session,
            console.scope,
            AccountId(row.id),
            last or Month.of(today).plus(-1),
            months=months,
            shift_percent=shift,
        )
    if as_json:
        emit(comparison_json(found) | {"account": account})
        return
    _say_comparison(console, account, found)


def comparison_json(found: "Comparison") -> dict[str, Any]:
    """Return a comparison for a program: money in kopecks."""
    return {
        "first_month": str(found.first),
        "last_month": str(found.last),
        "current": found.current,
        "confidence": str(found.confidence),
        "measured_ppm": found.measured_ppm,
        "energy_wh": found.energy_wh,
        "best": found.best.plan.code if found.advises and found.best else None,
        "saving_minor": found.saving_minor if found.advises else None,
        "shift_percent": found.shift_percent,
        "plans": [
            {
                "plan": cost.plan.code,
                "cost_minor": cost.cost_minor,
                "before_discounts_minor": cost.by_rates_minor,
                "shift_gain_minor": cost.shift_gain_minor,
                "never_dearer_than": cost.guarantee or None,
                "first_prices_taken": cost.first_prices_taken,
            }
            for cost in found.costs
        ],
        "refused": [{"plan": plan.code, "reason": str(why)} for plan, why in found.refused],
    }


def _say_comparison(console: Console, account: str, found: "Comparison") -> None:
    from kilokassa.core.quantity import kwh
    from tariffs.rehearsal import CONFIDENCE_WORDS

    language = console.language
    console.say(
        mark("Account %(account)s, %(first)s to %(last)s, %(energy)s kWh:"),
        account=account,
        first=month_text(found.first, language),
        last=month_text(found.last, language),
        energy=number_text(kwh(found.energy_wh), language, decimals=0),
    )
    for cost in found.costs:
        name = cost.plan.name if language == "ru" else cost.plan.name_en
        own = " *" if cost.plan.code == found.current else ""
        click.echo(f"  {amount_text(cost.cost_minor, language):>16}  {name}{own}")
        if cost.shift_gain_minor is not None:
            saved = console.text(
                mark("moving %(share)s%% of the evening saves %(amount)s"),
                share=found.shift_percent,
                amount=amount_text(cost.shift_gain_minor, language),
            )
            click.echo(f"{'':20}{saved}")
    for _, why in found.refused:
        click.echo(f"  — {console.sentence(why)}")
    console.say(
        mark("Confidence: %(words)s."), words=console.text(CONFIDENCE_WORDS[found.confidence])
    )
    if found.advises and found.saving_minor and found.best:
        best = found.best.plan
        console.say(
            mark("The plan %(plan)s would have saved %(amount)s."),
            plan=best.name if language == "ru" else best.name_en,
            amount=amount_text(found.saving_minor, language),
        )
    elif found.advises:
        console.say(
            mark("The account has the cheapest plan.")
            if len(found.costs) > 1
            else mark("No other plan is open to this account.")
        )


@click.command("choose-plan")
@click.argument("account")
@click.argument("plan")
@json_option
@pass_console
def choose_plan(console: Console, account: str, plan: str, as_json: bool) -> None:
    """Let ACCOUNT have another PLAN from the first of the next month; its own one withdraws that.

    Example: kilokassa choose-plan 2799000004 three_zone
    """
    from billing.comparison.service import choose_plan as choose
    from billing.store import account_by_number

    application = console.installed
    with application.database.writing() as session:
        row = account_by_number(session, console.scope, account)
        choice = choose(session, console.scope, AccountId(row.id), plan, application.clock)
    if as_json:
        emit(
            {
                "account": account,
                "plan": choice.current.code,
                "next_plan": choice.pending.code if choice.pending else None,
                "from": choice.pending_from,
            }
        )
    elif choice.pending is None:
        console.say(mark("The account %(account)s keeps its plan."), account=account)
    else:
        russian = console.language == "ru"
        console.say(
            mark("The account %(account)s has the plan %(plan)s from %(day)s."),
            account=account,
            plan=choice.pending.name if russian else choice.pending.name_en,
            day=choice.pending_from,
        )


@click.command()
@click.option("--plan", "plans", multiple=True, help="The plan whose accounts are tried; repeat.")
@click.option("--with", "targets", multiple=True, help="A tariff document, or a plan's code.")
@click.option("--months", "span", help="Such as 2025-11..2026-10; without it, the last twelve.")
@click.option("--name", default="", help="What the rehearsal is called.")
@click.option("--building", default="", help="Only accounts of the building with this code.")
@click.option("--company", default="", help="Only accounts of this management company's buildings.")
@click.option(
    "--prices",
    type=click.Choice(["newest", "of_the_time"]),
    default="newest",
    show_default=True,
    help="What the present tariff is priced by: today's prices, or those of each month.",
)
@click.option("--go-on", type=int, help="Go on with the rehearsal of this number.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="html, pdf, json, csv."
)
@json_option
@pass_console
def rehearse(
    console: Console,
    plans: Sequence[str],
    targets: Sequence[str],
    span: str | None,
    name: str,
    building: str,
    company: str,
    prices: str,
    go_on: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Say what accounts would have paid on another tariff; nothing is posted.

    Each --plan goes with the --with in the same place: the file of a tariff document, published or
    not, or the code of another plan. Interrupted, it goes on by --go-on.

    Example: kilokassa rehearse --plan three_zone --with new.yaml --months 2025-11..2026-10
    """
    from billing.rehearsal.order import RehearsalOrder, months_from
    from billing.store import retailer_zone
    from kilokassa.app import rehearsing
    from kilokassa.app.rehearsal_report import load_report, report_json
    from kilokassa.core.calendar import local_date
    from tariffs.rehearsal import PriceBasis

    if out is not None and out.suffix not in {".html", ".pdf", ".json", ".csv"}:
        raise click.UsageError("--out: html, pdf, json, csv")
    application = console.installed
    if go_on is None:
        if len(plans) != len(targets) or not plans:
            raise click.UsageError("--plan, --with: one of each, in the same order")
        with application.database.reading() as session:
            today = local_date(application.clock.now(), retailer_zone(session))
        over = Month.of(today).plus(-1)
        first, last = (over.plus(-11), over) if span is None else months_from(span)
        changes = tuple(_change(*pair) for pair in zip(plans, targets, strict=True))
        title = name or ", ".join(f"{one.plan_code} → {one.target}" for one in changes)
        order = RehearsalOrder(title, changes, first, last, PriceBasis(prices), building, company)
        go_on = rehearsing.begin(application, order, scope=console.scope)
    with console.progress(mark("accounts")) as progress:
        rehearsing.go_on(application, go_on, scope=console.scope, progress=progress)
    with application.database.reading() as session:
        report = load_report(session, console.scope, go_on)
        if out is not None:
            _write(console, session, report, out)
    if as_json:
        emit(report_json(report))
        return
    _say_report(console, report)
    if out is not None:
        console.say(mark("The report is in %(file)s."), file=out)


def _change(plan: str, target: str) -> "Change":
    from billing.rehearsal.order import Change
    from kilokassa.app.rate_files import read_tariff_text

    path = Path(target)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return Change(plan, document=read_tariff_text(path))
    return Change(plan, to_plan=target)


def _write(console: Console, session: Any, report: Any, out: Path) -> None:  # noqa: ANN401
    import json

    from kilokassa.app import rehearsal_report as made

    language = console.language
    match out.suffix:
        case ".html":
            out.write_text(made.report_page(report, language), encoding="utf-8")
        case ".pdf":
            out.write_bytes(made.report_pdf(report, language))
        case ".csv":
            out.write_bytes(made.report_csv(session, console.scope, report.rehearsal_id, language))
        case _:
            text = json.dumps(made.report_json(report), ensure_ascii=False, indent=2)
            out.write_text(text + "\n", encoding="utf-8")


def _say_report(console: Console, report: Any) -> None:  # noqa: ANN401
    from kilokassa.app.rehearsal_report import change_text

    language, figures = console.language, report.figures["figures"]
    console.say(
        mark(
            "Rehearsal %(number)s: %(accounts)s accounts pay %(old)s now, %(new)s then: %(change)s."
        ),
        number=report.rehearsal_id,
        accounts=figures["accounts"],
        old=amount_text(figures["old_minor"], language),
        new=amount_text(figures["new_minor"], language),
        change=change_text(figures["old_minor"], figures["new_minor"], language),
    )
    console.say(
        mark("Less: %(winners)s accounts, %(won)s. More: %(losers)s accounts, %(lost)s."),
        winners=figures["winners"],
        won=amount_text(figures["won_minor"], language),
        losers=figures["losers"],
        lost=amount_text(figures["lost_minor"], language),
    )
    from tariffs.lines import CannotRate

    for one in report.figures["refused"]:
        click.echo(f"  — {console.sentence(CannotRate(**one['values']))} ({one['count']})")


COMMANDS = (compare, choose_plan, rehearse)
