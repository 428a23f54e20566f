"""Commands about tariffs: check, publish, list, show."""

from pathlib import Path

import click

from kilokassa.core.money import rate_from_scaled
from kilokassa.core.text import Language, mark
from kilokassa.jobs.console import Console, emit, existing_file, json_option, pass_console
from kilokassa.jobs.tariff_drafts import diff, draft, picture


@click.group()
def tariff() -> None:
    """Tariff plans and their published versions.

    Example: kilokassa tariff check three-zone.yaml
    """


@tariff.command("check")
@click.argument("file", type=existing_file())
@pass_console
def check(console: Console, file: Path) -> None:
    """Check the tariff document in FILE; write nothing and need no database.

    The format: docs/reference/tariff-yaml.md.

    Example: kilokassa tariff check three-zone.yaml
    """
    from kilokassa.app.rate_files import read_tariff_text
    from tariffs.documents import parse_tariff

    version = parse_tariff(read_tariff_text(file), where=file.name)
    console.say(
        mark("%(file)s is right: plan %(plan)s from %(day)s, %(prices)s dated prices."),
        file=file,
        plan=version.plan_code,
        day=version.valid_from,
        prices=len(version.rates),
    )


@tariff.command("publish")
@click.argument("file", type=existing_file())
@click.option("--replaces", is_flag=True, help="Let it replace the version of the same date.")
@pass_console
def publish(console: Console, file: Path, replaces: bool) -> None:
    """Publish the tariff document in FILE for ever; the same document again changes nothing.

    Nobody reviews it: on the pages a second person publishes (kilokassa tariff draft).

    Example: kilokassa tariff publish three-zone.yaml
    """
    from kilokassa.app.rate_files import read_tariff_text
    from tariffs.service import PublishOrder, publish_version

    application = console.installed
    order = PublishOrder(console.scope, read_tariff_text(file), replaces=replaces)
    with application.database.writing() as session:
        done = publish_version(session, order, application.clock)
    message = (
        mark("Published: plan %(plan)s from %(day)s.")
        if done.new
        else mark("Plan %(plan)s from %(day)s was published before; nothing changed.")
    )
    console.say(message, plan=done.version.plan_code, day=done.version.valid_from)


@tariff.command("list")
@json_option
@pass_console
def list_plans(console: Console, as_json: bool) -> None:
    """List the tariff plans.

    Example: kilokassa tariff list --json
    """
    from tariffs.store import plans

    with console.installed.database.reading() as session:
        found = plans(session)
    if as_json:
        emit([{"code": p.code, "name": p.name, "name_en": p.name_en} for p in found])
        return
    for plan in found:
        name = plan.name if console.language is Language.RUSSIAN else plan.name_en
        click.echo(f"{plan.code}  {name}")


@tariff.command("show")
@click.argument("code")
@click.option("--document", is_flag=True, help="Print the latest document as it was published.")
@json_option
@pass_console
def show(
    console: Console,
    code: str,
    document: bool,
    as_json: bool,
) -> None:
    """Show the published versions of the plan CODE, the latest first.

    Example: kilokassa tariff show three_zone
    """
    from tariffs.store import plan_by_code, published_versions

    with console.installed.database.reading() as session:
        plan = plan_by_code(session, code)
        versions = published_versions(session, plan.id)
    if document:
        click.echo(versions[0].document, nl=False)
        return
    if as_json:
        emit(
            [
                {
                    "plan": code,
                    "valid_from": each.version.valid_from,
                    "revision": each.revision,
                    "published_at": each.published_at,
                    "published_by": each.published_by,
                    "digest": each.version.digest,
                    "prices": [
                        {
                            "from": dated.valid_from,
                            "per_kwh": [
                                dict(
                                    zip(each.version.zones, map(rate_from_scaled, row), strict=True)
                                )
                                for row in dated.rates_scaled
                            ],
                        }
                        for dated in each.version.rates
                    ],
                }
                for each in versions
            ]
        )
        return
    click.echo(plan.name if console.language is Language.RUSSIAN else plan.name_en)
    for each in versions:
        console.say(
            mark("from %(day)s, revision %(revision)s, published %(at)s by %(by)s"),
            day=each.version.valid_from,
            revision=each.revision,
            at=each.published_at.isoformat(timespec="minutes"),
            by=each.published_by,
        )
        for dated in each.version.rates:
            for row in dated.rates_scaled:
                prices = "  ".join(
                    f"{zone} {rate_from_scaled(rate)}"
                    for zone, rate in zip(each.version.zones, row, strict=True)
                )
                click.echo(f"  {dated.valid_from}  {prices}")


tariff.add_command(draft)
tariff.add_command(diff)
tariff.add_command(picture)

COMMANDS = (tariff,)
