"""The tariff that the demo's analyst wrote and that waits for the administrator."""

from decimal import Decimal
from typing import Final

from sqlalchemy import select

from kilokassa.app.users import UserRow, scope_of
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.money import rate_from_scaled
from kilokassa.core.zones import Zone
from kilokassa.demo.population import TownPlan
from tariffs.drafts.service import DraftStepOrder, DraftText, save_draft, submit_draft
from tariffs.drafts.store import drafts
from tariffs.store import PublishedVersion, plan_by_code, published_versions

WRITER: Final = "analyst@demo.example"
PLAN: Final = "three_zone"
RISE: Final = Decimal("1.06")
SOURCE: Final = "предложение аналитика, не опубликовано (демо)"
_KOPECK: Final = Decimal("0.01")


def ensure_draft(application: Application, plan: TownPlan) -> None:
    """Let the analyst write the next version of a plan, where nothing was ever written."""
    with application.database.writing() as session:
        writer = session.scalars(select(UserRow).where(UserRow.email == WRITER)).one()
        scope = scope_of(session, writer)
        if drafts(session, scope, all_states=True):
            return
        month = Month.of(plan.today).plus(2)
        version = published_versions(session, plan_by_code(session, PLAN).id)[0]
        order = DraftText(scope, _raised(version, month), f"Три зоны с {month.first_day:%d.%m.%Y}")
        draft = save_draft(session, order, application.clock)
        step = DraftStepOrder(
            scope, draft.id, draft.revision, "Пик дорожает, ночь остаётся: проверьте, пожалуйста."
        )
        submit_draft(session, step, application.clock)


def _raised(published: PublishedVersion, month: Month) -> str:
    """Return a version's text with a further price from `month` on, dearer but for the night.

    Written into the text as a person would, so that its lines can be told apart from the old ones.
    """
    version, day = published.version, month.first_day
    rates = [
        f"      {zone}: {rate if zone is Zone.NIGHT else (rate * RISE).quantize(_KOPECK)}"
        for zone, rate in zip(
            version.zones, map(rate_from_scaled, version.rates[-1].rates_scaled[0]), strict=True
        )
    ]
    price = "\n".join([f"  - from: {day}", "    per_kwh:", *rates])
    head, _, _ = published.document.partition("\nsource:")
    head = head.replace(f"valid_from: {version.valid_from}", f"valid_from: {day}", 1)
    return f"{head}\n{price}\nsource: {SOURCE}\nconfidence: memory\n"
