"""The command that explains a charge line: explain."""

from typing import Any
from zoneinfo import ZoneInfo

import click

from kilokassa.core.calendar import Month
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.quantity import kwh
from kilokassa.core.text import amount_text, date_text, instant_text, mark, month_text, number_text
from kilokassa.jobs.console import FINDINGS, Console, MonthType, emit, json_option, pass_console

WIDTH = 78
DIGEST_SHOWN = 12


@click.command("explain")
@click.argument("line", type=click.IntRange(min=1), required=False)
@click.option("--account", help="List the charge lines of the account with this number instead.")
@click.option("--month", type=MonthType(), help="Of the list: only the document of this month.")
@click.option("--intervals", is_flag=True, help="With every interval the line is made of.")
@json_option
@pass_console
def explain(
    console: Console,
    line: int | None,
    account: str | None,
    month: Month | None,
    intervals: bool,
    as_json: bool,
) -> int:
    """Explain the charge line with the number LINE: its sum, its readings, and a replay.

    The line is computed again from what was known when it was charged. The exit code is 3 where the
    same does not come about. Numbers of lines: --account.

    Example: kilokassa explain 1024 --intervals
    """
    if (line is None) == (account is None):
        raise click.UsageError(console.text(mark("Give the number of a line, or --account.")))
    if account is not None:
        return _list(console, account, month, as_json=as_json)
    assert line is not None
    from billing.explanation.explanation import Verdict
    from billing.explanation.service import explain_charge_line

    with console.installed.database.reading() as session:
        found = explain_charge_line(session, console.scope, line)
    if as_json:
        emit(_plain(found, str(console.language), intervals=intervals))
    else:
        _tell(console, found, intervals=intervals)
    return 0 if found.replay.verdict in {Verdict.SAME, Verdict.NOT_RECORDED} else FINDINGS


def _list(console: Console, account: str, month: Month | None, *, as_json: bool) -> int:
    from billing import store
    from billing.charges import name_of, range_of, zone_of
    from invoices.line_words import SERVICES, label_of
    from kilokassa.core.ids import AccountId
    from tariffs.lines import ChargeKind

    with console.installed.database.reading() as session:
        row = store.account_by_number(session, console.scope, account)
        lines = store.charge_lines_of(session, console.scope, AccountId(row.id), month)
    if as_json:
        emit(
            [
                {
                    "line": one.id,
                    "charge_month": Month.from_ordinal(one.charge_month),
                    "service": one.service,
                    "kind": one.kind,
                    "line_key": one.line_key,
                    "amount_minor": one.amount_minor,
                }
                for one in lines
            ]
        )
        return 0
    for one in lines:
        energy = one.charge is ChargeKind.ENERGY
        named = label_of(
            one.charge,
            name=name_of(one.detail, str(console.language)),
            zone=zone_of(one.line_key) if energy else "",
            range_number=range_of(one.line_key) if energy else 0,
            language=console.language,
        )
        service = console.text(SERVICES[one.service])
        charged = Month.from_ordinal(one.charge_month)
        amount = amount_text(one.amount_minor, console.language)
        click.echo(f"{one.id:>8}  {charged}  {service}{', ' * bool(named)}{named}  {amount}")
    return 0


def _plain(found: Any, language: str, *, intervals: bool) -> dict[str, Any]:  # noqa: ANN401
    """Return an explanation as one JSON value, money as whole kopecks."""
    line, exact = found.line, found.sum.exact_minor
    value = {
        "line": found.line_id,
        "account": found.account_number,
        "charge_month": found.charge_month,
        "document_month": found.document_month,
        "service": line.service,
        "kind": line.kind,
        "charge": line.charge,
        "line_key": line.key,
        "name": found.name(language),
        "quantity": line.quantity,
        "unit": line.unit,
        "rate": rate_from_scaled(line.rate_scaled),
        "share": str(found.sum.share),
        "exact_minor": f"{exact.numerator}/{exact.denominator}",
        "amount_minor": line.amount_minor,
        "period": [line.period_start, line.period_end],
        "version": None if found.version is None else found.version.digest,
        "steps": [
            {"kind": step.kind, "about": dict(step.about), "value": step.value, "unit": step.unit}
            for step in found.steps
        ],
        "days": [
            {"point": d.point_code, "day": d.day, "revision": d.revision, "digest": d.digest}
            for d in found.days
        ],
        "known_at": found.known_at,
        "input_digest": line.input_digest,
        "digest": found.digest,
        "replay": {
            "verdict": found.replay.verdict,
            "amount_minor": found.replay.amount_minor,
            "input_digest": found.replay.input_digest,
        },
    }
    if intervals:
        value["intervals"] = [
            {
                "start": part.start,
                "energy_wh": part.energy_wh,
                "price": rate_from_scaled(part.price_scaled),
            }
            for part in found.intervals
        ]
    return value


def _tell(console: Console, found: Any, *, intervals: bool) -> None:  # noqa: ANN401
    """Write an explanation that a clerk can follow with a calculator."""
    from billing.explanation.wording import (
        change_said,
        line_title,
        step_said,
        sum_text,
        verdict_text,
    )

    language, zone = console.language, ZoneInfo(found.zone)
    console.say(
        mark("Line %(line)s, account %(account)s, %(month)s: %(title)s"),
        line=found.line_id,
        account=found.account_number,
        month=month_text(found.charge_month, language),
        title=line_title(found, language),
    )
    if found.version is not None:
        console.say(
            mark("  Tariff %(plan)s of %(day)s, revision %(revision)s, digest %(digest)s"),
            plan=found.version.plan_code,
            day=date_text(found.version.valid_from, language),
            revision=found.version.revision,
            digest=found.version.digest[:DIGEST_SHOWN],
        )
    for step in found.steps:
        said = step_said(step, language, zone)
        click.echo(f"  {said.text} {said.value:>{max(1, WIDTH - len(said.text))}}")
    for number, part in enumerate(sum_text(found.sum, found.line.charge, language)):
        click.echo(f"  {part}" if number else f"\n  {part}")
    if found.before is not None:
        console.say(mark("  It answers line %(line)s."), line=found.before.line_id)
    for change in found.changes:
        name, was, now = change_said(change, found, language, zone)
        click.echo(f"    {name}: {was or '—'} → {now or '—'}")
    if found.days:
        console.say(mark("\n  Days of readings as they were known:"))
    unit = console.text(mark("kWh"))
    for day in found.days:
        energy = number_text(kwh(day.energy_wh), language, decimals=3)
        revision = console.text(mark("revision %(number)s"), number=day.revision)
        text = f"{date_text(day.day, language):>11}  {day.point_code}  {revision}"
        click.echo(f"    {text}  {day.digest[:DIGEST_SHOWN]}  {energy:>9} {unit}")
    if intervals and found.intervals:
        console.say(mark("\n  Intervals:"))
        for part in found.intervals:
            energy = number_text(kwh(part.energy_wh), language, decimals=3)
            price = number_text(rate_from_scaled(part.price_scaled), language)
            at = instant_text(part.start, zone, language)
            click.echo(f"    {at}  {energy:>9} {unit}" + f" × {price}" * bool(part.price_scaled))
    click.echo(f"\n  {verdict_text(found, language)}")
    console.say(mark("  Digest %(digest)s"), digest=found.digest)


COMMANDS = (explain,)
