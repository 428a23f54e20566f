"""Tariff plans and their published versions, each with its picture and who stands behind it."""

from dataclasses import dataclass

from flask import render_template
from flask.typing import ResponseReturnValue

from kilokassa.web import queries, tables
from kilokassa.web.doers import Doers
from kilokassa.web.kit import Table, export_asked
from kilokassa.web.tariff_view import TariffPicture, picture_of
from kilokassa.web.visit import Visit, visit
from tariffs import store as tariffs_store
from tariffs.drafts.draft import Draft
from tariffs.drafts.store import drafts_of_versions
from tariffs.store import PublishedVersion


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A published version as the page of its plan shows it."""

    published: PublishedVersion
    picture: TariffPicture
    prices: Table[tuple[object, ...]]
    published_by: str
    written_by: str
    """Empty where it was published from the command line, or who looks may see no drafts."""
    draft_id: int | None


def tariffs() -> ResponseReturnValue:
    """List the plans with the version that holds today."""
    here = visit()
    plans = [
        (plan, tariffs_store.published_versions(here.session, plan.id))
        for plan in tariffs_store.plans(here.session)
    ]
    table = tables.plans(plans, here.today, here.language)
    if export_asked():
        return table.csv()
    return render_template("console/tariffs.html", active="console.tariffs", table=table)


def tariff(code: str) -> str:
    """Show a plan: every version with its picture, prices, text, and who wrote and published it."""
    here = visit()
    plan = tariffs_store.plan_by_code(here.session, code)
    versions = tariffs_store.published_versions(here.session, plan.id)
    begun = [one for one in versions if one.version.valid_from <= here.today]
    return render_template(
        "console/tariff.html",
        active="console.tariffs",
        plan=plan,
        in_force=(begun or versions)[0],
        versions=_shown(here, versions),
    )


def _shown(here: Visit, versions: tuple[PublishedVersion, ...]) -> list[ShownVersion]:
    drafts: dict[int, Draft] = {}
    if here.scope.whole_retailer:  # drafts are shown to the retailer's own staff alone
        ids = [one.version.id for one in versions]
        drafts = drafts_of_versions(here.session, here.scope, ids)
    actors = [one.published_by for one in versions]
    doers = Doers(here, [*actors, *(name for one in drafts.values() for name in one.authors)])
    names = queries.plan_names(here.session, here.language)
    found = []
    for one in versions:
        draft = drafts.get(one.version.id)
        authors = () if draft is None else draft.authors
        found.append(
            ShownVersion(
                one,
                picture_of(one.version, here.language, here.today, names),
                tables.prices(one.version),
                doers.name(one.published_by),
                ", ".join(doers.name(actor) for actor in authors),
                None if draft is None else draft.id,
            )
        )
    return found
