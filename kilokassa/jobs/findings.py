"""Commands about findings: list, accept, reopen, check."""

import click

from kilokassa.core.calendar import Month
from kilokassa.core.text import mark
from kilokassa.jobs.console import FINDINGS, Console, MonthType, emit, json_option, pass_console
from metering.findings.finding import FindingKind, FindingState

LISTED = 50


@click.group()
def findings() -> None:
    """What looks wrong in readings: a queue that people work through.

    Example: kilokassa findings list --kind register_differs
    """


@findings.command("list")
@click.option(
    "--state",
    type=click.Choice([*(str(state) for state in FindingState), "all"]),
    default="open",
    help="What became of them.",
)
@click.option("--kind", type=click.Choice([str(kind) for kind in FindingKind]), help="Of one kind.")
@click.option("--building", default="", help="Code of a building.")
@click.option("--point", default="", help="Code of a metering point.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=LISTED, help="At most so many.")
@json_option
@pass_console
def list_findings(
    console: Console,
    state: str,
    kind: str | None,
    building: str,
    point: str,
    limit: int,
    as_json: bool,
) -> None:
    """List findings, what matters most first.

    Example: kilokassa findings list --building KHV-1 --json
    """
    from metering.findings.store import FindingFilter, count_by_kind, find_findings

    wished = FindingFilter(
        state=None if state == "all" else FindingState(state),
        kind=None if kind is None else FindingKind(kind),
        building_code=building,
        point_code=point,
    )
    with console.installed.database.reading() as session:
        found = find_findings(session, console.scope, wished, limit=limit)
        counts = count_by_kind(session, console.scope, wished)
    total = sum(counts.values()) if wished.kind is None else counts.get(wished.kind, 0)

    if as_json:
        emit(
            {
                "total": total,
                "findings": [
                    {
                        "id": one.id,
                        "kind": one.finding.kind,
                        "point": one.finding.point_code,
                        "building": one.building_code,
                        "period_start": one.finding.period.start,
                        "period_end": one.finding.period.end,
                        "text": console.finding(one.finding),
                        "state": one.state,
                        "closed_by": one.closed_by,
                        "closed_at": one.closed_at,
                        "note": one.note,
                    }
                    for one in found
                ],
            }
        )
        return
    for one in found:
        closed = f"  [{one.closed_by}]" if one.closed_by else ""
        click.echo(f"{one.id:>7}  {console.finding(one.finding)}{closed}")
    console.say(mark("Shown %(shown)s of %(total)s."), shown=len(found), total=total)


@findings.command("accept")
@click.argument("ids", nargs=-1, type=click.IntRange(min=1), required=True)
@click.option("--note", required=True, help="Why the readings may stay as they are.")
@json_option
@pass_console
def accept(console: Console, ids: tuple[int, ...], note: str, as_json: bool) -> int:
    """Accept the findings IDS: a person looked, and the readings stay as they are.

    One that somebody closed before is told with who did so; then the exit code is 3.

    Example: kilokassa findings accept 17 18 --note "checked with the customer"
    """
    from metering.findings.service import AcceptOrder, accept_findings

    application = console.installed
    order = AcceptOrder(ids, note, console.scope)
    with application.database.writing() as session:
        done = accept_findings(session, order, application.clock)
    if as_json:
        emit(
            {
                "accepted": list(done.accepted),
                "closed_before": [
                    {"id": one.id, "state": one.state, "closed_by": one.closed_by}
                    for one in done.closed_before
                ],
            }
        )
    else:
        console.say(mark("Accepted: %(count)s."), count=len(done.accepted))
        for one in done.closed_before:
            console.say(
                mark("Finding %(id)s was closed already by %(who)s."),
                id=one.id,
                who=one.closed_by or "",
            )
    return FINDINGS if done.closed_before else 0


@findings.command("reopen")
@click.argument("finding_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--note", default="", help="Why it has to be looked at again.")
@pass_console
def reopen(console: Console, finding_id: int, note: str) -> None:
    """Open an accepted finding again; who had accepted it, and why, stays with it.

    Example: kilokassa findings reopen 17 --note "the meter was not in order after all"
    """
    from metering.findings.service import ReopenOrder, reopen_finding

    application = console.installed
    order = ReopenOrder(finding_id, note, console.scope)
    with application.database.writing() as session:
        reopen_finding(session, order, application.clock)
    console.say(mark("Finding %(id)s is open again."), id=finding_id)


@findings.command("check")
@click.option("--month", type=MonthType(), help="Else the running month and the one before.")
@click.option("--building", default="", help="Code of a building; else all of them.")
@json_option
@pass_console
def check(console: Console, month: Month | None, building: str, as_json: bool) -> int:
    """Look back over the readings: registers against intervals, swapped zones, clocks.

    What is found is said once, however often the check runs; what holds no longer is closed. A
    check that was stopped leaves whole parts, and a repeat goes over all of them.

    Example: kilokassa findings check --month 2026-10
    """
    from kilokassa.app.checking import check_readings

    application = console.installed
    with console.progress(mark("points")) as progress:
        report = check_readings(
            application,
            scope=console.scope,
            month=month,
            building_code=building,
            progress=progress,
        )
    if as_json:
        emit(
            {
                "months": [str(one) for one in report.months],
                "points": report.points,
                "opened": report.opened,
                "grown": report.grown,
                "closed": report.closed,
            }
        )
    else:
        console.say(
            mark(
                "%(points)s points looked at; findings of periodic checks: %(opened)s new, "
                "%(grown)s grown, %(closed)s closed."
            ),
            points=report.points,
            opened=report.opened,
            grown=report.grown,
            closed=report.closed,
        )
    return FINDINGS if report.opened else 0


COMMANDS = (findings,)
