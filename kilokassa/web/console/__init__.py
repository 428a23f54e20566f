"""The staff console: pages of the retailer and, for its own houses, of a management company."""

from flask import Blueprint

from kilokassa.web.console import (
    accounts,
    agreements,
    balance,
    bonuses,
    comparison,
    debtors,
    documents,
    estimates,
    events,
    exports,
    facts,
    findings,
    giving,
    home,
    house_services,
    jobs,
    ledger,
    lines,
    moves,
    notices,
    payments,
    prices,
    readings,
    recalculation,
    refunds,
    registry,
    rehearsals,
    runs,
    tariff_drafts,
    tariffs,
    walk_rounds,
    webhooks,
)
from kilokassa.web.console import reserves as reserve_pages


def blueprint() -> Blueprint:
    """Return the console's pages."""
    console = Blueprint("console", __name__, url_prefix="/console")
    console.get("/")(home.home)
    console.get("/notices")(notices.notices)
    one = "/notices/<int:notice_id>"
    console.get(one)(notices.notice)
    console.post(f"{one}/deliveries", endpoint="record_delivery")(notices.deliver)
    console.post(f"{one}/withdraw", endpoint="withdraw_delivery")(notices.withdraw)
    console.post(f"{one}/again", endpoint="send_notice_again")(notices.again)
    of_account = "/accounts/<number>/notices"
    console.get(of_account)(notices.account_notices)
    console.post(of_account, endpoint="state_notice_wishes")(notices.account_notices)
    console.get("/webhooks")(webhooks.webhooks)
    console.post("/webhooks", endpoint="add_webhook")(webhooks.webhooks)
    console.get("/webhooks/<code>")(webhooks.webhook)
    console.post("/webhooks/<code>", endpoint="change_webhook")(webhooks.change)
    console.get("/accounts")(accounts.accounts)
    console.get("/accounts/<number>")(accounts.account)
    console.get("/accounts/<number>/consumption")(accounts.account_consumption)
    console.route("/accounts/<number>/top-up", methods=["GET", "POST"])(accounts.top_up)
    console.get("/payments")(payments.payments)
    console.get("/payments/<int:payment_id>")(payments.payment)
    console.post("/payments/<int:payment_id>")(payments.settle_payment)
    console.get("/payment-files")(payments.payment_files)
    console.post("/payment-files", endpoint="send_payment_file")(payments.payment_files)
    console.get("/payment-files/<int:file_id>")(payments.payment_file)
    console.get("/payment-orders")(payments.payment_orders)
    console.get("/till")(payments.till)
    console.get("/lines/<int:line_id>")(lines.line)
    console.get("/moves")(moves.moves)
    console.route("/moves/new", methods=["GET", "POST"])(moves.move_in)
    console.post("/moves/settle")(moves.settle_moves)
    console.route("/accounts/<number>/move", methods=["GET", "POST"])(moves.move_account)
    console.get("/refunds")(refunds.refunds)
    console.post("/refunds/<int:refund_id>/pay", endpoint="pay_refund")(refunds.pay)
    console.post("/refunds/<int:refund_id>/drop", endpoint="drop_refund")(refunds.drop)
    console.route("/accounts/<number>/refund", methods=["GET", "POST"])(refunds.refund)
    console.route("/accounts/<number>/gift", methods=["GET", "POST"])(giving.gift)
    console.get("/buildings")(registry.buildings)
    console.get("/buildings/<code>")(registry.building)
    both = ["GET", "POST"]
    edit = console.route("/buildings/<code>/edit", methods=both, endpoint="edit_building")
    edit(registry.edit_building_form)
    console.route("/buildings/<code>/points/new", methods=both)(registry.new_point)
    of_house = "/buildings/<code>/services"
    console.get(of_house)(house_services.house_services)
    console.post(of_house, endpoint="assign_house_service")(house_services.assign)
    console.post(f"{of_house}/end", endpoint="end_house_service")(house_services.end)
    console.get("/services")(house_services.services)
    console.post("/services", endpoint="publish_service")(house_services.services)
    console.get("/services/<code>")(house_services.service)
    console.get("/points/<code>")(registry.point)
    edit = console.route("/points/<code>/edit", methods=both, endpoint="edit_point")
    edit(registry.edit_point_form)
    record = console.route("/points/<code>/life", methods=both, endpoint="record_life_event")
    record(registry.record_event)
    replace = console.route("/points/<code>/replace", methods=both, endpoint="replace_meter")
    replace(registry.replace_meter_form)
    console.get("/verifications")(registry.verifications)
    console.get("/tariffs")(tariffs.tariffs)
    console.get("/tariffs/<code>")(tariffs.tariff)
    console.get("/tariff-drafts")(tariff_drafts.tariff_drafts)
    console.post("/tariff-drafts")(tariff_drafts.new_tariff_draft)
    console.post("/tariff-drafts/check")(tariff_drafts.check_tariff)
    draft = "/tariff-drafts/<int:draft_id>"
    console.get(draft)(tariff_drafts.tariff_draft)
    console.post(draft)(tariff_drafts.save_tariff_draft)
    console.post(f"{draft}/step")(tariff_drafts.step_tariff_draft)
    console.get("/prices")(prices.price_series)
    console.post("/prices")(prices.begin_price_series)
    console.post("/prices/peak-hours")(prices.import_peak_hours)
    console.get("/prices/<code>")(prices.one_price_series)
    console.post("/prices/<code>")(prices.import_prices)
    console.get("/rehearsals")(rehearsals.rehearsals)
    console.route("/rehearsals/new", methods=both)(rehearsals.new_rehearsal)
    console.get("/rehearsals/<int:rehearsal_id>")(rehearsals.rehearsal)
    console.post("/rehearsals/<int:rehearsal_id>")(rehearsals.go_on_rehearsal)
    console.get("/accounts/<number>/plans")(comparison.comparison)
    console.post("/accounts/<number>/plans")(comparison.choose_plan)
    console.get("/debtors", endpoint="debtors")(debtors.list_debtors)
    of_account = "/accounts/<number>/debt"
    console.get(of_account)(debtors.debt)
    console.post(f"{of_account}/flags")(debtors.state_flag)
    console.post(f"{of_account}/flags/withdraw")(debtors.withdraw_flag)
    console.get("/agreements")(agreements.agreements)
    of_account = "/accounts/<number>/agreement"
    console.get(of_account)(agreements.new_agreement)
    console.post(of_account)(agreements.sign_agreement)
    console.post(f"{of_account}/end")(agreements.end_agreement)
    console.get("/bonuses")(bonuses.bonuses)
    console.post("/bonuses")(bonuses.publish_bonus)
    console.post("/bonuses/campaigns")(bonuses.begin_bonus_campaign)
    console.get("/bonuses/campaigns/<code>")(bonuses.campaign)
    console.get("/bonuses/rules/<code>")(bonuses.bonus_rule)
    console.get("/accounts/<number>/bonuses")(bonuses.account_bonuses)
    console.get("/accounts/<number>/facts")(facts.facts)
    console.post("/accounts/<number>/facts")(facts.state_fact)
    console.post("/accounts/<number>/facts/withdraw")(facts.withdraw_fact)
    console.get("/reserves", endpoint="all_reserves")(reserve_pages.all_reserves)
    console.get("/reserve-offers")(reserve_pages.reserve_offers)
    publish = console.post("/reserve-offers", endpoint="publish_reserve_offer")
    publish(reserve_pages.reserve_offers)
    console.get("/reserve-offers/<code>")(reserve_pages.reserve_offer)
    console.get("/reserve-costs")(reserve_pages.reserve_costs)
    console.post("/reserve-costs", endpoint="state_credit_rate")(reserve_pages.reserve_costs)
    of_account = "/accounts/<number>/reserves"
    console.get(of_account)(reserve_pages.reserves)
    console.route(f"{of_account}/new", methods=both)(reserve_pages.new_reserve)
    of_account += "/<int:reserve_id>"
    console.get(of_account)(reserve_pages.reserve)
    console.post(f"{of_account}/add")(reserve_pages.add_to_reserve)
    console.route(f"{of_account}/take-out", methods=both)(reserve_pages.take_out_of_reserve)
    console.get("/balance")(balance.balances)
    console.get("/balance/<code>")(balance.balance)
    console.get("/estimates")(estimates.estimates)
    console.get("/findings")(findings.findings)
    console.get("/findings/<int:finding_id>")(findings.finding)
    console.post("/findings/accept", endpoint="accept_findings")(findings.accept)
    console.post("/findings/<int:finding_id>/reopen", endpoint="reopen_finding")(findings.reopen)
    console.get("/device-events", endpoint="device_events")(events.device_events_page)
    console.post("/device-events", endpoint="import_events")(events.device_events_page)
    console.get("/quality")(events.quality)
    console.route("/quality/new", methods=["GET", "POST"])(events.new_quality)
    console.get("/quality/<int:event_id>")(events.quality_event)
    console.post("/quality/<int:event_id>/decide", endpoint="decide_quality")(events.decide)
    console.post("/quality/<int:event_id>/end", endpoint="end_quality")(events.end)
    console.route("/readings/import", methods=["GET", "POST"])(readings.import_readings)
    console.get("/readings/export")(exports.export_readings)
    console.post("/readings/export")(exports.exported_readings)
    console.get("/runs")(runs.runs)
    console.post("/runs")(runs.close_month)
    console.get("/ledger")(ledger.ledger)
    console.get("/jobs")(jobs.jobs)
    console.post("/jobs")(jobs.run_job)
    console.get("/recalculations")(recalculation.recalculations)
    console.post("/recalculations")(recalculation.recalculate)
    console.get("/documents")(documents.documents)
    console.get("/documents/<number>.pdf")(documents.document_pdf)
    console.route("/walk-rounds", methods=["GET", "POST"])(walk_rounds.walk_rounds)
    console.get("/walk-rounds/<int:round_id>")(walk_rounds.walk_round)
    console.get("/walk-rounds/<int:round_id>/paper")(walk_rounds.walk_round_paper)
    console.post("/walk-rounds/<int:round_id>/close")(walk_rounds.close_round)
    line = "/walk-rounds/<int:round_id>/meters/<int:meter_id>"
    console.post(line)(walk_rounds.walk_round_meter)
    console.post(f"{line}/photo")(walk_rounds.walk_round_photo)
    console.get("/reading-photos/<int:photo_id>.jpg")(walk_rounds.reading_photo)
    console.route("/reading-windows", methods=["GET", "POST"])(walk_rounds.reading_windows)
    return console
