"""What the console and the account page show of a comparison, and a choice of plan."""

from typing import Any, Final

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing.comparison.comparison import MONTHS, SHIFT_PERCENT, SHIFTS_PERCENT, Comparison
from billing.comparison.service import Choice, choice_of, choose_plan, compare
from billing.models import AccountRow
from kilokassa.core.calendar import Month
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right
from kilokassa.core.text import date_text, mark, sentence
from kilokassa.web.kit import Column, Kind, Table, export_asked
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit
from tariffs.lines import CannotRate
from tariffs.rehearsal import CONFIDENCE_WORDS

CODE_MAX: Final = 100


def shift_asked() -> int:
    """Return the share of the evening that the address asks to move, per cent."""
    text = request.args.get("shift", "")
    return int(text) if text in set(map(str, SHIFTS_PERCENT)) else SHIFT_PERCENT


def comparison_page(
    here: Visit, row: AccountRow, section: str, *, active: str
) -> ResponseReturnValue:
    """Return the page of a comparison in the console or the account pages, or its CSV file."""
    part = comparison_part(here, row)
    table: Table[Any] | None = part["table"]
    if export_asked() and table is not None:
        return table.csv()
    return render_template(
        f"{section}/comparison.html",
        active=active,
        choose_url=url_for(f"{section}.choose_plan", number=row.number),
        **part,
    )


def comparison_part(here: Visit, row: AccountRow) -> dict[str, Any]:
    """Return what the templates of a comparison show."""
    account_id = AccountId(row.id)
    shift = shift_asked()
    last = Month.of(here.today).plus(-1)
    found: Comparison | None = None
    refusal: CannotRate | None = None
    try:
        found = compare(
            here.session, here.scope, account_id, last, months=MONTHS, shift_percent=shift
        )
    except CannotRate as why:
        refusal = why
    choice = None if row.closed_on else choice_of(here.session, here.scope, account_id, here.now)
    return {
        "account": row,
        "found": found,
        "refusal": refusal,
        "choice": choice,
        "shift": shift,
        "shifts": SHIFTS_PERCENT,
        "confidence_words": CONFIDENCE_WORDS,
        "may_choose": here.may(Right.CHOOSE_PLAN),
        "table": None if found is None else costs_table(found, here.language == "ru"),
    }


def costs_table(found: Comparison, russian: bool) -> Table[Any]:
    """Return the plans with what each would have cost."""
    own = found.own
    columns: list[Column[Any]] = [
        Column("plan", mark("Plan"), lambda one: one.plan.name if russian else one.plan.name_en),
        Column("cost", mark("Cost"), lambda one: one.cost_minor, Kind.MONEY),
    ]
    if found.discounts_differ:
        columns.append(
            Column(
                "rates",
                mark("Before discounts"),
                lambda one: one.by_rates_minor,
                Kind.MONEY,
                minor=True,
            )
        )
    if own is not None:
        columns.append(
            Column(
                "difference",
                mark("Difference in cost"),
                lambda one: one.cost_minor - own.cost_minor,
                Kind.MONEY,
                tone=lambda one: "good" if one.cost_minor < own.cost_minor else "",
            )
        )
    if any(one.shift_gain_minor is not None for one in found.costs):
        columns.append(
            Column(
                "shift",
                mark("Saved by moving the evening"),
                lambda one: one.shift_gain_minor,
                Kind.MONEY,
            )
        )
    return Table(
        name="plans",
        caption=mark("What the same consumption would have cost"),
        columns=columns,
        items=found.costs,
        empty=mark("No plan could price this consumption."),
    )


def take_choice(here: Visit, row: AccountRow) -> bool:
    """Let the account have the plan that the form names, and say what came of it."""
    plan_code = request.form.get("plan", "")[:CODE_MAX]
    scope, language, account_id = here.scope, here.language, AccountId(row.id)
    try:
        with here.writing() as session:
            choice: Choice = choose_plan(
                session, scope, account_id, plan_code, here.application.clock
            )
    except DomainError as error:
        if error.code not in {"cannot_switch", "invalid"}:
            raise
        flash(sentence(error, language), "bad")
        return False
    if choice.pending is None or choice.pending_from is None:
        flash(translate(mark("The plan stays as it is.")), "good")
    else:
        name = choice.pending.name if language == "ru" else choice.pending.name_en
        flash(
            translate(
                mark("The plan %(plan)s holds from %(day)s. Until then you may take it back.")
            )
            % {"plan": name, "day": date_text(choice.pending_from, language)},
            "good",
        )
    return True
