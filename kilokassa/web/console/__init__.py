"""The staff console: pages of the retailer and, for its own houses, of a management company."""

from flask import Blueprint

from kilokassa.web.console import (
    accounts,
    balance,
    documents,
    exports,
    estimates,
    home,
    readings,
    runs,
    tariffs,
    walk_rounds,
)


def blueprint() -> Blueprint:
    """Return the console's pages."""
    console = Blueprint("console", __name__, url_prefix="/console")
    console.get("/")(home.home)
    console.get("/accounts")(accounts.accounts)
    console.get("/accounts/<number>")(accounts.account)
    console.get("/accounts/<number>/consumption")(accounts.account_consumption)
    console.route("/accounts/<number>/top-up", methods=["GET", "POST"])(accounts.top_up)
    console.get("/tariffs")(tariffs.tariffs)
    console.get("/tariffs/<code>")(tariffs.tariff)
    console.get("/balance")(balance.balances)
    console.get("/balance/<code>")(balance.balance)
    console.get("/estimates")(estimates.estimates)
    console.get("/findings")(readings.findings)
    console.route("/readings/import", methods=["GET", "POST"])(readings.import_readings)
    console.get("/readings/export")(exports.export_readings)
    console.post("/readings/export")(exports.exported_readings)
    console.get("/runs")(runs.runs)
    console.post("/runs")(runs.close_month)
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
