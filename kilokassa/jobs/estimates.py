"""Commands about estimates: list, run, norms import."""

from pathlib import Path

import click

from kilokassa.core.calendar import Month
from kilokassa.core.quantity import kwh
from kilokassa.core.text import mark
from kilokassa.jobs.console import (
    FINDINGS,
    Console,
    MonthType,
    emit,
    existing_file,
    json_option,
    pass_console,
)


@click.group()
def estimates() -> None:
    """Values that stand in for what was not measured.

    Example: kilokassa estimates run --month 2026-10
    """


@estimates.command("list")
@click.option("--month", type=MonthType(), required=True, help="The month charged by them.")
@click.option("--building", default="", help="Only the house with this code.")
@click.option("--replaced", is_flag=True, help="With those that a real value replaced.")
@json_option
@pass_console
def list_estimates(
    console: Console, month: Month, building: str, replaced: bool, as_json: bool
) -> None:
    """List the estimates of a month: where, how much, by which method, and what follows.

    Example: kilokassa estimates list --month 2026-10 --json
    """
    from billing.wording import METHODS, method_text
    from kilokassa.app.estimating import estimate_lines, rule_chain

    application = console.installed
    with application.database.reading() as session:
        lines = estimate_lines(
            session,
            console.scope,
            rule_chain(application.settings.estimation_rules),
            month=month,
            building_code=building,
            replaced=replaced,
        )
    if as_json:
        emit(
            [
                {
                    "building": line.listed.building_code,
                    "premises": line.listed.premises_number,
                    "account": line.account_number,
                    "point": line.listed.point_code,
                    "method": line.estimate.method,
                    "rule": line.estimate.rule,
                    "starts_at": line.estimate.period.start,
                    "ends_at": line.estimate.period.end,
                    "quantity_kwh": kwh(line.quantity_wh),
                    "periods_in_a_row": line.period_number,
                    "next_method": line.next_method,
                    "replaced_at": line.estimate.replaced_at,
                }
                for line in lines
            ]
        )
        return
    for line in lines:
        parts = [
            line.listed.point_code,
            f"{kwh(line.quantity_wh)} {console.text(mark('kWh'))}",
            method_text(line.used, console.language),
        ]
        if line.next_method is not None:
            following = console.text(METHODS[line.next_method])
            parts.append(console.text(mark("next month: %(method)s"), method=following))
        if line.replaced:
            parts.append(console.text(mark("replaced")))
        click.echo("  ".join(parts))
    console.say(mark("Estimates: %(count)s"), count=len(lines))


@estimates.command("run")
@click.option("--month", type=MonthType(), required=True, help="The month to make whole.")
@click.option("--account", help="Only the account with this number.")
@json_option
@pass_console
def run(console: Console, month: Month, account: str | None, as_json: bool) -> int:
    """Estimate what a month misses; replace estimates by what was read since; repeat at will.

    The close of a month does the same first. The exit code is 3 where something stays missing
    because no rule has what it needs.

    Example: kilokassa estimates run --month 2026-10
    """
    from billing import store as billing_store
    from kilokassa.app.estimating import run_estimates
    from kilokassa.core.ids import AccountId

    application = console.installed
    ids = None
    if account is not None:
        with application.database.reading() as session:
            row = billing_store.account_by_number(session, console.scope, account)
            ids = [AccountId(row.id)]
    with console.progress(mark("accounts")) as progress:
        report = run_estimates(
            application, month, scope=console.scope, account_ids=ids, progress=progress
        )
    if as_json:
        emit(
            {
                "month": month,
                "registers": report.registers,
                "gaps": report.gaps,
                "quantity_kwh": kwh(report.quantity_wh),
                "replaced": report.replaced,
                "left": [{"point": point, "trigger": trigger} for point, trigger in report.left],
            }
        )
    else:
        console.say(
            mark(
                "%(month)s: %(registers)s readings and %(gaps)s gaps estimated, %(energy)s kWh; "
                "%(replaced)s estimates replaced by what was read."
            ),
            month=month,
            registers=report.registers,
            gaps=report.gaps,
            energy=kwh(report.quantity_wh),
            replaced=report.replaced,
        )
        for point, _ in report.left:
            console.say(mark("  %(point)s: no rule has what it needs"), point=point)
    return FINDINGS if report.left else 0


@estimates.group("norms")
def norms() -> None:
    """Consumption norms, by which a flat is charged in the end.

    Example: kilokassa estimates norms import norms.csv
    """


@norms.command("import")
@click.argument("file", type=existing_file(), required=False)
@click.option("--published", is_flag=True, help="The published norms that come with the product.")
@json_option
@pass_console
def import_norms(console: Console, file: Path | None, published: bool, as_json: bool) -> None:
    """Load consumption norms from FILE (CSV), again and again without harm.

    A house is charged by the norms of its `norm_code`. The format: docs/reference/norms-csv.md.

    Example: kilokassa estimates norms import --published
    """
    from kilokassa.app.estimating import load_norms
    from metering.estimation.norms_file import packaged_norms, parse_norms

    if (file is None) != published:
        raise click.UsageError(console.text(mark("Give a file, or --published.")))
    wanted = packaged_norms() if file is None else parse_norms(file.read_text("utf-8"))
    new, changed = load_norms(console.installed, wanted, scope=console.scope)
    count = sum(len(of_commodity) for of_commodity in wanted.values())
    if as_json:
        emit({"norms": count, "new": new, "changed": changed})
        return
    console.say(
        mark("%(count)s norms: %(new)s new, %(changed)s changed."),
        count=count,
        new=new,
        changed=changed,
    )


@click.command("price-split")
@click.argument("split", type=click.Choice(["reading", "days"]), required=False)
@json_option
@pass_console
def price_split(console: Console, split: str | None, as_json: bool) -> None:
    """Say or set how a price change between two readings of a register is told apart.

    reading: by a reading taken where the price changed, by days where there is none; days: by days
    always. It holds for months closed from now on, and for corrections of earlier ones.

    Example: kilokassa price-split days
    """
    from kilokassa.app.estimating import set_price_split

    stands = set_price_split(console.installed, split, scope=console.scope)
    if as_json:
        emit({"price_split": stands})
    else:
        console.say(
            mark("A price change between two readings is split by: %(split)s"), split=stands
        )


COMMANDS = (estimates, price_split)
