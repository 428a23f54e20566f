"""Bonuses on pages: tables of rules, campaigns and grants, and what an account may still earn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from flask import url_for

from kilokassa.app.bonuses import Refused
from kilokassa.core.text import Language, date_text, mark
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate
from wallet.bonuses.documents import promise
from wallet.bonuses.rules import WHY_WORDS
from wallet.bonuses.store import CampaignReport, CampaignState, DaySum, GrantState, PublishedRule
from wallet.bonuses.wording import KIND_WORDS, OCCASION_WORDS, Standing, missing
from wallet.lots import LotKind
from wallet.store import LotState

RUNS = mark("Runs")
ENDED = mark("Ended")
TO_COME = mark("To come")
SPENT = mark("The budget is spent")
REPLACED = mark("Replaced")


@dataclass(frozen=True, slots=True)
class Offer:
    """A rule that runs, as a resident reads it."""

    name: str
    promise: str
    missing: str
    lives: str
    until: str


def promise_text(one: PublishedRule, language: Language) -> str:
    """Return what a rule promises as a sentence."""
    message, values = promise(one.document.terms, language)
    return translate(message) % values


def offers(
    rules: Sequence[PublishedRule], standing: Standing, language: Language
) -> tuple[Offer, ...]:
    """Return what may still be earned, rule by rule; a campaign without money is left out."""
    found = []
    for one in rules:
        if one.campaign is not None and not one.campaign.left_minor:
            continue
        words = missing(one.document.terms, standing, language)
        ends = [one.document.valid_until, None if one.campaign is None else one.campaign.ends_on]
        last = min((end for end in ends if end is not None), default=None)
        found.append(
            Offer(
                name=one.document.named(language),
                promise=promise_text(one, language),
                missing="" if words is None else translate(words[0]) % words[1],
                lives=translate(mark("It is yours for %(days)s days."))
                % {"days": one.document.expires_after_days},
                until=""
                if last is None
                else translate(mark("Until %(day)s."))
                % {"day": date_text(date.fromordinal(last.toordinal() - 1), language)},
            )
        )
    return tuple(found)


def rule_state(one: PublishedRule, running: frozenset[int], today: date) -> str:
    """Return whether a version runs, as a message."""
    if one.id in running:
        spent = one.campaign is not None and not one.campaign.left_minor
        return SPENT if spent else RUNS
    if one.document.valid_from > today:
        return TO_COME
    ends = [one.document.valid_until, None if one.campaign is None else one.campaign.ends_on]
    over = any(end is not None and end <= today for end in ends)
    return ENDED if over else REPLACED


def rules_table(
    items: Sequence[PublishedRule], running: frozenset[int], today: date, language: Language
) -> Table[PublishedRule]:
    """Return rules, each in the version that is or was the last."""
    return Table(
        name="rules",
        caption=mark("Bonus rules"),
        columns=(
            Column(
                "name",
                mark("Rule"),
                lambda one: one.document.named(language),
                link=lambda one: url_for("console.bonus_rule", code=one.code),
            ),
            Column("promise", mark("Promise"), lambda one: promise_text(one, language)),
            Column("kind", mark("For"), _kind, Kind.MESSAGE, minor=True),
            Column(
                "campaign",
                mark("Campaign"),
                lambda one: None if one.campaign is None else one.campaign.named(language),
                link=_campaign_link,
                minor=True,
            ),
            Column("from", mark("From"), lambda one: one.document.valid_from, Kind.DATE),
            Column(
                "state",
                mark("State"),
                lambda one: rule_state(one, running, today),
                Kind.MESSAGE,
                tone=lambda one: "good" if rule_state(one, running, today) == RUNS else "quiet",
            ),
        ),
        items=items,
        empty=mark("No rule is published yet: residents get no bonuses."),
    )


def campaigns_table(
    items: Sequence[CampaignState], today: date, language: Language
) -> Table[CampaignState]:
    """Return campaigns with what is left of their budgets."""
    return Table(
        name="campaigns",
        caption=mark("Campaigns"),
        columns=(
            Column(
                "name",
                mark("Campaign"),
                lambda one: one.named(language),
                link=lambda one: url_for("console.campaign", code=one.code),
            ),
            Column("from", mark("From"), lambda one: one.begins_on, Kind.DATE, minor=True),
            Column("until", mark("Last day"), lambda one: last_day(one.ends_on), Kind.DATE),
            Column("budget", mark("Budget"), lambda one: one.budget_minor, Kind.MONEY, minor=True),
            Column("granted", mark("Granted"), lambda one: one.granted_minor, Kind.MONEY),
            Column(
                "left",
                mark("Left"),
                lambda one: one.left_minor,
                Kind.MONEY,
                tone=lambda one: "" if one.left_minor * 10 > one.budget_minor else "warn",
            ),
            Column(
                "state",
                mark("State"),
                lambda one: campaign_state(one, today),
                Kind.MESSAGE,
                tone=lambda one: "good" if campaign_state(one, today) == RUNS else "quiet",
            ),
        ),
        items=items,
        empty=mark("There is no campaign: rules without one have no budget and no end."),
    )


def campaign_state(one: CampaignState, today: date) -> str:
    """Return whether a campaign runs, as a message."""
    if today >= one.ends_on:
        return ENDED
    if today < one.begins_on:
        return TO_COME
    return RUNS if one.left_minor else SPENT


def last_day(end: date) -> date:
    """Return the last day before an end."""
    return date.fromordinal(end.toordinal() - 1)


def days_table(report: CampaignReport, names: Mapping[str, str]) -> Table[DaySum]:
    """Return what a campaign granted by day and rule."""
    return Table(
        name="days",
        caption=mark("Granted by day"),
        columns=(
            Column("on", mark("Day"), lambda one: one.on, Kind.DATE),
            Column("rule", mark("Rule"), lambda one: names.get(one.rule_code, one.rule_code)),
            Column("accounts", mark("Accounts"), lambda one: one.accounts, Kind.NUMBER),
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
        ),
        items=report.by_day,
        empty=mark("Nothing was granted out of it yet."),
    )


def by_rule_table(report: CampaignReport, names: Mapping[str, str]) -> Table[tuple[str, int, int]]:
    """Return what a campaign granted by rule."""
    return Table(
        name="by-rule",
        caption=mark("Granted by rule"),
        columns=(
            Column("rule", mark("Rule"), lambda one: names.get(one[0], one[0])),
            Column("accounts", mark("Accounts"), lambda one: one[1], Kind.NUMBER),
            Column("amount", mark("Amount"), lambda one: one[2], Kind.MONEY),
        ),
        items=report.by_rule,
        empty=mark("Nothing was granted out of it yet."),
    )


def grants_table(items: Sequence[GrantState], names: Mapping[str, str]) -> Table[GrantState]:
    """Return what an account was granted, with what a bound took away."""
    return Table(
        name="grants",
        caption=mark("Bonuses granted"),
        columns=(
            Column("on", mark("Day"), lambda one: one.on, Kind.DATE),
            Column("rule", mark("Rule"), lambda one: names.get(one.rule_code, one.rule_code)),
            Column("what", mark("What for"), _occasion, Kind.MESSAGE, minor=True),
            Column("earned", mark("Earned"), lambda one: one.earned_minor, Kind.MONEY, minor=True),
            Column(
                "amount",
                mark("Granted"),
                lambda one: one.amount_minor,
                Kind.MONEY,
                tone=lambda one: "bad" if one.amount_minor < 0 else "",
            ),
            Column("until", mark("Expires"), lambda one: one.expires_on, Kind.DATE),
            Column("why", mark("Why not all"), _why, Kind.MESSAGE, minor=True),
        ),
        items=items,
        filterable=True,
        empty=mark("Nothing was granted to this account yet."),
    )


def refused_table(items: Sequence[Refused], language: Language) -> Table[Refused]:
    """Return why rules that run gave nothing for what happened lately."""
    return Table(
        name="refused",
        caption=mark("Why not"),
        columns=(
            Column("on", mark("Day"), lambda one: one.occasion.on, Kind.DATE),
            Column("rule", mark("Rule"), lambda one: one.rule.document.named(language)),
            Column("promise", mark("Promise"), lambda one: promise_text(one.rule, language)),
            Column("why", mark("Reason"), lambda one: WHY_WORDS[one.why], Kind.MESSAGE),
        ),
        items=items,
        empty=mark("Every rule that runs gave something, or nothing has happened yet."),
    )


def held_table(
    items: Sequence[LotState], names: Mapping[str, str], now: datetime
) -> Table[LotState]:
    """Return the bonuses that an account may still spend, each with its rule and its end."""
    bonuses = [one for one in items if one.lot.kind is LotKind.BONUS and one.lot.alive_at(now)]
    return Table(
        name="held",
        caption=mark("Bonuses to spend"),
        columns=(
            Column("rule", mark("Rule"), lambda one: names.get(one.rule, one.rule)),
            Column("came", mark("Came"), lambda one: one.lot.came_at, Kind.INSTANT, minor=True),
            Column("amount", mark("Of"), lambda one: one.lot.amount_minor, Kind.MONEY, minor=True),
            Column("left", mark("Left"), lambda one: one.lot.remaining_minor, Kind.MONEY),
            Column("until", mark("Expires"), lambda one: one.lot.expires_at, Kind.INSTANT),
        ),
        items=sorted(bonuses, key=lambda one: (one.lot.expires_at or now, one.lot.number)),
        empty=mark("You have no bonus to spend: see below how to earn one."),
    )


def _kind(one: PublishedRule) -> str:
    return KIND_WORDS[one.document.kind]


def _occasion(one: GrantState) -> str:
    return mark("Taken back with its top-up") if one.taken_back else OCCASION_WORDS[one.occasion]


def _why(one: GrantState) -> str | None:
    return None if one.why is None else WHY_WORDS[one.why]


def _campaign_link(one: PublishedRule) -> str | None:
    return None if one.campaign is None else url_for("console.campaign", code=one.campaign.code)
