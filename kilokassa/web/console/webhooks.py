"""Webhooks of the retailer: where events go, what came of them, and sending them again."""

from datetime import timedelta
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, StringField
from wtforms.validators import InputRequired, Length

from kilokassa.app.delivery import webhook_rules
from kilokassa.app.webhooks import endpoint_of, send_test
from kilokassa.core.errors import DomainError
from kilokassa.core.scope import Right
from kilokassa.core.text import mark, sentence
from kilokassa.web.forms import Form
from kilokassa.web.kit import Column, Kind, Paging, Table, export_asked, page_asked
from kilokassa.web.language import translate
from kilokassa.web.notices import notices_table
from kilokassa.web.visit import Visit, visit
from notices.desk.service import (
    EndpointOrder,
    add_endpoint,
    change_endpoint,
    renew_secret,
    replay_endpoint,
)
from notices.notice import NoticeKind, NoticeState
from notices.store import EndpointState, NoticeFilter, endpoints, list_notices

PAGE_SIZE: Final = 50
REPLAYED_DAYS: Final = 7


class EndpointForm(Form):
    """Where events go, and which."""

    code = StringField(mark("Code"), validators=[InputRequired(), Length(max=40)])
    url = StringField(mark("URL"), validators=[InputRequired(), Length(max=2000)])
    active = BooleanField(mark("In use"))

    def order(self, code: str | None = None) -> EndpointOrder:
        """Return the webhook as typed; kinds that are all ticked are all kinds, later ones too."""
        ticked = request.form.getlist("kinds")
        kinds = tuple(kind for kind in NoticeKind if str(kind) in ticked)
        return EndpointOrder(
            code=code or (self.code.data or "").strip(),
            url=(self.url.data or "").strip(),
            kinds=() if len(kinds) == len(OFFERED) else kinds,
            active=bool(self.active.data),
        )


OFFERED: Final = tuple(kind for kind in NoticeKind if kind is not NoticeKind.TEST)


def webhooks() -> ResponseReturnValue:
    """List the webhooks; add one, and show its secret this once."""
    here = visit()
    form = EndpointForm()
    secret = ""
    if request.method == "POST":
        if form.validate():
            try:
                order = form.order()
                scope, clock = here.scope, here.application.clock
                rules = webhook_rules(here.application.settings)
                with here.writing() as session:
                    secret = add_endpoint(session, scope, order, clock, rules)
            except DomainError as error:
                form.form_errors.append(sentence(error, here.language))
            else:
                return _one(here, order.code, secret)
    else:
        form.active.data = True
    table = _table(endpoints(here.session))
    if export_asked() == table.name:
        return table.csv()
    page = render_template(
        "console/webhooks.html",
        active="console.webhooks",
        table=table,
        form=form,
        kinds=OFFERED,
        ticked=request.form.getlist("kinds") if request.method == "POST" else list(OFFERED),
        editing=_may_edit(here),
    )
    return page, 422 if request.method == "POST" else 200


def webhook(code: str) -> ResponseReturnValue:
    """Show one webhook: how it stands, and the log of its events."""
    return _one(visit(), code, "")


def change(code: str) -> ResponseReturnValue:
    """Change a webhook, try it out, give it another secret, or replay its events."""
    here = visit()
    scope, clock = here.scope, here.application.clock
    secret, told = "", mark("The webhook is changed.")
    form = EndpointForm()
    try:
        with here.writing() as session:
            match request.form.get("action", ""):
                case "test":
                    send_test(session, scope, code, clock)
                    told = mark("A test event is on its way.")
                case "renew":
                    secret = renew_secret(session, scope, code, clock)
                    told = mark("The former secret signs nothing more.")
                case "replay":
                    since = clock.now() - timedelta(days=REPLAYED_DAYS)
                    replay_endpoint(session, scope, code, since, clock)
                    told = mark("The events of the last seven days are on their way again.")
                case _:
                    rules = webhook_rules(here.application.settings)
                    change_endpoint(session, scope, form.order(code), clock, rules)
    except DomainError as error:
        flash(sentence(error, here.language), "bad")
    else:
        flash(translate(told), "good")
        if secret:
            return _one(here, code, secret)
    return redirect(url_for("console.webhook", code=code))


def _one(here: Visit, code: str, secret: str) -> ResponseReturnValue:
    found = endpoint_of(here.session, here.scope, code)
    page = page_asked()
    events, total = list_notices(
        here.session,
        here.scope,
        NoticeFilter(endpoint=code),
        limit=PAGE_SIZE,
        offset=(page - 1) * PAGE_SIZE,
    )
    table = notices_table(events)
    if export_asked() == table.name:
        return table.csv()
    form = EndpointForm(formdata=None)
    form.code.data, form.url.data, form.active.data = found.code, found.url, found.active
    shown = render_template(
        "console/webhook.html",
        active="console.webhooks",
        found=found,
        secret=secret,
        form=form,
        kinds=OFFERED,
        ticked=list(found.kinds or OFFERED),
        table=table,
        paging=Paging(page, PAGE_SIZE, total),
        editing=_may_edit(here),
    )
    # A secret is in no cache and comes with no address to return to.
    return shown, 200, {"Cache-Control": "no-store"}


def _table(items: tuple[EndpointState, ...]) -> Table[EndpointState]:
    def state(one: EndpointState) -> str:
        if not one.active:
            return mark("not in use")
        if one.paused_until is not None and one.paused_until > visit().now:
            return mark("paused")
        return mark("in use")

    tones = {"in use": "good", "paused": "warn", "not in use": "quiet"}
    return Table(
        name="webhooks",
        caption=mark("Webhooks"),
        columns=(
            Column(
                "code",
                mark("Code"),
                lambda one: one.code,
                link=lambda one: url_for("console.webhook", code=one.code),
            ),
            Column("url", mark("URL"), lambda one: one.url, minor=True),
            Column("state", mark("State"), state, Kind.MESSAGE, tone=lambda one: tones[state(one)]),
            Column(
                "sent",
                mark("Delivered events"),
                lambda one: one.counts.get(NoticeState.SENT, 0),
                Kind.NUMBER,
            ),
            Column(
                "waiting",
                mark("Events that wait"),
                lambda one: sum(
                    one.counts.get(state, 0)
                    for state in (NoticeState.PENDING, NoticeState.FAILED, NoticeState.SENDING)
                ),
                Kind.NUMBER,
            ),
            Column(
                "given_up",
                mark("Given up"),
                lambda one: one.counts.get(NoticeState.GIVEN_UP, 0),
                Kind.NUMBER,
                tone=lambda one: "bad" if one.counts.get(NoticeState.GIVEN_UP) else "",
            ),
        ),
        items=items,
        empty=mark("No system is told of events yet: add a webhook below."),
    )


def _may_edit(here: Visit) -> bool:
    return here.scope.whole_retailer and here.may(Right.MANAGE_USERS)
