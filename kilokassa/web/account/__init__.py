"""The account page: what a resident sees and does."""

from flask import Blueprint

from kilokassa.web.account import (
    auto_top_up,
    bonuses,
    compare,
    complaint,
    debt,
    facts,
    lines,
    notices,
    pages,
    plan,
    readings,
    refund,
    top_up,
)
from kilokassa.web.account import reserves as reserve_pages


def blueprint() -> Blueprint:
    """Return the resident's pages."""
    account = Blueprint("account", __name__, url_prefix="/account")
    account.get("/")(pages.choose)
    account.get("/<number>")(pages.home)
    account.get("/<number>/notices")(notices.notices)
    account.post("/<number>/notices", endpoint="state_notice_wishes")(notices.notices)
    account.get("/<number>/notices/<int:notice_id>")(notices.notice)
    account.get("/<number>/consumption")(pages.consumption)
    account.get("/<number>/charges")(pages.charges)
    account.get("/<number>/charges/<int:line_id>")(lines.line)
    account.get("/<number>/debt")(debt.debt)
    account.get("/<number>/facts")(facts.facts)
    account.get("/<number>/bonuses")(bonuses.bonuses)
    account.get("/<number>/plan")(plan.plan)
    auto = "/<number>/auto-top-up"
    account.route(auto, methods=["GET", "POST"])(auto_top_up.auto_top_up)
    account.post(f"{auto}/confirm", endpoint="confirm_auto_top_up")(auto_top_up.confirm)
    account.post(f"{auto}/stop", endpoint="stop_auto_top_up")(auto_top_up.stop)
    account.route("/<number>/refund", methods=["GET", "POST"])(refund.refund)
    account.post("/<number>/refund/<int:refund_id>/drop", endpoint="drop_refund")(refund.drop)
    account.get("/<number>/plans", endpoint="comparison")(compare.comparison)
    account.post("/<number>/plans", endpoint="choose_plan")(compare.choose_plan)
    account.get("/<number>/operations")(pages.operations)
    account.get("/<number>/reserves")(reserve_pages.reserves)
    account.route("/<number>/reserves/new", methods=["GET", "POST"])(reserve_pages.new_reserve)
    account.get("/<number>/reserves/<int:reserve_id>")(reserve_pages.reserve)
    account.post("/<number>/reserves/<int:reserve_id>/add")(reserve_pages.add_to_reserve)
    account.route("/<number>/reserves/<int:reserve_id>/take-out", methods=["GET", "POST"])(
        reserve_pages.take_out_of_reserve
    )
    account.get("/<number>/documents")(pages.documents)
    account.get("/<account_number>/documents/<number>.pdf")(pages.document_pdf)
    account.route("/<number>/complaint", methods=["GET", "POST"])(complaint.complaint)
    account.route("/<number>/top-up", methods=["GET", "POST"])(top_up.top_up)
    account.get("/<number>/orders/<public_id>")(top_up.payment_order)
    account.post("/<number>/orders/<public_id>/test-bank")(top_up.test_bank)
    account.route("/<number>/readings", methods=["GET", "POST"])(readings.readings)
    account.post("/<number>/readings/check")(readings.check_readings)
    return account
