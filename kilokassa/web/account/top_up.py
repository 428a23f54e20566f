"""Topping up: the split before paying, the order, and where it is paid; money comes from a bank.

A form makes no money: only a provider's signed message does. The test provider of a demo is a page
of ours, which signs its message as any other provider would.
"""

import json
from base64 import b64encode
from typing import Final
from uuid import uuid4

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing.models import AccountRow
from invoices.payment_qr import Payment as AskedPayment
from invoices.payment_qr import payment_payload, qr_png
from kilokassa.app.month_documents import premises_address, requisites_of
from kilokassa.app.payment_orders import (
    TEST_PROVIDER,
    NoProvider,
    OrderRequest,
    ShownSplit,
    order_ended,
    page_address,
    paying_provider,
    place_order,
    providers_of,
    receive,
    split_of,
)
from kilokassa.app.settings import ProviderSettings
from kilokassa.core.errors import DomainError, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.money import from_minor, parse_minor
from kilokassa.core.text import Language, amount_text, gettext, mark, sentence
from kilokassa.web import queries
from kilokassa.web.balance import balance_view
from kilokassa.web.forms import ResidentTopUpForm
from kilokassa.web.language import translate
from kilokassa.web.payments import ORDER_TONES, orders_table, split_rows
from kilokassa.web.visit import Visit, account_of, visit
from wallet.payments import store
from wallet.payments.models import PaymentOrderRow
from wallet.payments.payment import ORDER_WORDS, OrderState, PaymentState
from wallet.payments.signing import MessageKind, demand_authentic, read_message, signature
from wallet.payments.split import NOTHING_ASIDE, PART_WORDS, Part, ReserveWish
from wallet.reserves.signed import SignedReserve
from wallet.reserves.store import reserves_of

PRESETS: Final = (300, 500, 1000, 2000)
"""Roubles; buttons that fill the field in."""
ORDERS_SHOWN: Final = 5


def top_up(number: str) -> ResponseReturnValue:
    """Ask how much, show where it goes, and begin the payment once that is confirmed."""
    here = visit()
    row, account_id = account_of(here, number)
    form = ResidentTopUpForm()
    reserves = _reserves(here, account_id)
    provider = paying_provider(here.application, here.session)
    if request.method == "POST":
        if provider is None or not form.validate():
            # Only the bank says that money came; a form cannot.
            return _page(here, row, account_id, form, provider, None, 422)
        try:
            wish, reserve_id = _wish(reserves)
            if "confirm" in request.form:
                return _begin(here, row, account_id, form, provider, wish, reserve_id)
            clock = here.application.clock
            shown = split_of(
                here.session, here.scope, account_id, form.amount_minor, clock, wish=wish
            )
        except DomainError as error:
            form.form_errors.append(sentence(error, here.language))
            return _page(here, row, account_id, form, provider, None, 422)
        return _page(here, row, account_id, form, provider, shown, 200)
    form.key.data = uuid4().hex
    return _page(here, row, account_id, form, provider, None, 200)


def payment_order(number: str, public_id: str) -> ResponseReturnValue:
    """Show an order: where its money goes, how far it has come and, in a demo, the test bank."""
    here = visit()
    row, account_id = account_of(here, number)
    order = _order(here, account_id, public_id)
    parts = json.loads(order.split)
    return render_template(
        "account/payment_order.html",
        active="account.home",
        account=row,
        order=order,
        state=ORDER_WORDS[order.state],
        tone=ORDER_TONES[order.state],
        parts=[(PART_WORDS[part], parts[part]) for part in Part if parts.get(part)],
        bonus_minor=parts.get("bonus", 0),
        may_pay=order.state in (OrderState.OPEN, OrderState.REFUSED)
        and not order_ended(order, here.now),
        test=order.provider == TEST_PROVIDER,
        OrderState=OrderState,
    )


def test_bank(number: str, public_id: str) -> ResponseReturnValue:
    """Play the test provider: pay the order or refuse it, by a signed message like any other."""
    here = visit()
    _, account_id = account_of(here, number)
    order = _order(here, account_id, public_id)
    provider = providers_of(here.application, here.session).get(TEST_PROVIDER)
    if provider is None or order.provider != TEST_PROVIDER:
        raise NotFound(what=mark("payment order"), name=public_id[:40])
    paid = request.form.get("deed") == "pay"
    body = json.dumps(
        {
            "type": MessageKind.PAID if paid else MessageKind.REFUSED,
            "transaction": f"test-{order.public_id}",
            "order": order.public_id,
            "amount": str(from_minor(order.amount_minor).amount),
        }
    ).encode()
    at = str(int(here.now.timestamp()))
    signed = signature(provider.secret, at, body)
    demand_authentic(provider.secret, at, signed, body, here.now)
    with here.writing() as session:
        told = receive(session, provider, read_message(body), here.application.clock)
    if told.state == PaymentState.TAKEN:
        text = translate(mark("%(amount)s came in.")) % {
            "amount": amount_text(order.amount_minor, here.language)
        }
        flash(text, "good")
    return redirect(url_for("account.payment_order", number=number, public_id=public_id))


def _begin(
    here: Visit,
    row: AccountRow,
    account_id: AccountId,
    form: ResidentTopUpForm,
    provider: ProviderSettings | None,
    wish: ReserveWish,
    reserve_id: int | None,
) -> ResponseReturnValue:
    if provider is None:
        raise NoProvider
    number, scope = row.number, here.scope
    key = f"page:{form.key.data}"
    asked = OrderRequest(account_id, form.amount_minor, key, wish, reserve_id)
    with here.writing() as session:
        order = place_order(session, scope, asked, provider, here.application.clock)
        page, public_id = page_address(provider, order), order.public_id
    own = url_for("account.payment_order", number=number, public_id=public_id)
    return redirect(page or own)


def _reserves(here: Visit, account_id: AccountId) -> tuple[SignedReserve, ...]:
    """Return the reserves that money may still be set aside in."""
    found = reserves_of(here.session, here.scope, account_id)
    return tuple(one for one in found if one.ends_on > here.today and one.kept_minor > 0)


def _wish(reserves: tuple[SignedReserve, ...]) -> tuple[ReserveWish, int | None]:
    """Return what of the top-up is to be set aside, and in which reserve."""
    text = "".join(request.form.get("aside", "").split())
    chosen = request.form.get("reserve", "")
    known = {str(one.id): one.id for one in reserves}
    if not text or chosen not in known:
        return NOTHING_ASIDE, None
    minor = parse_minor(text, where=mark("To the reserve"))
    return (ReserveWish(minor), known[chosen]) if minor > 0 else (NOTHING_ASIDE, None)


def _order(here: Visit, account_id: AccountId, public_id: str) -> PaymentOrderRow:
    order = store.order_by_public_id(here.session, here.scope, public_id)
    if order.account_id != account_id:
        raise NotFound(what=mark("payment order"), name=public_id[:40])
    return order


def _page(
    here: Visit,
    row: AccountRow,
    account_id: AccountId,
    form: ResidentTopUpForm,
    provider: ProviderSettings | None,
    shown: ShownSplit | None,
    status: int,
) -> ResponseReturnValue:
    view = balance_view(here, account_id)
    orders = store.orders(here.session, here.scope, account_id=account_id, limit=ORDERS_SHOWN)
    page = render_template(
        "account/top_up.html",
        active="account.home",
        account=row,
        form=form,
        view=view,
        provider=provider,
        test=provider is not None and not provider.page_url,
        shown=shown,
        parts=[] if shown is None else split_rows(shown),
        presets=PRESETS,
        reserves=_reserves(here, account_id),
        orders=orders_table(
            orders,
            {account_id: row.number},
            lambda one: url_for(
                "account.payment_order", number=row.number, public_id=one.public_id
            ),
        ),
        requisites=requisites_of(here.retailer),
        qr=_qr(here, row, view.debt_minor),
    )
    return page, status


def _qr(here: Visit, row: AccountRow, debt_minor: int) -> str:
    """Return the payment code as a picture in the page; empty where requisites are missing."""
    address, premises = queries.premises_of(here.session, row)
    purpose = gettext(mark("Payment to account %(number)s"), Language.RUSSIAN)
    asked = AskedPayment(
        payee=requisites_of(here.retailer),
        account_number=row.number,
        purpose=purpose % {"number": row.number},
        sum_minor=debt_minor or None,
        payer_address=premises_address(address, premises.number),
    )
    try:
        return "data:image/png;base64," + b64encode(qr_png(payment_payload(asked))).decode()
    except DomainError:
        return ""
