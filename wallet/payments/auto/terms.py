"""The terms of an auto top-up as they rest: canonical JSON of the rule that was agreed to."""

import json
from datetime import date
from typing import Any

from kilokassa.core.digest import canonical_json
from wallet.payments.auto_top_up import (
    AutoTopUpRule,
    BelowThreshold,
    DayOfMonth,
    FixedAmount,
    UpToTarget,
)


def terms_text(rule: AutoTopUpRule) -> str:
    """Return the rule as canonical JSON.

    >>> rule = AutoTopUpRule(
    ...     BelowThreshold(300_00), UpToTarget(1000_00), date(2026, 11, 1), 2000_00
    ... )
    >>> read_terms(terms_text(rule)) == rule
    True
    """
    trigger, size = rule.trigger, rule.size
    when: dict[str, Any] = (
        {"below_minor": trigger.threshold_minor}
        if isinstance(trigger, BelowThreshold)
        else {"day": trigger.day}
    )
    how_much: dict[str, Any] = (
        {"fixed_minor": size.amount_minor}
        if isinstance(size, FixedAmount)
        else {"target_minor": size.target_minor}
    )
    return canonical_json(
        {
            "trigger": when,
            "size": how_much,
            "from": rule.valid_from.isoformat(),
            "until": None if rule.valid_until is None else rule.valid_until.isoformat(),
            "most_minor": rule.most_minor,
            "least_minor": rule.least_minor,
            "window_days": rule.window_days,
            "pause_days": rule.pause_days,
            "refusals_most": rule.refusals_most,
        }
    )


def read_terms(text: str) -> AutoTopUpRule:
    """Return the rule that was written down by `terms_text`."""
    known = json.loads(text)
    trigger, size, until = known["trigger"], known["size"], known["until"]
    return AutoTopUpRule(
        trigger=BelowThreshold(trigger["below_minor"])
        if "below_minor" in trigger
        else DayOfMonth(trigger["day"]),
        size=FixedAmount(size["fixed_minor"])
        if "fixed_minor" in size
        else UpToTarget(size["target_minor"]),
        valid_from=date.fromisoformat(known["from"]),
        valid_until=None if until is None else date.fromisoformat(until),
        most_minor=known["most_minor"],
        least_minor=known["least_minor"],
        window_days=known["window_days"],
        pause_days=known["pause_days"],
        refusals_most=known["refusals_most"],
    )
