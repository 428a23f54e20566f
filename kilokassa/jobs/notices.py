"""Commands about notices and webhooks: what was told, what proves it, and sending it again."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from kilokassa.core.text import instant_text, mark
from kilokassa.jobs.console import Console, emit, json_option, pass_console

if TYPE_CHECKING:
    from notices.store import NoticeSummary

METHODS = (
    "receipt_in_hand",
    "registered_mail",
    "recorded_call",
    "payment_document",
    "gateway",
    "other",
)
STATES = ("pending", "sending", "sent", "failed", "given_up")


@click.group()
def notices() -> None:
    """What was told to customers and systems, and what proves that it arrived.

    Example: kilokassa notices list --state given_up
    """


@notices.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--account", "number", help="Only those to this account.")
@click.option("--undelivered", is_flag=True, help="Only those without a proven delivery.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@pass_console
def list_command(
    console: Console,
    state: str | None,
    number: str | None,
    undelivered: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List notices, the latest first.

    Example: kilokassa notices list --account 2799000004 --undelivered
    """
    from billing.store import account_by_number
    from kilokassa.core.ids import AccountId
    from notices.notice import NoticeState
    from notices.store import NoticeFilter, list_notices

    with console.installed.database.reading() as session:
        account_id = None
        if number is not None:
            account_id = AccountId(account_by_number(session, console.scope, number).id)
        asked = NoticeFilter(
            state=None if state is None else NoticeState(state),
            account_id=account_id,
            undelivered=undelivered,
        )
        found, total = list_notices(session, console.scope, asked, limit=limit)
    if as_json:
        emit({"total": total, "items": [asdict(one) for one in found]})
        return
    for one in found:
        click.echo(_line(console, one))
    if total > len(found):
        console.say(mark("%(shown)s of %(total)s are shown."), shown=len(found), total=total)


@notices.command()
@click.argument("notice_id", type=int)
@json_option
@pass_console
def show(console: Console, notice_id: int, as_json: bool) -> None:
    """Show notice NOTICE_ID as it was written, with its attempts and deliveries.

    Example: kilokassa notices show 17
    """
    from notices.store import written_notice

    with console.installed.database.reading() as session:
        found = written_notice(session, console.scope, notice_id)
    if as_json:
        emit(asdict(found))
        return
    click.echo(_line(console, found.summary))
    click.echo(f"\n{found.summary.subject}\n\n{found.summary.text}")
    for attempt in found.attempts:
        click.echo(f"{_when(console, attempt.began_at)}  {attempt.outcome}  {attempt.answer}")
    for one in found.deliveries:
        gone = "" if one.stands else f"  ({console.text(mark('withdrawn'))}: {one.withdrawn_why})"
        at = _when(console, one.delivered_at)
        click.echo(f"{one.id:>6}  {at}  {one.method}  {one.proof}  {one.actor}{gone}")


@notices.command()
@click.argument("notice_id", type=int)
@click.option("--method", type=click.Choice(METHODS), required=True, help="How it arrived.")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    required=True,
    help="When, in UTC, such as 2026-11-24T04:30.",
)
@click.option("--proof", required=True, help="Number of the receipt or letter, or the like.")
@json_option
@pass_console
def deliver(
    console: Console, notice_id: int, method: str, at: datetime, proof: str, as_json: bool
) -> None:
    """Record that notice NOTICE_ID was delivered; the same again changes nothing.

    Example: kilokassa notices deliver 17 --method registered_mail --at 2026-11-24T04:30
    --proof "RPO 68000012345678"
    """
    from kilokassa.app.proofs import record_delivery
    from notices.desk.service import DeliveryOrder
    from notices.notice import DeliveryMethod

    application = console.installed
    order = DeliveryOrder(notice_id, DeliveryMethod(method), at.replace(tzinfo=UTC), proof)
    with application.database.writing() as session:
        done = record_delivery(session, console.scope, order, application.clock)
    if as_json:
        emit({"id": done.record.id, "repeated": done.repeated})
        return
    console.say(
        mark("The delivery was recorded before.")
        if done.repeated
        else mark("The delivery is recorded.")
    )


@notices.command()
@click.argument("delivery_id", type=int)
@click.option("--why", required=True, help="Why the record is wrong.")
@pass_console
def withdraw(console: Console, delivery_id: int, why: str) -> None:
    """Withdraw record DELIVERY_ID of a delivery; it counts no more, and both stay readable.

    Example: kilokassa notices withdraw 5 --why "the receipt is of another flat"
    """
    from kilokassa.app.proofs import withdraw_delivery

    application = console.installed
    with application.database.writing() as session:
        withdraw_delivery(session, console.scope, delivery_id, why, application.clock)
    console.say(mark("The record is withdrawn and counts no more."))


@notices.command()
@click.argument("notice_id", type=int)
@json_option
@pass_console
def replay(console: Console, notice_id: int, as_json: bool) -> None:
    """Put notice NOTICE_ID on its way again: an event under its own id, a sent letter as a copy.

    Example: kilokassa notices replay 17
    """
    from notices.desk.service import send_again

    application = console.installed
    with application.database.writing() as session:
        sent = send_again(session, console.scope, notice_id, application.clock)
    if as_json:
        emit(asdict(sent))
        return
    console.say(mark("Notice %(notice)s is on its way."), notice=sent.notice_id)


@notices.command()
@pass_console
def send(console: Console) -> None:
    """Write what the days have brought and send what is due, now; twice is once.

    Example: kilokassa notices send
    """
    from datetime import date

    from kilokassa.app.notices_due import tell_what_is_due
    from kilokassa.app.upkeep import send_notices

    application = console.installed
    written = tell_what_is_due(application).written
    sent = send_notices(application, date.min)
    console.say(mark("Written: %(written)s, sent: %(sent)s."), written=written, sent=sent)


@click.group()
def webhooks() -> None:
    """Where other systems are told of events.

    Example: kilokassa webhooks list
    """


@webhooks.command("list")
@json_option
@pass_console
def list_webhooks(console: Console, as_json: bool) -> None:
    """List the webhooks and how they stand.

    Example: kilokassa webhooks list --json
    """
    from notices.store import endpoints

    with console.installed.database.reading() as session:
        found = endpoints(session)
    if as_json:
        emit([asdict(one) for one in found])
        return
    for one in found:
        state = mark("in use") if one.active else mark("not in use")
        counts = "  ".join(f"{key}: {value}" for key, value in sorted(one.counts.items()))
        click.echo(f"{one.code:<20} {console.text(state)}  {one.url}  {counts}  {one.last_error}")


@webhooks.command()
@click.argument("code")
@click.argument("url")
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind; may be repeated.")
@json_option
@pass_console
def add(console: Console, code: str, url: str, kinds: tuple[str, ...], as_json: bool) -> None:
    """Add webhook CODE that leads to URL, and print its secret, this once.

    Example: kilokassa webhooks add crm https://crm.example.org/kilokassa --kind top_up_received
    """
    from kilokassa.app.delivery import webhook_rules
    from notices.desk.service import EndpointOrder, add_endpoint
    from notices.notice import NoticeKind

    known = set(NoticeKind)
    for kind in kinds:
        if kind not in known:
            raise click.BadParameter(f"{kind!r} is none of: {', '.join(sorted(known))}")
    application = console.installed
    order = EndpointOrder(code, url, tuple(NoticeKind(kind) for kind in kinds))
    with application.database.writing() as session:
        secret = add_endpoint(
            session, console.scope, order, application.clock, webhook_rules(application.settings)
        )
    if as_json:
        emit({"code": code, "secret": secret})
        return
    console.say(mark("The secret, shown this once: %(secret)s"), secret=secret)


@webhooks.command("test")
@click.argument("code")
@pass_console
def test_command(console: Console, code: str) -> None:
    """Send a test event to webhook CODE; the scheduler delivers it within a minute.

    Example: kilokassa webhooks test crm
    """
    from kilokassa.app.webhooks import send_test

    application = console.installed
    with application.database.writing() as session:
        send_test(session, console.scope, code, application.clock)
    console.say(mark("A test event is on its way."))


@webhooks.command("replay")
@click.argument("code")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True)
@json_option
@pass_console
def replay_events(console: Console, code: str, days: int, as_json: bool) -> None:
    """Send the events of webhook CODE of the last days again, each under its own id.

    Example: kilokassa webhooks replay crm --days 2
    """
    from notices.desk.service import replay_endpoint

    application = console.installed
    since = application.clock.now() - timedelta(days=days)
    with application.database.writing() as session:
        events = replay_endpoint(session, console.scope, code, since, application.clock)
    if as_json:
        emit({"events": events})
        return
    console.say(mark("Events on their way again: %(events)s."), events=events)


def _line(console: Console, one: "NoticeSummary") -> str:
    delivered: Any = "—" if one.delivered_at is None else _when(console, one.delivered_at)
    return (
        f"{one.id:>6}  {_when(console, one.created_at)}  {one.kind:<20} {one.way:<9} "
        f"{one.recipient}  {one.state}  {console.text(mark('delivered'))}: {delivered}"
    )


def _when(console: Console, at: datetime) -> str:
    from zoneinfo import ZoneInfo

    return instant_text(at, ZoneInfo("UTC"), console.language)


COMMANDS = (notices, webhooks)
