"""The ledger: what its accounts come to."""

from typing import Any

from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, fields

from kilokassa.web.api.fields import MoneyField
from kilokassa.web.visit import visit
from wallet.export.service import trial_balance


class TrialBalanceRowSchema(Schema):
    """One account of the ledger; `wallets` stands for those of all customers together."""

    account = fields.String()
    debit = MoneyField()
    credit = MoneyField()


def add_routes(api: Blueprint) -> None:
    """Add the routes of the ledger."""
    api.route("/ledger/trial-balance", endpoint="trial_balance")(
        api.response(200, TrialBalanceRowSchema(many=True))(_trial_balance)
    )


def _trial_balance() -> list[dict[str, Any]]:
    """List what each account of the ledger comes to; debits and credits are one sum."""
    return [
        {"account": code, "debit": debit_minor, "credit": credit_minor}
        for code, debit_minor, credit_minor in trial_balance(visit().session)
    ]
