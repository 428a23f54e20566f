"""The staff console: pages of the retailer and, for its own houses, of a management company."""

from flask import Blueprint

from kilokassa.web.console import accounts, documents, home, readings, runs, tariffs


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
    console.get("/findings")(readings.findings)
    console.route("/readings/import", methods=["GET", "POST"])(readings.import_readings)
    console.get("/runs")(runs.runs)
    console.post("/runs")(runs.close_month)
    console.get("/documents")(documents.documents)
    console.get("/documents/<number>.pdf")(documents.document_pdf)
    return console
