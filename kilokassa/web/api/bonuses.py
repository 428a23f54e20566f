"""Bonuses for other systems: rules, campaigns, what accounts were granted, what they would be."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields, validate

from kilokassa.app.bonuses import Foreseen, preview_top_up, why_not
from kilokassa.core.calendar import Month
from kilokassa.core.text import Language
from kilokassa.web.api.fields import MoneyField
from kilokassa.web.bonuses import promise_text
from kilokassa.web.language import translate
from kilokassa.web.visit import account_of, visit
from wallet.bonuses import store
from wallet.bonuses.documents import MOST_BYTES, promise, read_rule
from wallet.bonuses.rules import WHY_WORDS
from wallet.bonuses.service import CampaignOrder, begin_campaign, publish_rule
from wallet.bonuses.store import CampaignReport, CampaignState, GrantState, PublishedRule
from wallet.topups import MOST_MINOR


class BonusRuleSchema(Schema):
    """One published version of a bonus rule."""

    rule = fields.String()
    version = fields.Integer()
    name = fields.String(metadata={"description": "In the language asked for."})
    kind = fields.String()
    promise = fields.String(metadata={"description": "What it promises, in words."})
    valid_from = fields.Date(data_key="from")
    valid_until = fields.Date(
        data_key="until",
        allow_none=True,
        metadata={"description": "The first day on which it does not run any more."},
    )
    expires_after_days = fields.Integer()
    campaign = fields.String(allow_none=True)
    digest = fields.String(metadata={"description": "SHA-256 of the document."})
    document = fields.String(metadata={"description": "As it was published, in YAML."})


class BonusRulesQuery(Schema):
    """Which rules are asked for."""

    all = fields.Boolean(
        load_default=False,
        metadata={"description": "Every version, not only those that run today."},
    )


class BonusRuleTextSchema(Schema):
    """A bonus rule in YAML; the format: docs/reference/bonus-rules.md."""

    document = fields.String(required=True, validate=validate.Length(1, MOST_BYTES))


class CheckedBonusRuleSchema(Schema):
    """A rule that is right; a wrong one is refused with the field that is wrong."""

    rule = fields.String()
    kind = fields.String()
    valid_from = fields.Date(data_key="from")
    promise = fields.String()
    digest = fields.String()


class CampaignSchema(Schema):
    """Money for bonuses that ends."""

    code = fields.String()
    name = fields.String()
    begins_on = fields.Date()
    ends_on = fields.Date(
        metadata={"description": "The first day on which nothing is granted any more."}
    )
    budget = MoneyField(attribute="budget_minor")
    granted = MoneyField(attribute="granted_minor")
    left = MoneyField(attribute="left_minor")


class BeginCampaignSchema(Schema):
    """A campaign to begin; the same again changes nothing, it is never changed."""

    code = fields.String(required=True, validate=validate.Regexp(r"\A[a-z0-9][a-z0-9_-]{0,39}\Z"))
    name = fields.String(required=True, validate=validate.Length(1, 200))
    name_en = fields.String(load_default="", validate=validate.Length(max=200))
    budget_minor = MoneyField(required=True, data_key="budget")
    begins_on = fields.Date(required=True)
    ends_on = fields.Date(required=True)


class CampaignRuleSumSchema(Schema):
    """What a campaign granted by one rule."""

    rule = fields.String()
    accounts = fields.Integer()
    amount = MoneyField()


class CampaignDaySchema(Schema):
    """What a campaign granted on a day by one rule, less what was taken back."""

    on = fields.Date()
    rule = fields.String(attribute="rule_code")
    accounts = fields.Integer()
    amount = MoneyField(attribute="amount_minor")


class CampaignReportSchema(CampaignSchema):
    """Where the budget of a campaign went."""

    accounts = fields.Integer()
    by_rule = fields.List(fields.Nested(CampaignRuleSumSchema))
    by_day = fields.List(fields.Nested(CampaignDaySchema))


class BonusGrantSchema(Schema):
    """A bonus granted, taken back with its top-up, or earned and left nothing of by a bound."""

    rule = fields.String(attribute="rule_code")
    occasion = fields.String()
    key = fields.String(attribute="occasion_key")
    on = fields.Date()
    earned = MoneyField(attribute="earned_minor")
    amount = MoneyField(attribute="amount_minor")
    expires_on = fields.Date(allow_none=True)
    why = fields.String(allow_none=True)


class BonusDeclinedSchema(Schema):
    """A rule that gave nothing for what happened, and why."""

    rule = fields.String()
    on = fields.Date()
    why = fields.String()
    reason = fields.String(metadata={"description": "In the language asked for."})


class AccountBonusesSchema(Schema):
    """What an account was granted, the latest first, and why rules gave nothing lately."""

    grants = fields.List(fields.Nested(BonusGrantSchema))
    declined = fields.List(fields.Nested(BonusDeclinedSchema))


class BonusPreviewQuery(Schema):
    """A top-up that is thought of."""

    amount = MoneyField(required=True, validate=validate.Range(1, MOST_MINOR))


class ForeseenBonusSchema(Schema):
    """A bonus that the top-up would earn now."""

    rule = fields.String()
    name = fields.String()
    amount = MoneyField()
    expires_on = fields.Date()


def add_routes(api: Blueprint) -> None:
    """Add the routes of bonuses."""
    api.route("/bonuses/rules")(
        api.arguments(BonusRulesQuery, location="query")(
            api.response(200, BonusRuleSchema(many=True))(bonus_rules)
        )
    )
    api.route("/bonuses/rules", methods=["POST"])(
        api.arguments(BonusRuleTextSchema)(api.response(200, BonusRuleSchema)(publish_bonus_rule))
    )
    api.route("/bonuses/rules/check", methods=["POST"])(
        api.arguments(BonusRuleTextSchema)(
            api.response(200, CheckedBonusRuleSchema)(check_bonus_rule)
        )
    )
    api.route("/bonuses/campaigns")(api.response(200, CampaignSchema(many=True))(campaigns))
    api.route("/bonuses/campaigns", methods=["POST"])(
        api.arguments(BeginCampaignSchema)(api.response(200, CampaignSchema)(begin_new_campaign))
    )
    api.route("/bonuses/campaigns/<code>")(api.response(200, CampaignReportSchema)(campaign_report))
    api.route("/accounts/<number>/bonuses")(
        api.response(200, AccountBonusesSchema)(account_bonuses)
    )
    api.route("/accounts/<number>/bonuses/preview")(
        api.arguments(BonusPreviewQuery, location="query")(
            api.response(200, ForeseenBonusSchema(many=True))(preview_bonus)
        )
    )


def bonus_rules(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """List the bonus rules that run today, or every version."""
    here = visit()
    found = (
        store.published_rules(here.session)
        if asked["all"]
        else store.rules_in_force(here.session, here.today)
    )
    return [_rule(one, here.language) for one in found]


def publish_bonus_rule(asked: dict[str, Any]) -> dict[str, Any]:
    """Publish a version of a rule for ever; the same text again changes nothing."""
    here = visit()
    scope, clock, today = here.scope, here.application.clock, here.today
    with here.writing() as session:
        rule, _ = publish_rule(session, scope, asked["document"], "document", clock, today=today)
    return _rule(rule, here.language)


def check_bonus_rule(asked: dict[str, Any]) -> dict[str, Any]:
    """Check a rule; nothing is stored."""
    found = read_rule(asked["document"], "document")
    message, values = promise(found.terms, visit().language)
    return {
        "rule": found.code,
        "kind": found.kind,
        "valid_from": found.valid_from,
        "promise": translate(message) % values,
        "digest": found.digest,
    }


def campaigns() -> list[dict[str, Any]]:
    """List the campaigns with what is left of their budgets."""
    here = visit()
    return [_campaign(one, here.language) for one in store.campaigns(here.session, here.scope)]


def begin_new_campaign(asked: dict[str, Any]) -> dict[str, Any]:
    """Begin a campaign."""
    here = visit()
    scope, clock, order = here.scope, here.application.clock, CampaignOrder(**asked)
    with here.writing() as session:
        found, _ = begin_campaign(session, scope, order, clock)
    return _campaign(found, here.language)


def campaign_report(code: str) -> dict[str, Any]:
    """Show what a campaign granted, by rule and by day."""
    here = visit()
    report: CampaignReport = store.campaign_report(here.session, here.scope, code)
    return _campaign(report.campaign, here.language) | {
        "accounts": report.accounts,
        "by_rule": [{"rule": r, "accounts": n, "amount": minor} for r, n, minor in report.by_rule],
        "by_day": report.by_day,
    }


def account_bonuses(number: str) -> dict[str, Any]:
    """Show what an account was granted, and why rules gave nothing lately."""
    here = visit()
    _, account_id = account_of(here, number)
    grants: tuple[GrantState, ...] = store.grants_of(here.session, here.scope, account_id)
    last = Month.of(here.today).plus(-1)
    refused = why_not(here.session, account_id, here.zone, last, here.today)
    return {
        "grants": grants,
        "declined": [
            {
                "rule": one.rule.code,
                "on": one.occasion.on,
                "why": one.why,
                "reason": translate(WHY_WORDS[one.why]),
            }
            for one in refused
        ],
    }


def preview_bonus(asked: dict[str, Any], number: str) -> list[dict[str, Any]]:
    """Show what a top-up would earn now; nothing is stored."""
    here = visit()
    _, account_id = account_of(here, number)
    found: tuple[Foreseen, ...] = preview_top_up(
        here.session, account_id, asked["amount"], here.today
    )
    return [
        {
            "rule": one.rule.code,
            "name": one.rule.document.named(here.language),
            "amount": one.amount_minor,
            "expires_on": one.expires_on,
        }
        for one in found
    ]


def _rule(one: PublishedRule, language: Language) -> dict[str, Any]:
    return {
        "rule": one.code,
        "version": one.version,
        "name": one.document.named(language),
        "kind": one.document.kind,
        "promise": promise_text(one, language),
        "valid_from": one.document.valid_from,
        "valid_until": one.document.valid_until,
        "expires_after_days": one.document.expires_after_days,
        "campaign": None if one.campaign is None else one.campaign.code,
        "digest": one.document.digest,
        "document": one.document.text,
    }


def _campaign(one: CampaignState, language: Language) -> dict[str, Any]:
    return {
        "code": one.code,
        "name": one.named(language),
        "begins_on": one.begins_on,
        "ends_on": one.ends_on,
        "budget_minor": one.budget_minor,
        "granted_minor": one.granted_minor,
        "left_minor": one.left_minor,
    }
