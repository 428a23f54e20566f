"""Commands about drafts of tariffs, what two documents say differently, and their picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kilokassa.core.text import date_text, mark, number_text
from kilokassa.jobs.console import Console, emit, existing_file, json_option, pass_console

if TYPE_CHECKING:
    from tariffs.drafts.draft import Draft
    from tariffs.store import PublishedVersion

_STATE_WORDS: Final = {
    "writing": mark("Being written"),
    "submitted": mark("Waits for review"),
    "published": mark("Published"),
    "withdrawn": mark("Withdrawn"),
}


@click.group("draft")
def draft() -> None:
    """Drafts of tariffs: written by one person, published by another.

    Whoever runs the command acts as the command line: it cannot publish what it wrote.

    Example: kilokassa tariff draft new three-zone.yaml
    """


@draft.command("list")
@click.option("--all", "every", is_flag=True, help="Also those published or laid aside.")
@json_option
@pass_console
def list_drafts(console: Console, every: bool, as_json: bool) -> None:
    """List the drafts that are open, the last changed first.

    Example: kilokassa tariff draft list --json
    """
    from tariffs.drafts.store import drafts

    with console.installed.database.reading() as session:
        found = drafts(session, console.scope, all_states=every)
    if as_json:
        emit([_plain(one) for one in found])
        return
    for one in found:
        click.echo(_line(console, one))


@draft.command("new")
@click.argument("file", type=existing_file())
@click.option("--title", default="", help="What the draft is called; else by the plan and date.")
@json_option
@pass_console
def new_draft(console: Console, file: Path, title: str, as_json: bool) -> None:
    """Begin a draft with the document in FILE; a document with faults is kept too.

    Example: kilokassa tariff draft new three-zone.yaml --title "Prices of July"
    """
    from kilokassa.app.rate_files import read_tariff_text
    from tariffs.drafts.service import DraftText, save_draft

    application = console.installed
    order = DraftText(console.scope, read_tariff_text(file), title)
    with application.database.writing() as session:
        found = save_draft(session, order, application.clock)
    _tell(console, found, as_json)


@draft.command("show")
@click.argument("number", type=int)
@click.option("--document", is_flag=True, help="Print the text alone.")
@json_option
@pass_console
def show_draft(console: Console, number: int, document: bool, as_json: bool) -> None:
    """Show the draft NUMBER with all that was done to it.

    Example: kilokassa tariff draft show 3
    """
    from tariffs.documents import faults_in

    found = _draft(console, number)
    if document:
        click.echo(found.document, nl=False)
        return
    _tell(console, found, as_json)
    if as_json:
        return
    for step in found.steps:
        when = step.recorded_at.isoformat(timespec="minutes")
        click.echo("  ".join([f"{step.number:3}", when, step.kind, step.actor, step.note]).rstrip())
    for fault in faults_in(found.document):
        click.echo(console.sentence(fault))


@draft.command("submit")
@click.argument("number", type=int)
@click.option("--replaces", is_flag=True, help="It replaces the version of the same date.")
@json_option
@pass_console
def submit(console: Console, number: int, replaces: bool, as_json: bool) -> None:
    """Hand the draft NUMBER to a second person; a text with a fault is refused.

    Example: kilokassa tariff draft submit 3
    """
    from tariffs.drafts.service import DraftStepOrder, submit_draft

    order = DraftStepOrder(
        console.scope, number, _draft(console, number).revision, replaces=replaces
    )
    with console.application.database.writing() as session:
        found = submit_draft(session, order, console.application.clock)
    _tell(console, found, as_json)


@draft.command("return")
@click.argument("number", type=int)
@click.option("--note", required=True, help="What is to be changed.")
@json_option
@pass_console
def give_back(console: Console, number: int, note: str, as_json: bool) -> None:
    """Give the draft NUMBER back to its authors with a note.

    Example: kilokassa tariff draft return 3 --note "The source is missing"
    """
    from tariffs.drafts.service import DraftStepOrder, return_draft

    order = DraftStepOrder(console.scope, number, _draft(console, number).revision, note)
    with console.application.database.writing() as session:
        found = return_draft(session, order, console.application.clock)
    _tell(console, found, as_json)


@draft.command("publish")
@click.argument("number", type=int)
@click.option("--revision", type=int, required=True, help="The one that was read (draft show).")
@click.option("--replaces", is_flag=True, help="It replaces the version of the same date.")
@json_option
@pass_console
def publish(console: Console, number: int, revision: int, replaces: bool, as_json: bool) -> None:
    """Publish the draft NUMBER, which somebody else wrote and submitted, as it was read.

    Example: kilokassa tariff draft publish 3 --revision 2
    """
    from tariffs.drafts.service import DraftStepOrder, publish_draft

    order = DraftStepOrder(console.scope, number, revision, replaces=replaces)
    with console.application.database.writing() as session:
        publish_draft(session, order, console.application.clock)
    _tell(console, _draft(console, number), as_json)


@click.command("diff")
@click.argument("what")
@click.argument("other", type=existing_file(), required=False)
@json_option
@pass_console
def diff(console: Console, what: str, other: Path | None, as_json: bool) -> None:
    """Tell what a document says differently, field by field.

    WHAT is a file, compared with OTHER or with the published version it follows; or the code of a
    plan, whose latest version is compared with the one before.

    Example: kilokassa tariff diff three-zone.yaml
    """
    from tariffs.difference import differences

    old, new = _texts(console, Path(what), other)
    found = differences(old, new)
    if as_json:
        emit(
            [
                {"path": one.path, "old": one.old, "new": one.new, "change_ppm": one.change_ppm}
                for one in found
            ]
        )
        return
    if not found:
        console.say(mark("Both say the same."))
    for one in found:
        change = ""
        if one.change_ppm:
            sign = "+" if one.change_ppm > 0 else "−"
            tenths = (abs(one.change_ppm) + 500) // 1000
            change = f"  ({sign}{tenths // 10}.{tenths % 10} %)"
        before = "—" if one.old is None else one.old
        after = "—" if one.new is None else one.new
        click.echo(f"{' · '.join(one.path)}: {before} → {after}{change}")


@click.command("picture")
@click.argument("file", type=existing_file())
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="SVG file."
)
@pass_console
def picture(console: Console, file: Path, out: Path) -> None:
    """Draw the tariff in FILE: its kinds of day, its year, its ladder; needs no database.

    Example: kilokassa tariff picture three-zone.yaml -o three-zone.svg
    """
    from kilokassa.app.rate_files import read_tariff_text
    from tariffs import picture_svg
    from tariffs.documents import parse_tariff
    from tariffs.picture import day_pictures, ladder, year_picture

    language = console.language
    version = parse_tariff(read_tariff_text(file), where=file.name)
    day = version.valid_from
    # Prices by the hour arrive from outside: such a plan has no day of its own to draw.
    kinds = day_pictures(version, day) if version.charges.energy_by_zone else ()
    highest = max((kind.highest_scaled for kind in kinds), default=0)
    parts = [
        (
            picture_svg.day_title(kind, language),
            picture_svg.day_svg(kind, language, highest_scaled=highest),
        )
        for kind in kinds
    ]
    rungs = ladder(version, day)
    if rungs:
        ladder_title = console.text(mark("Ranges of consumption"))
        parts.append((ladder_title, picture_svg.ladder_svg(rungs, language)))
    parts.append((str(day.year), picture_svg.year_svg(year_picture(version, day.year), language)))
    name = version.name if language == "ru" else version.name_en or version.name
    title = f"{name}, {date_text(day, language)}"
    out.write_text(picture_svg.sheet_svg(title, parts), encoding="utf-8")
    console.say(mark("Written: %(file)s."), file=out)


def _draft(console: Console, number: int) -> "Draft":
    from tariffs.drafts.store import draft_by_id

    with console.installed.database.reading() as session:
        return draft_by_id(session, console.scope, number)


def _texts(console: Console, what: Path, other: Path | None) -> tuple[str, str]:
    """Return the two documents to compare, the former first."""
    from kilokassa.app.rate_files import read_tariff_text
    from tariffs.documents import parse_tariff

    if not what.is_file():
        published = _published(console, str(what))
        return published[min(1, len(published) - 1)].document, published[0].document
    new = read_tariff_text(what)
    if other is not None:
        return new, read_tariff_text(other)
    version = parse_tariff(new, where=what.name)
    published = _published(console, version.plan_code)
    before = [one for one in published if one.version.valid_from <= version.valid_from]
    return (before or published[-1:])[0].document, new


def _published(console: Console, code: str) -> "tuple[PublishedVersion, ...]":
    from tariffs.store import plan_by_code, published_versions

    with console.installed.database.reading() as session:
        return published_versions(session, plan_by_code(session, code).id)


def _tell(console: Console, found: "Draft", as_json: bool) -> None:
    if as_json:
        emit(_plain(found))
    else:
        click.echo(_line(console, found))


def _line(console: Console, one: "Draft") -> str:
    number = number_text(one.id, console.language)
    state = console.text(_STATE_WORDS[one.state])
    revision = console.text(mark("revision %(number)s"), number=one.revision)
    authors = ", ".join(one.authors)
    return f"{number}  {state}, {revision}  {one.title or one.plan_code}  ({authors})"


def _plain(one: "Draft") -> dict[str, object]:
    return {
        "id": one.id,
        "title": one.title,
        "plan": one.plan_code,
        "state": one.state,
        "revision": one.revision,
        "authors": one.authors,
        "version_id": one.version_id,
        "steps": [
            {
                "number": step.number,
                "kind": step.kind,
                "actor": step.actor,
                "note": step.note,
                "recorded_at": step.recorded_at,
            }
            for step in one.steps
        ],
    }
