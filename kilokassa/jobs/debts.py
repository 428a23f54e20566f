"""Commands about debts: debtors, one debt, late fees, agreements, flags, deciding anew."""

from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from kilokassa.core.ids import AccountId
from kilokassa.core.text import amount_text, date_text, instant_text, mark, told
from kilokassa.jobs.console import Console, DayType, emit, json_option, pass_console

if TYPE_CHECKING:
    from kilokassa.app.debts import AgreementView
    from wallet.debts.store import DecisionView

FLAGS = (
    "vulnerable",
    "never_cut",
    "guard_set",
    "emergency_credit",
    "apartment_house",
    "opening_share",
)


@click.group()
def debt() -> None:
    """Who owes what, what follows from it, and what holds it back.

    Example: kilokassa debt show 2799000004
    """


@debt.command("list")
@click.option("--state", help="Only services that stand so, such as notice_due.")
@click.option("--building", default="", help="Only the house with this code.")
@json_option
@pass_console
def list_debtors(console: Console, state: str | None, building: str, as_json: bool) -> None:
    """List the debtors, the harshest state first, with every guard that holds each back.

    Example: kilokassa debt list --state limited --json
    """
    from kilokassa.app.debt_views import debtors
    from wallet.debts.service_state import ServiceState

    if state is not None and state not in set(ServiceState):
        raise click.BadParameter(", ".join(ServiceState), param_hint="--state")
    application = console.installed
    with application.database.reading() as session:
        found = debtors(
            session,
            console.scope,
            application.clock,
            state=None if state is None else ServiceState(state),
            building_code=building,
        )
    if as_json:
        emit(
            [
                {
                    "account": one.number,
                    "building": one.building_code,
                    "premises": one.premises,
                    "overdue_since": one.overdue_since,
                    "days_overdue": one.days,
                    **_decision(one.decision),
                    "debt_minor": one.debt_minor,
                }
                for one in found
            ]
        )
        return
    for one in found:
        decision = one.decision
        held = "; ".join(told(each.reason, console.language) for each in decision.held_by)
        amount = amount_text(one.debt_minor, console.language)
        click.echo(f"{one.number}  {decision.service}  {decision.state}  {amount}  {held}")
    console.say(mark("Debtors: %(count)s"), count=len({one.number for one in found}))


@debt.command("show")
@click.argument("account")
@json_option
@pass_console
def show(console: Console, account: str, as_json: bool) -> None:
    """Show what the ACCOUNT owes, how its services stand and why, and its late fees.

    Example: kilokassa debt show 2799000004 --json
    """
    from billing.store import account_by_number, retailer_zone
    from kilokassa.app.debt_views import debt_view
    from kilokassa.core.calendar import Month

    application, language = console.installed, console.language
    with application.database.reading() as session:
        account_id = AccountId(account_by_number(session, console.scope, account).id)
        zone = retailer_zone(session)
        view = debt_view(application, session, console.scope, account_id)
    if as_json:
        emit(
            {
                "account": account,
                "overdue_minor": view.overdue_minor,
                "opening_minor": view.opening_minor,
                "fees_minor": view.fees_minor,
                "ahead_minor": view.ahead_minor,
                "services": [
                    {
                        "service": one.service,
                        "overdue_minor": one.overdue_minor,
                        "overdue_since": one.overdue_since,
                        "not_due_minor": one.not_due_minor,
                        "norm_month_minor": one.norm_month_minor,
                    }
                    for one in view.services
                ],
                "decisions": [_decision(one) for one in view.history],
                "late_fees": [
                    {
                        "month": str(Month.from_ordinal(one.settled.bill.charge_month)),
                        "service": one.settled.bill.service,
                        "amount_minor": one.fee.amount_minor,
                        "charged_minor": one.charged_minor,
                        "counted_until": one.until,
                    }
                    for one in view.computed
                ],
                "warnings": [told(text, language) for text in view.warnings],
            }
        )
        return
    console.say(mark("overdue %(amount)s"), amount=amount_text(view.overdue_minor, language))
    for one in view.services:
        since = "" if one.overdue_since is None else f"  {date_text(one.overdue_since, language)}"
        state = "" if one.decision is None else f"  {one.decision.state}"
        click.echo(f"  {one.service}  {amount_text(one.overdue_minor, language)}{since}{state}")
        for held in () if one.decision is None else one.decision.held_by:
            until = "" if held.until is None else f" ({instant_text(held.until, zone, language)})"
            click.echo(f"    {told(held.reason, language)}{until}")
    for fee in view.computed:
        amount = amount_text(fee.fee.amount_minor, language)
        month = Month.from_ordinal(fee.settled.bill.charge_month)
        console.say(mark("late fee of %(month)s: %(amount)s"), month=str(month), amount=amount)
    for text in view.warnings:
        click.echo(told(text, language), err=True)


@debt.command("late-fees")
@click.option("--through", type=DayType(), help="The last day counted; else that of last month.")
@json_option
@pass_console
def late_fees(console: Console, through: date | None, as_json: bool) -> None:
    """Charge late fees and agreed interest up to a day; repeat at will.

    Late fees are posted only where KILOKASSA_CHARGE_LATE_FEES is 1; else the command tells what
    they would come to.

    Example: kilokassa debt late-fees --through 2026-10-31
    """
    from kilokassa.app.late_fees import charge_late_fees

    report = charge_late_fees(console.installed, through, scope=console.scope)
    if as_json:
        emit(
            {
                "through_on": report.through_on,
                "accounts": report.accounts,
                "bills": report.bills,
                "charged_minor": report.charged_minor,
                "interest_minor": report.interest_minor,
                "charging": report.charging,
                "stopped": report.stopped,
            }
        )
        return
    amount = amount_text(report.charged_minor, console.language)
    console.say(
        mark("Late fees: %(bills)s bills of %(accounts)s accounts, %(amount)s"),
        bills=report.bills,
        accounts=report.accounts,
        amount=amount,
    )
    if not report.charging:
        console.warn(mark("Nothing was posted: charging late fees is switched off."))
    if report.stopped:
        console.warn(mark("The key rates end before that day: later days were not counted."))


@debt.command("decide")
@click.option("--account", help="Only the account with this number.")
@json_option
@pass_console
def decide(console: Console, account: str | None, as_json: bool) -> None:
    """Decide anew how services stand, and write the notices that are due; no command is sent.

    Example: kilokassa debt decide
    """
    from kilokassa.app.service_states import decide_services

    report = decide_services(console.installed, scope=console.scope, account_number=account)
    if as_json:
        emit({"accounts": report.accounts, "changed": report.changed, "notices": report.notices})
        return
    console.say(
        mark("Decided: %(changed)s changed, notices written: %(notices)s"),
        changed=report.changed,
        notices=report.notices,
    )


@debt.command("flag")
@click.argument("account")
@click.argument("kind", type=click.Choice(FLAGS))
@click.argument("value", required=False)
@click.option("--from", "since", type=DayType(), help="The first day; else today.")
@click.option("--document", default="", help="What proves it.")
@click.option("--withdraw", type=int, help="Take the statement with this number back.")
@json_option
@pass_console
def flag(
    console: Console,
    account: str,
    kind: str,
    value: str | None,
    since: date | None,
    document: str,
    withdraw: int | None,
    as_json: bool,
) -> None:
    """State a flag of the ACCOUNT from a day on, take one back, or list those of a KIND.

    Example: kilokassa debt flag 2799000004 vulnerable yes --document "certificate 7"
    """
    from billing.store import account_by_number, retailer_zone
    from kilokassa.app.debts import set_flag, take_flag_back
    from kilokassa.core.calendar import local_date
    from wallet.debts.flags import FlagKind
    from wallet.debts.store import flag_statements

    application = console.installed
    with application.database.writing() as session:
        account_id = AccountId(account_by_number(session, console.scope, account).id)
        changed = None
        if withdraw is not None:
            changed = take_flag_back(
                session, console.scope, account_id, withdraw, application.clock
            )
        elif value is not None:
            today = local_date(application.clock.now(), retailer_zone(session))
            changed = set_flag(
                session,
                console.scope,
                account_id,
                FlagKind(kind),
                value,
                since=since or today,
                document=document,
                clock=application.clock,
            )
        found = [
            one
            for one in flag_statements(session, console.scope, account_id)
            if one.kind is FlagKind(kind)
        ]
    if as_json:
        emit(
            {
                "changed": bool(changed),
                "flags": [
                    {
                        "id": one.id,
                        "kind": one.kind,
                        "value": one.value,
                        "from": one.valid_from,
                        "document": one.document,
                        "stands": one.stands,
                    }
                    for one in found
                ],
            }
        )
        return
    if changed is not None:
        console.say(mark("It was recorded.") if changed else mark("That was recorded before."))
    for one in found:
        day = date_text(one.valid_from, console.language)
        gone = "" if one.stands else f"  ({console.text(mark('does not stand any more'))})"
        click.echo(f"  {one.id:>6}  {day}  {one.value}  {one.document}{gone}")


@debt.command("opening-share")
@click.argument("percent", type=int, required=False)
@json_option
@pass_console
def opening_share(console: Console, percent: int | None, as_json: bool) -> None:
    """Say or set which share of a top-up, in PERCENT, repays a debt from before the wallet at most.

    What was used since is paid whole before it. A flag of an account goes before this share.

    Example: kilokassa debt opening-share 20
    """
    from kilokassa.app.payments import set_opening_share

    with console.installed.database.writing() as session:
        stands = set_opening_share(session, console.scope, percent)
    if as_json:
        emit({"opening_share_percent": stands})
    else:
        console.say(
            mark("A debt from before the wallet takes at most %(percent)s %% of a top-up."),
            percent=stands,
        )


@debt.command("agreement")
@click.argument("account")
@click.option("--months", type=int, help="Sign one of so many instalments on what is owed today.")
@click.option("--first-due", type=DayType(), help="When the first instalment is to be paid.")
@click.option("--rate", default="0", show_default=True, help="Interest, per cent a year.")
@click.option("--document", default="", help="The paper that was signed.")
@click.option("--dry-run", is_flag=True, help="Only compute the instalments.")
@click.option("--end", "ended", type=int, help="End the agreement with this number.")
@click.option("--why", default="", help="Why it ends.")
@click.option("--key", help="Idempotency key: the same key and terms again change nothing.")
@json_option
@pass_console
def agreement(
    console: Console,
    account: str,
    months: int | None,
    first_due: date | None,
    rate: str,
    document: str,
    dry_run: bool,
    ended: int | None,
    why: str,
    key: str | None,
    as_json: bool,
) -> None:
    """Compute, sign or end an instalment agreement of the ACCOUNT, or list its agreements.

    Example: kilokassa debt agreement 2799000004 --months 6 --first-due 2026-12-15 --dry-run
    """
    from billing.store import account_by_number
    from kilokassa.app.debts import agreement_terms, agreement_views, end, sign
    from wallet.debts.late_fee import basis_points
    from wallet.debts.service import SignOrder

    application, scope = console.installed, console.scope
    clock = application.clock
    try:
        rate_bp = basis_points(rate.replace(",", "."))
    except ValueError:
        raise click.BadParameter(rate, param_hint="--rate") from None
    if months is not None and first_due is None:
        raise click.UsageError("--months needs --first-due")
    with application.database.writing() as session:
        account_id = AccountId(account_by_number(session, scope, account).id)
        computed = None
        if months is not None and first_due is not None:
            computed = agreement_terms(
                session,
                account_id,
                months=months,
                first_due_on=first_due,
                rate_bp=rate_bp,
                clock=clock,
            )
            if not dry_run:
                order = SignOrder(account_id, computed, document, key or uuid4().hex)
                sign(session, scope, order, clock)
        if ended is not None:
            end(session, scope, account_id, ended, why, clock)
        views = agreement_views(session, scope, clock, account_id)
    parts = () if computed is None else computed.schedule()
    if as_json:
        emit(
            {
                "schedule": [
                    {
                        "number": part.number,
                        "due_on": part.due_on,
                        "amount_minor": part.amount_minor,
                        "interest_minor": part.interest_minor,
                    }
                    for part in parts
                ],
                "agreements": [_agreement(view) for view in views],
            }
        )
        return
    for part in parts:
        due = date_text(part.due_on, console.language)
        click.echo(f"  {part.number:>3}  {due}  {amount_text(part.amount_minor, console.language)}")
    for view in views:
        made = view.agreement
        owed = amount_text(made.terms.debt_minor, console.language)
        day = date_text(made.terms.agreed_on, console.language)
        standing = view.state.standing if made.ended_on is None else "ended"
        click.echo(f"  {made.id:>6}  {day}  {owed}  {standing}")


def _decision(one: "DecisionView") -> dict[str, Any]:
    return {
        "service": one.service,
        "state": one.state,
        "action": one.action,
        "debt_minor": one.debt_minor,
        "guard_set": one.guard_set,
        "held_by": [
            {"guard": held.guard, "known": held.known, "until": held.until} for held in one.held_by
        ],
        "decided_at": one.decided_at,
        "next_at": one.next_at,
        "restore_by": one.restore_by,
    }


def _agreement(view: "AgreementView") -> dict[str, Any]:
    made = view.agreement
    return {
        "id": made.id,
        "debt_minor": made.terms.debt_minor,
        "agreed_on": made.terms.agreed_on,
        "months": made.terms.months,
        "standing": view.state.standing,
        "stands": view.stands,
        "paid_minor": view.state.paid_minor,
        "overdue_minor": view.state.overdue_minor,
        "ended_on": made.ended_on,
    }


COMMANDS = (debt,)
