"""Auto top-ups on pages: what was asked for, and how the rule stands today."""

from collections.abc import Sequence

from kilokassa.core.text import amount_text, mark
from kilokassa.web.kit import Column, Kind, Table
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit
from wallet.payments.auto.agreed import Agreed, Attempt, facts_of
from wallet.payments.auto_top_up import (
    WHY_WORDS,
    BelowThreshold,
    FixedAmount,
    Outcome,
    Why,
    decide,
)

TONES = {Outcome.PENDING: "warn", Outcome.TAKEN: "good", Outcome.REFUSED: "bad"}


def attempts_table(found: Sequence[Attempt]) -> Table[Attempt]:
    """Return what a rule asked for as a table."""
    return Table(
        name="auto-top-ups",
        columns=(
            Column("on", mark("Day"), lambda one: one.on, Kind.DATE),
            Column("amount", mark("Amount"), lambda one: one.amount_minor, Kind.MONEY),
            Column("why", mark("Why"), lambda one: WHY_WORDS[Why(one.why)], Kind.MESSAGE),
            Column(
                "outcome",
                mark("Outcome"),
                lambda one: one.outcome,
                Kind.WORD,
                tone=lambda one: TONES[one.outcome],
            ),
            Column("told", mark("Told"), lambda one: one.told_at, Kind.INSTANT, minor=True),
        ),
        items=found,
        caption=mark("Auto top-ups"),
        empty=mark("Nothing was drawn yet."),
    )


def rule_text(here: Visit, agreed: Agreed) -> str:
    """Return what was agreed to in a sentence."""
    rule, language = agreed.rule, here.language
    trigger, size = rule.trigger, rule.size
    when = (
        translate(mark("whenever less than %(amount)s is available"))
        % {"amount": amount_text(trigger.threshold_minor, language)}
        if isinstance(trigger, BelowThreshold)
        else translate(mark("on day %(day)s of each month")) % {"day": trigger.day}
    )
    how_much = (
        amount_text(size.amount_minor, language)
        if isinstance(size, FixedAmount)
        else translate(mark("up to a balance of %(amount)s"))
        % {"amount": amount_text(size.target_minor, language)}
    )
    text = mark("%(when)s: %(how_much)s, at most %(most)s at once and once in %(days)s days")
    return translate(text) % {
        "when": when,
        "how_much": how_much,
        "most": amount_text(rule.most_minor, language),
        "days": rule.window_days,
    }


def state_of(here: Visit, agreed: Agreed | None, attempts: Sequence[Attempt]) -> dict[str, str]:
    """Return how a rule stands today, as the page says it; nothing where there is none."""
    if agreed is None:
        return {}
    facts = facts_of(agreed, tuple(reversed(attempts)))
    # Whatever is available: what counts here is what holds the rule back.
    decision = decide(agreed.rule, here.today, 0, facts)
    held = decision.why in (Why.STOPPED, Why.PAUSED, Why.UNDER_WAY)
    return {
        "rule": rule_text(here, agreed),
        "held": WHY_WORDS[decision.why] if held else "",
        "stopped": "1" if decision.why is Why.STOPPED else "",
    }
