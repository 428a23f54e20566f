"""A resident tells that a service falls short at home, and sees what became of it."""

from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing.models import AccountRow
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.text import mark, sentence
from kilokassa.web import queries
from kilokassa.web.event_forms import ComplaintForm, tenths
from kilokassa.web.event_tables import own_quality
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit, account_of, visit
from metering.events.kinds import QualityBasis
from metering.events.service import QualityOrder, record_quality
from metering.events.store import QualityFilter, list_quality, own_place

SHOWN: Final = 50


def complaint(number: str) -> ResponseReturnValue:
    """Take a complaint about the own flat; list what was told before."""
    here = visit()
    row, _ = account_of(here, number)
    form = ComplaintForm()
    form.offer_ways()
    if request.method == "GET":
        form.key.data = uuid4().hex
    elif form.validate():
        try:
            _record(here, row, form)
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
        else:
            flash(
                translate(mark("Thank you. We have written it down and will look into it.")),
                "good",
            )
            return redirect(url_for("account.complaint", number=number))
    _, premises = queries.premises_of(here.session, row)
    found, _ = list_quality(
        here.session, here.scope, QualityFilter(premises_id=premises.id), limit=SHOWN
    )
    page = render_template(
        "account/complaint.html",
        active="account.complaint",
        account=row,
        form=form,
        table=own_quality(found, here.language),
    )
    return page, 422 if request.method == "POST" else 200


def _record(here: Visit, row: AccountRow, form: ComplaintForm) -> None:
    scope = here.scope
    place = own_place(here.session, scope, row.premises_id)
    starts_at = form.starts_at(ZoneInfo(place.zone))
    if starts_at is None:
        raise Invalid(where=mark("from"), problem=mark("the clock skipped this local time"))
    commodity, kind = form.chosen_way
    order = QualityOrder(
        commodity=commodity,
        kind=kind,
        basis=QualityBasis.COMPLAINT,
        starts_at=starts_at,
        ends_at=form.ends_at(ZoneInfo(place.zone)),
        scope=scope,
        premises_id=row.premises_id,
        measured_tenths=tenths(form.measured.data),
        note=form.note.data or "",
        idempotency_key=f"page:{form.key.data}",
    )
    with here.writing() as session:
        record_quality(session, order, here.application.clock)
