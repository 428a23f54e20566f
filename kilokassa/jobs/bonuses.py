"""Commands about bonuses: rules, campaigns, what was granted, and granting for a month."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kilokassa.core.calendar import Month, local_date
from kilokassa.core.ids import AccountId
from kilokassa.core.money import parse_minor
from kilokassa.core.text import amount_text, date_text, mark
from kilokassa.jobs.console import (
    Console,
    DayType,
    MonthType,
    emit,
    existing_file,
    json_option,
    pass_console,
)

if TYPE_CHECKING:
    from wallet.bonuses.store import CampaignState, PublishedRule


@click.group()
def bonus() -> None:
    """Bonus rules, campaigns and what they granted.

    Example: kilokassa bonus check five-percent.yaml
    """


@bonus.command("check")
@click.argument("file", type=existing_file())
@pass_console
def check(console: Console, file: Path) -> None:
    """Check the bonus rule in FILE; write nothing and need no database.

    The format: docs/reference/bonus-rules.md.

    Example: kilokassa bonus check five-percent.yaml
    """
    from kilokassa.app.rate_files import read_tariff_text
    from wallet.bonuses.documents import promise, read_rule

    found = read_rule(read_tariff_text(file), file.name)
    console.say(
        mark("%(file)s is right: rule %(rule)s from %(day)s."),
        file=file,
        rule=found.code,
        day=found.valid_from,
    )
    message, values = promise(found.terms, console.language)
    click.echo(f"  {console.text(message, **values)}")


@bonus.command("publish")
@click.argument("file", type=existing_file())
@json_option
@pass_console
def publish(console: Console, file: Path, as_json: bool) -> None:
    """Publish the bonus rule in FILE as a version for ever; the same again changes nothing.

    Example: kilokassa bonus publish five-percent.yaml
    """
    from billing.store import retailer_zone
    from kilokassa.app.rate_files import read_tariff_text
    from wallet.bonuses.service import publish_rule

    application = console.installed
    text = read_tariff_text(file)
    with application.database.writing() as session:
        today = local_date(application.clock.now(), retailer_zone(session))
        found, new = publish_rule(
            session, console.scope, text, file.name, application.clock, today=today
        )
    if as_json:
        emit(_rule(found) | {"new": new})
        return
    message = (
        mark("Published: rule %(rule)s, version %(version)s, from %(day)s.")
        if new
        else mark("Rule %(rule)s, version %(version)s, was published before; nothing changed.")
    )
    console.say(message, rule=found.code, version=found.version, day=found.document.valid_from)


@bonus.command("rules")
@click.option("--all", "every", is_flag=True, help="Every version, not only those that run today.")
@json_option
@pass_console
def rules(console: Console, every: bool, as_json: bool) -> None:
    """List the rules that run today.

    Example: kilokassa bonus rules --all --json
    """
    from billing.store import retailer_zone
    from wallet.bonuses.documents import promise
    from wallet.bonuses.store import published_rules, rules_in_force

    application = console.installed
    with application.database.reading() as session:
        today = local_date(application.clock.now(), retailer_zone(session))
        found = published_rules(session) if every else rules_in_force(session, today)
    if as_json:
        emit([_rule(one) for one in found])
        return
    if not found:
        console.say(mark("No bonus rule runs: publish one by bonus publish FILE."))
    for one in found:
        message, values = promise(one.document.terms, console.language)
        begins = date_text(one.document.valid_from, console.language)
        campaign = "" if one.campaign is None else f"  [{one.campaign.code}]"
        click.echo(
            f"{one.code}  v{one.version}  {begins}  {console.text(message, **values)}{campaign}"
        )


@bonus.command("begin-campaign")
@click.argument("code")
@click.option("--name", required=True, help="In Russian, as residents read it.")
@click.option("--name-en", default="", help="In English.")
@click.option("--budget", required=True, help="In roubles, such as 50000 or 50000.00.")
@click.option("--from", "begins_on", type=DayType(), required=True, help="The first day.")
@click.option(
    "--until", "ends_on", type=DayType(), required=True, help="The first day it has ended."
)
@json_option
@pass_console
def begin(
    console: Console,
    code: str,
    name: str,
    name_en: str,
    budget: str,
    begins_on: date,
    ends_on: date,
    as_json: bool,
) -> None:
    """Begin the campaign CODE: money for bonuses that ends; it is never changed.

    Example: kilokassa bonus begin-campaign spring --name Весна --budget 50000 --from 2026-03-01
    --until 2026-06-01
    """
    from wallet.bonuses.service import CampaignOrder, begin_campaign

    order = CampaignOrder(
        code, name, parse_minor(budget, where="--budget"), begins_on, ends_on, name_en
    )
    application = console.installed
    with application.database.writing() as session:
        found, new = begin_campaign(session, console.scope, order, application.clock)
    if as_json:
        emit(_campaign(found) | {"new": new})
        return
    message = mark("Begun: campaign %(code)s.") if new else mark("That was recorded before.")
    console.say(message, code=found.code)


@bonus.command("campaigns")
@click.argument("code", required=False)
@json_option
@pass_console
def campaigns(console: Console, code: str | None, as_json: bool) -> None:
    """List the campaigns with what is left of them, or report on CODE by day and rule.

    Example: kilokassa bonus campaigns spring --json
    """
    from wallet.bonuses import store

    language = console.language
    with console.installed.database.reading() as session:
        if code is not None:
            report = store.campaign_report(session, console.scope, code)
            found: tuple[CampaignState, ...] = (report.campaign,)
        else:
            report, found = None, store.campaigns(session, console.scope)
    if as_json:
        if report is None:
            emit([_campaign(one) for one in found])
            return
        emit(
            _campaign(report.campaign)
            | {
                "accounts": report.accounts,
                "by_rule": [
                    {"rule": rule, "accounts": n, "amount_minor": minor}
                    for rule, n, minor in report.by_rule
                ],
                "by_day": [
                    {
                        "on": one.on,
                        "rule": one.rule_code,
                        "accounts": one.accounts,
                        "amount_minor": one.amount_minor,
                    }
                    for one in report.by_day
                ],
            }
        )
        return
    if not found:
        console.say(mark("There is no campaign yet."))
    for one in found:
        console.say(
            mark("%(code)s  %(first)s – %(end)s  granted %(granted)s of %(budget)s"),
            code=one.code,
            first=date_text(one.begins_on, language),
            end=date_text(one.ends_on, language),
            granted=amount_text(one.granted_minor, language),
            budget=amount_text(one.budget_minor, language),
        )
    for day in report.by_day if report else ():
        amount = amount_text(day.amount_minor, language)
        click.echo(f"  {date_text(day.on, language)}  {day.rule_code}  {day.accounts}  {amount}")


@bonus.command("grants")
@click.argument("account")
@json_option
@pass_console
def grants(console: Console, account: str, as_json: bool) -> None:
    """Show what ACCOUNT was granted, by which rule, and why rules gave nothing lately.

    Example: kilokassa bonus grants 2799000004
    """
    from billing.store import account_by_number, retailer_zone
    from kilokassa.app.bonuses import why_not
    from wallet.bonuses.rules import WHY_WORDS
    from wallet.bonuses.store import grants_of
    from wallet.bonuses.wording import OCCASION_WORDS

    application, language = console.installed, console.language
    with application.database.reading() as session:
        account_id = AccountId(account_by_number(session, console.scope, account).id)
        found = grants_of(session, console.scope, account_id)
        zone = retailer_zone(session)
        today = local_date(application.clock.now(), zone)
        refused = why_not(session, account_id, zone, Month.of(today).plus(-1), today)
    if as_json:
        emit(
            {
                "grants": [
                    {
                        "rule": one.rule_code,
                        "occasion": one.occasion,
                        "key": one.occasion_key,
                        "on": one.on,
                        "earned_minor": one.earned_minor,
                        "amount_minor": one.amount_minor,
                        "expires_on": one.expires_on,
                        "why": one.why,
                        "detail": dict(one.detail),
                    }
                    for one in found
                ],
                "declined": [
                    {"rule": one.rule.code, "on": one.occasion.on, "why": one.why}
                    for one in refused
                ],
            }
        )
        return
    if not found and not refused:
        console.say(mark("Nothing was granted to this account yet."))
    for one in found:
        why = "" if one.why is None else f"  {console.text(WHY_WORDS[one.why])}"
        what = console.text(OCCASION_WORDS[one.occasion])
        click.echo(
            f"  {date_text(one.on, language)}  {amount_text(one.amount_minor, language)}"
            f"  {one.rule_code}  {what}{why}"
        )
    for each in refused:
        click.echo(
            f"  {date_text(each.occasion.on, language)}  {each.rule.code}"
            f"  {console.text(WHY_WORDS[each.why])}"
        )


@bonus.command("grant-month")
@click.argument("month", type=MonthType())
@json_option
@pass_console
def grant_month(console: Console, month: Month, as_json: bool) -> None:
    """Grant what the closed MONTH earned: no debt, use moved to the night. Repeat it at will.

    The close of a month does it by itself; this is for one that was missed.

    Example: kilokassa bonus grant-month 2026-10
    """
    from kilokassa.app.bonuses import grant_month_bonuses

    with console.progress(mark("Granting bonuses")) as progress:
        report = grant_month_bonuses(
            console.installed, month, scope=console.scope, progress=progress
        )
    if as_json:
        emit(
            {
                "month": report.month,
                "accounts": report.accounts,
                "grants": report.grants,
                "amount_minor": report.amount_minor,
            }
        )
        return
    console.say(
        mark("%(month)s: %(grants)s bonuses, %(amount)s, of %(accounts)s accounts."),
        month=report.month,
        grants=report.grants,
        amount=amount_text(report.amount_minor, console.language),
        accounts=report.accounts,
    )


def _rule(one: "PublishedRule") -> dict[str, object]:
    return {
        "rule": one.code,
        "version": one.version,
        "name": one.document.name,
        "kind": one.document.kind,
        "from": one.document.valid_from,
        "until": one.document.valid_until,
        "campaign": None if one.campaign is None else one.campaign.code,
        "digest": one.document.digest,
        "published_by": one.published_by,
    }


def _campaign(one: "CampaignState") -> dict[str, object]:
    return {
        "code": one.code,
        "name": one.name,
        "begins_on": one.begins_on,
        "ends_on": one.ends_on,
        "budget_minor": one.budget_minor,
        "granted_minor": one.granted_minor,
        "left_minor": one.left_minor,
    }


COMMANDS = (bonus,)
