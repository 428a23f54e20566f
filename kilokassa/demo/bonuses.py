"""The demo's bonus rules, of all four kinds: one campaign is nearly spent, one has ended."""

from datetime import timedelta
from typing import Final

from kilokassa.app.wiring import Application
from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import Scope
from kilokassa.demo.population import TownPlan
from wallet.bonuses.service import CampaignOrder, begin_campaign, publish_rule
from wallet.bonuses.store import published_rules

SPRING_DAYS: Final = 62
SPRING_MINOR: Final = 3_000_00
YEAR_DAYS: Final = 500
YEAR_MINOR: Final = 34_000_00
"""By now nearly all of it is granted: what the town pays on time in a year is about as much."""

RULES: Final = (
    """\
rule: demo-5
name: "Демо: 5 % от 5 000 ₽"
name_en: "Demo: 5 % from 5,000 ₽ on"
kind: size_of_top_up
from: {first}
expires_after_days: 365
group: size
terms:
  threshold: 5000.00
  percent: 5
""",
    """\
rule: demo-start
name: "Демо: 10 % на старте"
name_en: "Demo: 10 % to begin with"
kind: size_of_top_up
from: {first}
expires_after_days: 90
group: size
most: 300.00
campaign: demo-start
terms:
  threshold: 1000.00
  percent: 10
""",
    """\
rule: demo-early
name: "Демо: 2 % за оплату до срока"
name_en: "Demo: 2 % for paying early"
kind: early_payment
from: {first}
expires_after_days: 120
campaign: demo-year
terms:
  days_before: 2
  percent: 2
""",
    """\
rule: demo-calm
name: "Демо: 50 ₽ за полгода без долгов"
name_en: "Demo: 50 ₽ for half a year without debt"
kind: months_without_debt
from: {first}
expires_after_days: 180
terms:
  months: 6
  amount: 50.00
""",
    """\
rule: demo-night
name: "Демо: 1 ₽ за кВт·ч, ушедший на ночь"
name_en: "Demo: 1 ₽ for each kWh moved to the night"
kind: moved_to_night
from: {first}
expires_after_days: 180
most: 100.00
terms:
  rate: 1.00
  former_least_kwh: 100
""",
)


def ensure_bonuses(application: Application, plan: TownPlan, scope: Scope) -> None:
    """Publish the demo's rules as of its first day, once."""
    first = plan.first_day
    clock = FixedClock(local_midnight(first, plan.zone))
    campaigns = (
        CampaignOrder(
            "demo-start",
            "Демо: новоселье",
            SPRING_MINOR,
            first,
            first + timedelta(days=SPRING_DAYS),
            "Demo: house-warming",
        ),
        CampaignOrder(
            "demo-year",
            "Демо: платим заранее",
            YEAR_MINOR,
            first,
            first + timedelta(days=YEAR_DAYS),
            "Demo: we pay early",
        ),
    )
    with application.database.writing() as session:
        if published_rules(session):
            return
        for order in campaigns:
            begin_campaign(session, scope, order, clock)
        for text in RULES:
            document = text.format(first=first)
            publish_rule(session, scope, document, "demo", clock, today=first)
