"""The interface for other systems: `/api/v1`, described by `/api/openapi.json`.

The same users as the pages, by session or by HTTP Basic; the same scopes; the same services. Money
is a string with two decimals, energy whole watt-hours, instants ISO 8601 in UTC.
"""

from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from flask_smorest import Api  # type: ignore[import-untyped]

from kilokassa.web.api import (
    accounts,
    auto_top_ups,
    balance,
    billing,
    bonuses,
    by_hand,
    comparison,
    debts,
    estimates,
    events,
    exports,
    facts,
    findings,
    giving,
    house_services,
    jobs,
    ledger,
    lines,
    moves,
    notices,
    payments,
    prices,
    provider,
    readings,
    recalculation,
    refunds,
    registry,
    rehearsals,
    tariff_drafts,
    tariffs,
    webhooks,
)
from kilokassa.web.api import reserves as reserve_routes
from kilokassa.web.api.base import blueprint
from kilokassa.web.api.fields import ErrorSchema, MoneyField, describe_money


class KilokassaApi(Api):  # type: ignore[misc]
    """The API with our own errors: `kilokassa.web.errors` answers for pages and machines alike."""

    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        """Register none."""


def install_api(app: Flask) -> None:
    """Add the interface and its description."""
    app.config |= {
        "API_TITLE": "Kilokassa",
        "API_VERSION": "v1",
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/api",
        "OPENAPI_JSON_PATH": "openapi.json",
    }
    plugin = MarshmallowPlugin()
    api = KilokassaApi(app, spec_kwargs={"marshmallow_plugin": plugin} | _description())
    assert plugin.converter is not None, "the specification was begun above"
    plugin.converter.add_attribute_function(describe_money)  # type: ignore[no-untyped-call]
    api.spec.components.security_scheme("password", {"type": "http", "scheme": "basic"})
    api.spec.components.security_scheme(
        "session", {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"]}
    )
    routes = blueprint()
    for part in (
        accounts,
        auto_top_ups,
        moves,
        refunds,
        giving,
        notices,
        webhooks,
        registry,
        balance,
        tariffs,
        tariff_drafts,
        comparison,
        bonuses,
        facts,
        debts,
        rehearsals,
        prices,
        payments,
        provider,
        readings,
        exports,
        reserve_routes,
        by_hand,
        estimates,
        findings,
        house_services,
        events,
        lines,
        billing,
        jobs,
        ledger,
        recalculation,
    ):
        part.add_routes(routes)
    api.register_blueprint(routes)


def _description() -> dict[str, Any]:
    return {
        "info": {
            "description": "Accounts, wallets, readings, tariffs and documents of one retailer. "
            "Amounts are strings with two decimals; energy is whole watt-hours; instants are UTC."
        },
        "security": [{"password": []}, {"session": []}],
        "servers": [{"url": "/"}],
    }


__all__ = ["KilokassaApi", "MoneyField", "install_api"]
