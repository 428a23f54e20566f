"""Every route, as nobody, as the wrong resident, and as each role.

The table is read from the application: a route that has no entry here fails, so nobody can add a
page without saying who may open it and what an outsider gets.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from kilokassa.web.access import ACCESS
from tests.web.conftest import NOBODY, Clients, token
from tests.web.seed import BY_HAND, DEBTOR, PEOPLE, POSTPAID, PREPAID

EVERYONE = (NOBODY, *PEOPLE)
STAFF = ("administrator", "operator", "analyst", "auditor", "company", "other_company")
RETAILER = ("administrator", "operator", "analyst", "auditor")
RESIDENTS = ("resident", "other_resident")
DESK = ("administrator", "operator")
ANALYSTS = ("administrator", "analyst")
PUBLISHERS = ("administrator", "analyst")
WATCHERS = (*DESK, "company", "other_company")
"""Who works findings, events and quality."""

# The company looks after both houses; the other one has been given the second house alone.
REACHES_FIRST_HOUSE = ("administrator", "operator", "analyst", "auditor", "company")


@dataclass(frozen=True)
class Expected:
    """What a request to the route gives to whom; everyone else is refused."""

    url: str
    status: dict[str, int]
    """By person; those that are missing get 403, and nobody 302 (a page) or 401 (an interface)."""
    data: dict[str, str] = field(default_factory=dict)
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def of(self, person: str) -> int:
        if person in self.status:
            return self.status[person]
        if person == NOBODY:
            return 401 if self.url.startswith("/api/v1") else 302
        return 403


def open_to(people: tuple[str, ...], status: int = 200, **others: int) -> dict[str, int]:
    return dict.fromkeys(people, status) | others


def of_account(status: int = 200) -> dict[str, int]:
    """Staff whose scope holds the first house, and the account's own resident."""
    found = open_to(REACHES_FIRST_HOUSE, status, other_company=404)
    return found | {"resident": status, "other_resident": 404}


def on_console(status: int = 200) -> dict[str, int]:
    return open_to(REACHES_FIRST_HOUSE, status, other_company=404)


def on_account_page(status: int = 200) -> dict[str, int]:
    return {"resident": status, "other_resident": 404}


def routes(bill: str, receipt: str) -> dict[str, Expected]:
    """Return the expectation for every method and endpoint; `bill` is of the second house."""
    console, page, api = "/console", f"/account/{PREPAID}", "/api/v1"
    account, money = f"{api}/accounts/{PREPAID}", f"{api}/accounts/{PREPAID}/top-ups"
    key = {"Idempotency-Key": "every-route-1"}
    return {
        "GET static": Expected("/static/icon.svg", open_to(EVERYONE)),
        "GET pages.index": Expected("/", open_to(EVERYONE, 302)),
        "GET pages.health": Expected("/health", open_to(EVERYONE)),
        "GET pages.robots": Expected("/robots.txt", open_to(EVERYONE)),
        "GET pages.metrics": Expected(
            "/metrics",
            # From another machine: only those who audit.
            open_to(("administrator", "auditor")) | {NOBODY: 403},
            headers={"X-Forwarded-For": "203.0.113.7"},
        ),
        "GET pages.api_docs": Expected("/api/docs", open_to(EVERYONE)),
        "GET api-docs.openapi_json": Expected("/api/openapi.json", open_to(EVERYONE)),
        "POST pages.preferences": Expected(
            "/preferences", open_to(EVERYONE, 302), data={"theme": "auto"}
        ),
        "GET security.login": Expected("/login", open_to(tuple(PEOPLE), 302) | {NOBODY: 200}),
        "POST security.login": Expected(
            "/login", open_to(tuple(PEOPLE), 302) | {NOBODY: 200}, data={"email": "x@y.example"}
        ),
        # Signing out is tried in `test_signing_in`: here it would end the others' tests.
        "POST security.logout": Expected("/logout", {}),
        # Notices.
        "GET console.notices": Expected(f"{console}/notices", open_to(STAFF)),
        "GET console.notice": Expected(
            f"{console}/notices/1",
            open_to(REACHES_FIRST_HOUSE) | {"other_company": 404},
        ),
        "POST console.record_delivery": Expected(
            f"{console}/notices/1/deliveries", open_to(DESK, 422)
        ),
        "POST console.withdraw_delivery": Expected(
            f"{console}/notices/1/withdraw", open_to(DESK, 302)
        ),
        "POST console.send_notice_again": Expected(
            f"{console}/notices/999999/again", open_to(DESK, 302)
        ),
        "GET console.account_notices": Expected(
            f"{console}/accounts/{PREPAID}/notices", on_console()
        ),
        "POST console.state_notice_wishes": Expected(
            f"{console}/accounts/{PREPAID}/notices", open_to(DESK, 422)
        ),
        "GET console.webhooks": Expected(f"{console}/webhooks", open_to(RETAILER)),
        "POST console.add_webhook": Expected(
            f"{console}/webhooks", open_to(("administrator",), 422)
        ),
        "GET console.webhook": Expected(f"{console}/webhooks/none", open_to(RETAILER, 404)),
        "POST console.change_webhook": Expected(
            f"{console}/webhooks/none", open_to(("administrator",), 302)
        ),
        "GET account.notices": Expected(f"{page}/notices", on_account_page()),
        "POST account.state_notice_wishes": Expected(f"{page}/notices", on_account_page(422)),
        "GET account.notice": Expected(
            f"{page}/notices/999999", {"resident": 404, "other_resident": 404}
        ),
        "GET api.notices": Expected(f"{api}/notices", open_to(STAFF)),
        "GET api.notice": Expected(
            f"{api}/notices/1", open_to(REACHES_FIRST_HOUSE) | {"other_company": 404}
        ),
        "POST api.record_delivery": Expected(
            f"{api}/notices/1/deliveries", open_to(DESK, 422), json={}
        ),
        "DELETE api.withdraw_delivery": Expected(
            f"{api}/notices/1/deliveries/0?reason=x", open_to(DESK, 404)
        ),
        "POST api.send_notice_again": Expected(f"{api}/notices/999999/again", open_to(DESK, 404)),
        "GET api.account_notices": Expected(f"{account}/notices", of_account()),
        "GET api.notice_wishes": Expected(f"{account}/notice-wishes", of_account()),
        "PUT api.state_notice_wishes": Expected(
            f"{account}/notice-wishes",
            open_to((*DESK, "resident", "other_resident"), 422),
            json={"days": 61},
        ),
        "POST api.gateway_status": Expected(
            f"{api}/gateways/sms/status", open_to(EVERYONE, 401), json={}
        ),
        "GET api.webhooks": Expected(f"{api}/webhooks", open_to(RETAILER)),
        "POST api.add_webhook": Expected(
            f"{api}/webhooks", open_to(("administrator",), 422), json={}
        ),
        "GET api.webhook": Expected(f"{api}/webhooks/none", open_to(RETAILER, 404)),
        "PUT api.change_webhook": Expected(
            f"{api}/webhooks/none", open_to(("administrator",), 422), json={}
        ),
        "POST api.renew_webhook_secret": Expected(
            f"{api}/webhooks/none/secret", open_to(("administrator",), 404)
        ),
        "POST api.test_webhook": Expected(
            f"{api}/webhooks/none/test", open_to(("administrator",), 404)
        ),
        "POST api.replay_webhook": Expected(
            f"{api}/webhooks/none/replay", open_to(("administrator",), 422), json={}
        ),
        # The console.
        "GET console.home": Expected(f"{console}/", open_to(STAFF)),
        "GET console.accounts": Expected(f"{console}/accounts", open_to(STAFF)),
        "GET console.account": Expected(f"{console}/accounts/{PREPAID}", on_console()),
        "GET console.account_consumption": Expected(
            f"{console}/accounts/{PREPAID}/consumption", on_console()
        ),
        "GET console.top_up": Expected(f"{console}/accounts/{PREPAID}/top-up", open_to(DESK)),
        "POST console.top_up": Expected(f"{console}/accounts/{PREPAID}/top-up", open_to(DESK, 422)),
        "GET console.buildings": Expected(f"{console}/buildings", open_to(STAFF)),
        "GET console.building": Expected(f"{console}/buildings/KHB-A", on_console()),
        "GET console.house_services": Expected(f"{console}/buildings/KHB-A/services", on_console()),
        "POST console.assign_house_service": Expected(
            f"{console}/buildings/KHB-A/services", open_to(DESK, 422)
        ),
        "POST console.end_house_service": Expected(
            f"{console}/buildings/KHB-A/services/end", open_to(DESK, 422)
        ),
        "GET console.services": Expected(f"{console}/services", open_to(STAFF)),
        "POST console.publish_service": Expected(
            f"{console}/services", open_to(("administrator", "analyst"), 422)
        ),
        "GET console.service": Expected(f"{console}/services/none", open_to(STAFF, 404)),
        "GET console.edit_building": Expected(f"{console}/buildings/KHB-A/edit", open_to(DESK)),
        "POST console.edit_building": Expected(
            f"{console}/buildings/KHB-A/edit", open_to(DESK, 422)
        ),
        "GET console.new_point": Expected(f"{console}/buildings/KHB-A/points/new", open_to(DESK)),
        "POST console.new_point": Expected(
            f"{console}/buildings/KHB-A/points/new", open_to(DESK, 422)
        ),
        "GET console.point": Expected(f"{console}/points/KHB-A-4", on_console()),
        "GET console.edit_point": Expected(f"{console}/points/KHB-A-4/edit", open_to(DESK)),
        "POST console.edit_point": Expected(
            f"{console}/points/KHB-A-4/edit", open_to(DESK, 422), data={"latitude": "91"}
        ),
        "GET console.record_life_event": Expected(f"{console}/points/KHB-A-4/life", open_to(DESK)),
        "POST console.record_life_event": Expected(
            f"{console}/points/KHB-A-4/life", open_to(DESK, 422)
        ),
        "GET console.replace_meter": Expected(f"{console}/points/KHB-A-4/replace", open_to(DESK)),
        "POST console.replace_meter": Expected(
            f"{console}/points/KHB-A-4/replace", open_to(DESK, 422)
        ),
        "GET console.verifications": Expected(f"{console}/verifications", open_to(STAFF)),
        "GET console.tariffs": Expected(f"{console}/tariffs", open_to(STAFF)),
        "GET console.tariff_drafts": Expected(f"{console}/tariff-drafts", open_to(RETAILER)),
        "POST console.new_tariff_draft": Expected(
            f"{console}/tariff-drafts", open_to(PUBLISHERS, 404), data={"plan": "no such"}
        ),
        "POST console.check_tariff": Expected(
            f"{console}/tariff-drafts/check", open_to(PUBLISHERS)
        ),
        "GET console.tariff_draft": Expected(f"{console}/tariff-drafts/1", open_to(RETAILER)),
        "POST console.save_tariff_draft": Expected(
            f"{console}/tariff-drafts/1", open_to(PUBLISHERS, 409), data={"document": "other"}
        ),
        "POST console.step_tariff_draft": Expected(
            f"{console}/tariff-drafts/1/step", open_to(PUBLISHERS, 422)
        ),
        "GET api.tariff_drafts": Expected(f"{api}/tariff-drafts", open_to(RETAILER)),
        "POST api.begin_tariff_draft": Expected(
            f"{api}/tariff-drafts", open_to(PUBLISHERS, 422), json={}
        ),
        "GET api.tariff_draft": Expected(f"{api}/tariff-drafts/1", open_to(RETAILER)),
        "PUT api.save_tariff_draft": Expected(
            f"{api}/tariff-drafts/1", open_to(PUBLISHERS, 409), json={"document": "other"}
        ),
        "POST api.step_tariff_draft": Expected(
            f"{api}/tariff-drafts/1/steps", open_to(PUBLISHERS, 422), json={}
        ),
        "POST api.check_tariff": Expected(
            f"{api}/tariffs/check", open_to(PUBLISHERS), json={"document": "plan: x"}
        ),
        "GET console.rehearsals": Expected(f"{console}/rehearsals", open_to(RETAILER)),
        "GET console.rehearsal": Expected(f"{console}/rehearsals/1", open_to(RETAILER)),
        "GET console.new_rehearsal": Expected(f"{console}/rehearsals/new", open_to(ANALYSTS)),
        "POST console.new_rehearsal": Expected(f"{console}/rehearsals/new", open_to(ANALYSTS, 422)),
        "POST console.go_on_rehearsal": Expected(f"{console}/rehearsals/1", open_to(ANALYSTS, 302)),
        "GET console.debtors": Expected(f"{console}/debtors", open_to(STAFF)),
        "GET console.debt": Expected(f"{console}/accounts/{PREPAID}/debt", on_console()),
        "POST console.state_flag": Expected(
            f"{console}/accounts/{PREPAID}/debt/flags?kind=vulnerable", open_to(DESK, 422)
        ),
        "POST console.withdraw_flag": Expected(
            f"{console}/accounts/{PREPAID}/debt/flags/withdraw", open_to(DESK, 302)
        ),
        "GET console.agreements": Expected(f"{console}/agreements", open_to(STAFF)),
        "GET console.new_agreement": Expected(
            f"{console}/accounts/{DEBTOR}/agreement", open_to(DESK)
        ),
        "POST console.sign_agreement": Expected(
            f"{console}/accounts/{DEBTOR}/agreement", open_to(DESK, 422)
        ),
        "POST console.end_agreement": Expected(
            f"{console}/accounts/{PREPAID}/agreement/end", open_to(DESK, 302)
        ),
        "GET console.bonuses": Expected(f"{console}/bonuses", open_to(RETAILER)),
        "POST console.publish_bonus": Expected(f"{console}/bonuses", open_to(PUBLISHERS, 422)),
        "POST console.begin_bonus_campaign": Expected(
            f"{console}/bonuses/campaigns", open_to(PUBLISHERS, 422)
        ),
        "GET console.bonus_rule": Expected(f"{console}/bonuses/rules/s3", open_to(RETAILER)),
        "GET console.campaign": Expected(f"{console}/bonuses/campaigns/w23", open_to(RETAILER)),
        "GET console.account_bonuses": Expected(
            f"{console}/accounts/{PREPAID}/bonuses", on_console()
        ),
        "GET account.bonuses": Expected(f"{page}/bonuses", on_account_page()),
        "GET api.bonus_rules": Expected(f"{api}/bonuses/rules?all=true", open_to(tuple(PEOPLE))),
        "POST api.publish_bonus_rule": Expected(
            f"{api}/bonuses/rules", open_to(PUBLISHERS, 422), json={"document": ""}
        ),
        "POST api.check_bonus_rule": Expected(
            f"{api}/bonuses/rules/check", open_to(tuple(PEOPLE), 422), json={"document": ""}
        ),
        "GET api.campaigns": Expected(f"{api}/bonuses/campaigns", open_to(RETAILER)),
        "POST api.begin_new_campaign": Expected(
            f"{api}/bonuses/campaigns", open_to(PUBLISHERS, 422), json={"code": ""}
        ),
        "GET api.campaign_report": Expected(f"{api}/bonuses/campaigns/w23", open_to(RETAILER)),
        "GET api.account_bonuses": Expected(f"{account}/bonuses", of_account()),
        "GET api.preview_bonus": Expected(
            f"{account}/bonuses/preview?amount=4500.00", of_account()
        ),
        "GET console.facts": Expected(f"{console}/accounts/{PREPAID}/facts", on_console()),
        "POST console.state_fact": Expected(
            f"{console}/accounts/{PREPAID}/facts?subject=persons", open_to(DESK, 422)
        ),
        "POST console.withdraw_fact": Expected(
            f"{console}/accounts/{PREPAID}/facts/withdraw", open_to(DESK, 302)
        ),
        "GET console.comparison": Expected(f"{console}/accounts/{PREPAID}/plans", on_console()),
        "POST console.choose_plan": Expected(
            f"{console}/accounts/{PREPAID}/plans", open_to(DESK, 302), data={"plan": "no such"}
        ),
        "GET account.plan": Expected(f"{page}/plan", on_account_page()),
        "GET account.debt": Expected(f"{page}/debt", on_account_page()),
        "GET account.facts": Expected(f"{page}/facts", on_account_page()),
        "GET account.comparison": Expected(f"{page}/plans", on_account_page()),
        "POST account.choose_plan": Expected(
            f"{page}/plans", on_account_page(302), data={"plan": "no such"}
        ),
        "GET api.rehearsals": Expected(f"{api}/rehearsals", open_to(RETAILER)),
        "GET api.rehearsal": Expected(f"{api}/rehearsals/1", open_to(RETAILER)),
        "POST api.begin_rehearsal": Expected(
            f"{api}/rehearsals", open_to(ANALYSTS, 422), json={"changes": []}
        ),
        "GET api.debtors": Expected(f"{api}/debtors", open_to(STAFF)),
        "GET api.debt": Expected(f"{account}/debt", of_account()),
        "GET api.flags": Expected(
            f"{account}/flags", open_to(REACHES_FIRST_HOUSE, other_company=404)
        ),
        "POST api.state_flag": Expected(
            f"{account}/flags", open_to(DESK, 422), json={"kind": "vulnerable"}
        ),
        "DELETE api.withdraw_flag": Expected(f"{account}/flags/0", open_to(DESK, 404)),
        "GET api.agreements": Expected(f"{account}/agreements", of_account()),
        "POST api.sign_agreement": Expected(
            f"{account}/agreements",
            open_to(DESK, 422),
            json={"months": 0},
            headers={"Idempotency-Key": "agreement-1"},
        ),
        "POST api.end_agreement": Expected(
            f"{account}/agreements/0/end", open_to(DESK, 404), json={"why": "a test"}
        ),
        "GET api.facts": Expected(f"{account}/facts", of_account()),
        "POST api.state_fact": Expected(
            f"{account}/facts", open_to(DESK, 422), json={"subject": "persons"}
        ),
        "DELETE api.withdraw_fact": Expected(f"{account}/facts/persons/0", open_to(DESK, 404)),
        "GET api.comparison": Expected(f"{account}/comparison", of_account()),
        "GET api.plan_choice": Expected(f"{account}/plan", of_account()),
        "POST api.choose_plan": Expected(
            f"{account}/plan",
            open_to(DESK, 422) | {"resident": 422, "other_resident": 404},
            json={"plan": "no such"},
        ),
        "GET console.tariff": Expected(f"{console}/tariffs/two_zone", open_to(STAFF)),
        "GET console.all_reserves": Expected(f"{console}/reserves", open_to(STAFF)),
        "GET console.reserve_offers": Expected(f"{console}/reserve-offers", open_to(STAFF)),
        "POST console.publish_reserve_offer": Expected(
            f"{console}/reserve-offers", open_to(PUBLISHERS, 422), data={"document": "offer: x"}
        ),
        "GET console.reserve_offer": Expected(
            f"{console}/reserve-offers/half_year", open_to(STAFF)
        ),
        "GET console.reserve_costs": Expected(f"{console}/reserve-costs", open_to(RETAILER)),
        "POST console.state_credit_rate": Expected(
            f"{console}/reserve-costs", open_to(PUBLISHERS, 422)
        ),
        "GET console.reserves": Expected(f"{console}/accounts/{PREPAID}/reserves", on_console()),
        "GET console.new_reserve": Expected(
            f"{console}/accounts/{PREPAID}/reserves/new", open_to(DESK)
        ),
        "POST console.new_reserve": Expected(
            f"{console}/accounts/{PREPAID}/reserves/new", open_to(DESK, 422)
        ),
        # Nobody has a reserve here: where one is, `test_reserve_pages.py` looks.
        "GET console.reserve": Expected(
            f"{console}/accounts/{PREPAID}/reserves/1", on_console(404)
        ),
        "POST console.add_to_reserve": Expected(
            f"{console}/accounts/{PREPAID}/reserves/1/add", open_to(DESK, 404)
        ),
        "GET console.take_out_of_reserve": Expected(
            f"{console}/accounts/{PREPAID}/reserves/1/take-out", open_to(DESK, 404)
        ),
        "POST console.take_out_of_reserve": Expected(
            f"{console}/accounts/{PREPAID}/reserves/1/take-out", open_to(DESK, 404)
        ),
        "GET console.price_series": Expected(f"{console}/prices", open_to(STAFF)),
        "POST console.begin_price_series": Expected(
            f"{console}/prices", open_to(PUBLISHERS, 422), data={"code": "Not a code"}
        ),
        "POST console.import_peak_hours": Expected(
            f"{console}/prices/peak-hours", open_to(PUBLISHERS, 422)
        ),
        "GET console.one_price_series": Expected(f"{console}/prices/dam", open_to(STAFF)),
        "POST console.import_prices": Expected(f"{console}/prices/dam", open_to(PUBLISHERS, 422)),
        "GET console.findings": Expected(f"{console}/findings", open_to(STAFF)),
        "GET console.finding": Expected(f"{console}/findings/1", open_to(STAFF)),
        "POST console.accept_findings": Expected(
            f"{console}/findings/accept", open_to(WATCHERS, 302)
        ),
        "POST console.reopen_finding": Expected(
            f"{console}/findings/1/reopen", open_to(WATCHERS, 302)
        ),
        "GET console.device_events": Expected(f"{console}/device-events", open_to(STAFF)),
        "POST console.import_events": Expected(f"{console}/device-events", open_to(WATCHERS, 422)),
        "GET console.quality": Expected(f"{console}/quality", open_to(STAFF)),
        "GET console.quality_event": Expected(f"{console}/quality/1", open_to(STAFF)),
        "GET console.new_quality": Expected(f"{console}/quality/new", open_to(WATCHERS)),
        "POST console.new_quality": Expected(f"{console}/quality/new", open_to(WATCHERS, 422)),
        "POST console.decide_quality": Expected(
            f"{console}/quality/1/decide", open_to(WATCHERS, 302)
        ),
        "POST console.end_quality": Expected(f"{console}/quality/1/end", open_to(WATCHERS, 302)),
        "GET console.import_readings": Expected(
            f"{console}/readings/import", open_to((*DESK, "company", "other_company"))
        ),
        "POST console.import_readings": Expected(
            f"{console}/readings/import", open_to((*DESK, "company", "other_company"), 422)
        ),
        "GET console.export_readings": Expected(f"{console}/readings/export", open_to(STAFF)),
        "POST console.exported_readings": Expected(
            f"{console}/readings/export", open_to(STAFF, 422), data={"first": "soon"}
        ),
        "GET console.balances": Expected(f"{console}/balance", open_to(STAFF)),
        "GET console.estimates": Expected(f"{console}/estimates", open_to(STAFF)),
        "GET console.balance": Expected(f"{console}/balance/KHB-A", on_console()),
        "GET console.runs": Expected(f"{console}/runs", open_to(RETAILER)),
        "POST console.close_month": Expected(f"{console}/runs", open_to(DESK, 422)),
        "GET console.ledger": Expected(f"{console}/ledger", open_to(RETAILER)),
        "GET api.trial_balance": Expected(f"{api}/ledger/trial-balance", open_to(RETAILER)),
        "GET console.jobs": Expected(f"{console}/jobs", open_to(DESK)),
        "POST console.run_job": Expected(f"{console}/jobs", open_to(DESK, 422)),
        "GET api.jobs": Expected(f"{api}/jobs", open_to(DESK)),
        "POST api.run_job": Expected(f"{api}/jobs/none/runs", open_to(DESK, 404)),
        "GET console.recalculations": Expected(f"{console}/recalculations", open_to(STAFF)),
        "POST console.recalculate": Expected(
            f"{console}/recalculations", open_to(DESK, 302), data={"month": "soon"}
        ),
        "GET console.documents": Expected(f"{console}/documents", open_to(STAFF)),
        "GET console.document_pdf": Expected(f"{console}/documents/{bill}.pdf", open_to(STAFF)),
        # The account page.
        "GET account.choose": Expected("/account/", {"resident": 302, "other_resident": 200}),
        "GET account.home": Expected(page, on_account_page()),
        "GET account.consumption": Expected(f"{page}/consumption", on_account_page()),
        "GET account.charges": Expected(f"{page}/charges", on_account_page()),
        "GET account.operations": Expected(f"{page}/operations", on_account_page()),
        "GET account.reserves": Expected(f"{page}/reserves", on_account_page()),
        "GET account.new_reserve": Expected(f"{page}/reserves/new", on_account_page()),
        "POST account.new_reserve": Expected(f"{page}/reserves/new", on_account_page(422)),
        "GET account.reserve": Expected(f"{page}/reserves/1", on_account_page(404)),
        "POST account.add_to_reserve": Expected(f"{page}/reserves/1/add", on_account_page(404)),
        "GET account.take_out_of_reserve": Expected(
            f"{page}/reserves/1/take-out", on_account_page(404)
        ),
        "POST account.take_out_of_reserve": Expected(
            f"{page}/reserves/1/take-out", on_account_page(404)
        ),
        "GET account.documents": Expected(f"{page}/documents", on_account_page()),
        "GET account.document_pdf": Expected(f"{page}/documents/{receipt}.pdf", on_account_page()),
        "GET account.top_up": Expected(f"{page}/top-up", on_account_page()),
        "POST account.top_up": Expected(f"{page}/top-up", on_account_page(422)),
        "GET account.complaint": Expected(f"{page}/complaint", on_account_page()),
        "POST account.complaint": Expected(f"{page}/complaint", on_account_page(422)),
        "GET account.readings": Expected(f"{page}/readings", on_account_page()),
        "POST account.readings": Expected(f"{page}/readings", on_account_page(422)),
        "POST account.check_readings": Expected(f"{page}/readings/check", on_account_page()),
        # The interface.
        "GET api.accounts": Expected(f"{api}/accounts", open_to(tuple(PEOPLE))),
        "GET api.account": Expected(account, of_account()),
        "GET api.balance": Expected(f"{account}/balance", of_account()),
        "GET api.entries": Expected(f"{account}/entries", of_account()),
        "GET api.charge_lines": Expected(f"{account}/charge-lines", of_account()),
        "GET api.documents": Expected(f"{account}/documents", of_account()),
        "GET api.document": Expected(
            f"{api}/documents/{bill}", open_to((*STAFF, "other_resident"), resident=404)
        ),
        "GET api.document_pdf": Expected(
            f"{api}/documents/{receipt}/pdf",
            open_to((*REACHES_FIRST_HOUSE, "resident"), other_company=404, other_resident=404),
        ),
        "POST api.top_up": Expected(money, open_to(DESK, 422), json={}, headers=key),
        **payments(),
        "GET api.buildings": Expected(f"{api}/buildings", open_to(STAFF)),
        "GET api.building": Expected(f"{api}/buildings/KHB-A", on_console()),
        "GET api.points": Expected(f"{api}/points", open_to(STAFF)),
        "GET api.point": Expected(f"{api}/points/KHB-A-4", on_console()),
        "GET api.verifications": Expected(f"{api}/verifications", open_to(STAFF)),
        "POST api.record_event": Expected(
            f"{api}/points/KHB-A-4/life-events", open_to(DESK, 422), json={}
        ),
        "POST api.replace_meter": Expected(
            f"{api}/points/KHB-A-4/replacements", open_to(DESK, 422), json={}
        ),
        "GET api.tariffs": Expected(f"{api}/tariffs", open_to(tuple(PEOPLE))),
        "GET api.tariff": Expected(f"{api}/tariffs/single", open_to(tuple(PEOPLE))),
        "GET api.tariff_picture": Expected(f"{api}/tariffs/single/picture", open_to(tuple(PEOPLE))),
        "GET api.services": Expected(f"{api}/services", open_to(STAFF)),
        "GET api.service": Expected(f"{api}/services/none", open_to(STAFF, 404)),
        "POST api.publish_service": Expected(
            f"{api}/services",
            open_to(("administrator", "analyst"), 422),
            json={"document": "x"},
        ),
        "GET api.house_services": Expected(f"{api}/buildings/KHB-A/services", on_console()),
        "POST api.assign_house_service": Expected(
            f"{api}/buildings/KHB-A/services",
            open_to(DESK, 422),
            json={"code": "none", "valid_from": "2023-01-01"},
        ),
        "POST api.end_house_service": Expected(
            f"{api}/buildings/KHB-A/services/end",
            open_to(DESK, 422),
            json={"code": "none", "last_day": "2023-01-01"},
        ),
        "GET api.house_balance": Expected(f"{api}/buildings/KHB-A/balance", on_console()),
        "GET api.house_suspects": Expected(
            f"{api}/buildings/KHB-A/suspects?month=2022-12", on_console()
        ),
        "GET api.estimates": Expected(f"{api}/estimates", open_to(STAFF)),
        "GET api.reserve_offers": Expected(f"{api}/reserve-offers", open_to(tuple(PEOPLE))),
        "POST api.publish_reserve_offer": Expected(
            f"{api}/reserve-offers", open_to(PUBLISHERS, 422), json={"document": "offer: x"}
        ),
        "GET api.reserve_calculation": Expected(
            f"{api}/reserve-offers/half_year/calculation?amount=500.00", open_to(tuple(PEOPLE))
        ),
        "GET api.reserves": Expected(f"{account}/reserves", of_account()),
        "POST api.sign_reserve": Expected(
            f"{account}/reserves",
            open_to((*DESK, *RESIDENTS), 404),
            json={"offer": "nowhere", "amount": "500.00"},
            headers=key,
        ),
        "GET api.reserve": Expected(f"{account}/reserves/1", open_to(tuple(PEOPLE), 404)),
        "POST api.add_to_reserve": Expected(
            f"{account}/reserves/1/additions",
            open_to((*DESK, *RESIDENTS), 404),
            json={"amount": "500.00"},
            headers=key,
        ),
        "POST api.take_out_of_reserve": Expected(
            f"{account}/reserves/1/withdrawals",
            open_to((*DESK, *RESIDENTS), 404),
            json={"amount": "500.00"},
            headers=key,
        ),
        "GET api.reserve_loss": Expected(
            f"{account}/reserves/1/loss?amount=500.00", open_to(tuple(PEOPLE), 404)
        ),
        "GET api.reserve_costs": Expected(
            f"{api}/reserve-costs?from=2022-11-01&until=2023-01-01", open_to(RETAILER)
        ),
        "POST api.state_credit_rate": Expected(
            f"{api}/credit-rates", open_to(PUBLISHERS, 422), json={"rate_ppm": -1}
        ),
        "GET api.price_series": Expected(f"{api}/prices", open_to(STAFF)),
        "POST api.begin_price_series": Expected(
            f"{api}/prices", open_to(PUBLISHERS, 422), json={"code": "x", "name": "X", "zone": "X"}
        ),
        "GET api.price_days": Expected(
            f"{api}/prices/dam?first=2023-01-01&last=2023-01-31", open_to(STAFF)
        ),
        "POST api.send_prices": Expected(f"{api}/prices/dam", open_to(PUBLISHERS, 422)),
        "GET api.peak_hours": Expected(f"{api}/peak-hours/ats", open_to(STAFF)),
        "POST api.send_peak_hours": Expected(f"{api}/peak-hours/ats", open_to(PUBLISHERS, 422)),
        "POST api.import_readings": Expected(
            f"{api}/readings", open_to((*DESK, "company", "other_company"), 422)
        ),
        "GET api.export_readings": Expected(
            f"{api}/readings/export?from=2022-12-01&to=2022-12-31", open_to(STAFF)
        ),
        "POST api.export_exchange": Expected(
            f"{api}/readings/export/80020?from=2022-12-31&to=2022-12-31", open_to(DESK)
        ),
        **by_hand(),
        "GET api.findings": Expected(f"{api}/findings", open_to(STAFF)),
        "GET api.finding": Expected(f"{api}/findings/1", open_to(STAFF)),
        "POST api.accept_some_findings": Expected(
            f"{api}/findings/accept", open_to(WATCHERS, 422), json={}
        ),
        "POST api.reopen_one_finding": Expected(
            f"{api}/findings/1/reopen", open_to(WATCHERS, 409), json={}
        ),
        "GET api.device_events": Expected(f"{api}/device-events", open_to(STAFF)),
        "POST api.send_events": Expected(
            f"{api}/device-events", open_to(WATCHERS, 422), json={}, headers=key
        ),
        "GET api.quality_events": Expected(f"{api}/quality-events", open_to(tuple(PEOPLE))),
        "GET api.quality_event": Expected(
            # Of the neighbour's flat.
            f"{api}/quality-events/1",
            open_to((*STAFF, "other_resident"), resident=404),
        ),
        "POST api.record_quality_event": Expected(
            f"{api}/quality-events", open_to(WATCHERS, 422), json={}, headers=key
        ),
        "POST api.decide_quality_event": Expected(
            f"{api}/quality-events/1/decision", open_to(WATCHERS, 422), json={}
        ),
        "POST api.end_quality_event": Expected(
            f"{api}/quality-events/1/end", open_to(WATCHERS, 422), json={}
        ),
        "POST api.complain": Expected(
            f"{account}/complaints", open_to((*WATCHERS, *RESIDENTS), 422), json={}, headers=key
        ),
        "POST api.close_month": Expected(
            f"{api}/billing/closes", open_to(DESK, 422), json={"month": "soon"}
        ),
        "GET api.recalculations": Expected(f"{api}/recalculations", open_to(STAFF)),
        "GET api.pending_recalculations": Expected(f"{api}/recalculations/pending", open_to(STAFF)),
        "POST api.recalculate": Expected(
            f"{api}/recalculations", open_to(DESK, 422), json={"month": "soon"}
        ),
    }


def payments() -> dict[str, Expected]:
    """Payments concern the whole retailer, apart from what an account itself may ask for."""
    api = "/api/v1"
    one, account = f"{api}/payments/999", f"{api}/accounts/{PREPAID}"
    payers = open_to((*DESK, "resident"), 422, other_resident=422)
    console, page = "/console", f"/account/{PREPAID}"
    return {
        "GET console.payments": Expected(f"{console}/payments", open_to(RETAILER)),
        "GET console.payment": Expected(f"{console}/payments/1", open_to(RETAILER)),
        "POST console.settle_payment": Expected(
            f"{console}/payments/1", open_to(DESK, 422), data={"deed": "match", "account": "none"}
        ),
        "GET console.payment_files": Expected(f"{console}/payment-files", open_to(RETAILER)),
        "POST console.send_payment_file": Expected(f"{console}/payment-files", open_to(DESK, 422)),
        "GET console.payment_file": Expected(f"{console}/payment-files/1", open_to(RETAILER)),
        "GET console.payment_orders": Expected(f"{console}/payment-orders", open_to(RETAILER)),
        "GET console.till": Expected(f"{console}/till", open_to(RETAILER)),
        "GET account.payment_order": Expected(
            f"{page}/orders/none", {"resident": 404, "other_resident": 404}
        ),
        "POST account.test_bank": Expected(
            f"{page}/orders/none/test-bank", {"resident": 404, "other_resident": 404}
        ),
        "GET api.payments": Expected(f"{api}/payments", open_to(RETAILER)),
        "GET api.payment_trial": Expected(f"{api}/payments/trial", open_to(RETAILER)),
        "GET api.payment": Expected(one, open_to(RETAILER, 404)),
        "GET api.payment_suggestions": Expected(f"{one}/suggestions", open_to(DESK, 404)),
        "POST api.match_payment": Expected(f"{one}/match", open_to(DESK, 422), json={}),
        "POST api.unmatch_payment": Expected(f"{one}/unmatch", open_to(DESK, 422), json={}),
        "POST api.return_payment": Expected(f"{one}/return", open_to(DESK, 422), json={}),
        "GET api.payment_files": Expected(f"{api}/payment-files", open_to(RETAILER)),
        "GET api.payment_file": Expected(f"{api}/payment-files/999", open_to(RETAILER, 404)),
        "POST api.send_payment_file": Expected(f"{api}/payment-files", open_to(DESK, 422)),
        "GET api.top_up_split": Expected(f"{account}/top-up-split?amount=10.00", of_account()),
        "GET api.payment_orders": Expected(f"{account}/payment-orders", of_account()),
        "POST api.place_payment_order": Expected(
            f"{account}/payment-orders",
            payers,
            json={},
            headers={"Idempotency-Key": "every-route-3"},
        ),
        # Nobody's signature is right.
        "POST api.provider_payments": Expected(
            f"{api}/providers/test/payments", open_to(EVERYONE, 401), json={}
        ),
    }


def by_hand() -> dict[str, Expected]:
    """The walk-round of the first house, and the readings of the hand-read meter's account."""
    takers = open_to((*DESK, "company", "other_company"))
    of_first = open_to((*DESK, "company"), other_company=404)
    walk, walks = "/console/walk-rounds/1", "/console/walk-rounds"
    api, account = "/api/v1/walk-rounds/1", f"/api/v1/accounts/{BY_HAND}/register-readings"
    meter = "meters/8"
    return {
        "GET console.walk_rounds": Expected(walks, takers),
        "POST console.walk_rounds": Expected(
            walks, open_to((*DESK, "company", "other_company"), 422), data={"day": "soon"}
        ),
        "GET console.walk_round": Expected(walk, of_first),
        "GET console.walk_round_paper": Expected(f"{walk}/paper", of_first),
        "GET console.reading_photo": Expected("/console/reading-photos/1.jpg", of_first),
        "POST console.walk_round_meter": Expected(
            f"{walk}/{meter}",
            open_to((*DESK, "company"), 302, other_company=404),
            data={"outcome": "no_access"},
        ),
        "POST console.walk_round_photo": Expected(
            f"{walk}/{meter}/photo",
            # What is no picture is said on the page itself, whoever sent it.
            open_to((*DESK, "company", "other_company"), 302),
        ),
        "POST console.close_round": Expected(
            f"{walk}/close",
            open_to((*DESK, "company"), 302, other_company=404),
            data={"again": "1"},
        ),
        "GET console.reading_windows": Expected("/console/reading-windows", open_to(DESK)),
        "POST console.reading_windows": Expected(
            "/console/reading-windows", open_to(DESK, 422), data={"valid_from": "soon"}
        ),
        "GET api.register_readings": Expected(
            account,
            open_to((*REACHES_FIRST_HOUSE, "other_resident"), other_company=404, resident=404),
        ),
        "POST api.submit_register_readings": Expected(
            account,
            open_to((*DESK, *RESIDENTS), 422),
            json={},
            headers={"Idempotency-Key": "every-route-2"},
        ),
        "GET api.walk_rounds": Expected("/api/v1/walk-rounds", takers),
        "POST api.open_round": Expected(
            "/api/v1/walk-rounds",
            open_to((*DESK, "company", "other_company"), 422),
            json={"taken_on": "soon"},
        ),
        "GET api.walk_round": Expected(api, of_first),
        "POST api.close_round": Expected(
            "/api/v1/walk-rounds/999/close", open_to((*DESK, "company", "other_company"), 404)
        ),
        "POST api.walk_round_readings": Expected(
            f"{api}/{meter}/readings", open_to((*DESK, "company", "other_company"), 422), json={}
        ),
        "POST api.walk_round_outcome": Expected(
            f"{api}/{meter}/outcome", of_first, json={"outcome": "no_access"}
        ),
        "POST api.walk_round_photo": Expected(
            f"{api}/{meter}/photo", open_to((*DESK, "company", "other_company"), 422)
        ),
    }


def of_moves() -> dict[str, Expected]:
    """Return the expectation for moves, refunds and auto top-ups of the prepaid account."""
    desk_404 = open_to(DESK, 404)
    own = open_to(DESK, 404, resident=404, other_resident=404)
    page, api = f"/account/{PREPAID}", f"/api/v1/accounts/{PREPAID}"
    on_desk = open_to(DESK, 422)
    key = {"Idempotency-Key": "every-route-m"}
    return {
        "GET console.moves": Expected("/console/moves", open_to(STAFF)),
        "GET console.move_in": Expected("/console/moves/new", open_to(DESK)),
        "POST console.move_in": Expected("/console/moves/new", on_desk, data={"on": "soon"}),
        "POST console.settle_moves": Expected("/console/moves/settle", open_to(DESK, 302)),
        "GET console.move_account": Expected(f"/console/accounts/{PREPAID}/move", open_to(DESK)),
        "POST console.move_account": Expected(
            f"/console/accounts/{PREPAID}/move", on_desk, data={"on": "soon"}
        ),
        "GET console.refunds": Expected("/console/refunds", open_to(STAFF)),
        "POST console.pay_refund": Expected(
            "/console/refunds/999/pay", open_to(DESK, 302), data={"reference": "1"}
        ),
        "POST console.drop_refund": Expected("/console/refunds/999/drop", open_to(DESK, 302)),
        "GET console.refund": Expected(f"/console/accounts/{PREPAID}/refund", open_to(DESK)),
        "POST console.refund": Expected(
            f"/console/accounts/{PREPAID}/refund", on_desk, data={"amount": "much"}
        ),
        "GET console.gift": Expected(f"/console/accounts/{PREPAID}/gift", open_to(DESK)),
        "POST console.gift": Expected(
            f"/console/accounts/{PREPAID}/gift", on_desk, data={"amount": "much"}
        ),
        "POST api.give": Expected(f"{api}/lots", on_desk, json={"kind": "loan"}, headers=key),
        "GET account.auto_top_up": Expected(f"{page}/auto-top-up", on_account_page()),
        "POST account.auto_top_up": Expected(
            f"{page}/auto-top-up", on_account_page(422), data={"amount": "much"}
        ),
        "POST account.confirm_auto_top_up": Expected(
            f"{page}/auto-top-up/confirm", on_account_page(302)
        ),
        "POST account.stop_auto_top_up": Expected(f"{page}/auto-top-up/stop", on_account_page(302)),
        "GET account.refund": Expected(f"{page}/refund", on_account_page()),
        "POST account.refund": Expected(
            f"{page}/refund", on_account_page(422), data={"amount": "much"}
        ),
        "POST account.drop_refund": Expected(f"{page}/refund/999/drop", on_account_page(302)),
        "GET api.moves": Expected("/api/v1/moves", open_to(STAFF)),
        "POST api.move": Expected("/api/v1/moves", on_desk, json={"kind": "away"}, headers=key),
        "POST api.preview_move": Expected("/api/v1/moves/preview", on_desk, json={"kind": "away"}),
        "POST api.settle_moves": Expected("/api/v1/moves/settle", open_to(DESK)),
        "GET api.refunds": Expected("/api/v1/refunds", open_to((*STAFF, *RESIDENTS))),
        "POST api.ask_refund": Expected(
            f"{api}/refunds",
            open_to((*DESK, *RESIDENTS), 422),
            json={"amount": 5},
            headers=key,
        ),
        "POST api.pay_refund": Expected(
            "/api/v1/refunds/999/pay", desk_404, json={"reference": "1"}
        ),
        "POST api.drop_refund": Expected("/api/v1/refunds/999/drop", own),
        "POST api.transfer": Expected(
            f"{api}/transfers", open_to((*DESK, *RESIDENTS), 422), json={"amount": 5}, headers=key
        ),
        "GET api.auto_top_up": Expected(f"{api}/auto-top-up", open_to((*STAFF, *RESIDENTS), 404)),
        "PUT api.agree_auto_top_up": Expected(
            f"{api}/auto-top-up", open_to((*DESK, *RESIDENTS), 422), json={"most": 5}
        ),
        "POST api.confirm_auto_top_up": Expected(
            f"{api}/auto-top-up/confirm", own | open_to(DESK, 422, resident=422)
        ),
        "DELETE api.stop_auto_top_up": Expected(
            f"{api}/auto-top-up", own | open_to(DESK, 422, resident=422)
        ),
    }


def explained(line_id: int) -> dict[str, Expected]:
    """Return the expectation for the routes of a charge line of the prepaid account."""
    return {
        "GET console.line": Expected(f"/console/lines/{line_id}", on_console()),
        "GET account.line": Expected(f"/account/{PREPAID}/charges/{line_id}", on_account_page()),
        "GET api.line_explanation": Expected(f"/api/v1/lines/{line_id}/explanation", of_account()),
    }


@pytest.fixture(scope="module")
def expected(browsers: Clients) -> dict[str, Expected]:
    def number(account: str, kind: str) -> str:
        url = f"/api/v1/accounts/{account}/documents?kind={kind}"
        answer = browsers["operator"].get(url).get_json()
        return str(answer["items"][0]["number"])

    lines = browsers["operator"].get(f"/api/v1/accounts/{PREPAID}/charge-lines").get_json()
    known = routes(number(POSTPAID, "payment_document"), number(PREPAID, "receipt"))
    return known | explained(lines[0]["id"]) | of_moves()


def every_route(app: Flask) -> list[str]:
    return sorted(
        f"{method} {rule.endpoint}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


def test_every_route_says_who_may_open_it(app: Flask, expected: dict[str, Expected]):
    unknown = [route for route in every_route(app) if route not in expected]
    closed = [route for route in every_route(app) if route.split()[1] not in ACCESS]

    assert not unknown, (
        f"{unknown}: add each route to `routes()` in this file, with the status that every person "
        "gets, and its endpoint to `kilokassa.web.access.ACCESS`"
    )
    assert not closed, f"{closed}: without an entry in `ACCESS` nobody can open these"


def test_no_entry_is_left_of_a_route_that_is_gone(app: Flask, expected: dict[str, Expected]):
    routes_now = every_route(app)

    assert [route for route in expected if route not in routes_now] == []
    assert set(ACCESS) - {route.split()[1] for route in routes_now} == set()


@pytest.mark.parametrize("person", EVERYONE)
def test_every_route_gives_each_person_what_is_theirs(
    app: Flask, clients: Clients, expected: dict[str, Expected], person: str
):
    client = clients[person]
    wrong = []

    for route in every_route(app):
        if route == "POST security.logout" or route not in expected:
            continue
        wanted = expected[route]
        method = route.split()[0]
        headers = dict(wanted.headers)
        if method != "GET":
            headers["X-CSRFToken"] = token(client)
        answer = client.open(
            wanted.url, method=method, data=wanted.data or None, json=wanted.json, headers=headers
        )
        answer.close()
        if answer.status_code != wanted.of(person):
            wrong.append((route, answer.status_code, wanted.of(person)))

    assert not wrong, f"as {person}: (route, got, wanted) {wrong}"


@pytest.mark.parametrize("person", [*RESIDENTS, "other_company"])
def test_lists_hold_only_what_the_person_reaches(clients: Clients, person: str):
    reach = {
        "resident": {PREPAID},
        "other_resident": {POSTPAID, BY_HAND},
        "other_company": {"2799000009", "2799000010", "2799000011", "2799000012"},
    }

    answer = clients[person].get("/api/v1/accounts").get_json()

    assert {item["number"] for item in answer["items"]} == reach[person]
    assert answer["total"] == len(reach[person])


def test_a_company_sees_documents_of_its_own_houses_only(clients: Clients):
    page = clients["other_company"].get("/console/documents").text

    assert POSTPAID in page
    assert PREPAID not in page


def test_a_post_without_the_token_of_the_session_is_refused(
    app: Flask, clients: Clients, expected: dict[str, Expected]
):
    client = clients["administrator"]

    for route in every_route(app):
        signed = ACCESS[route.split()[1]].signed
        if route.startswith("POST") and expected[route].of("administrator") != 403 and not signed:
            wanted = expected[route]
            answer = client.post(wanted.url, data=wanted.data or None, json=wanted.json)
            assert answer.status_code == 400, route


def test_what_is_out_of_reach_looks_like_what_does_not_exist(clients: Clients):
    client = clients["resident"]

    foreign = client.get(f"/api/v1/accounts/{POSTPAID}").get_json()
    missing = client.get("/api/v1/accounts/1").get_json()

    assert foreign["code"] == missing["code"] == "not_found"
    assert foreign["message"].replace(POSTPAID, "1") == missing["message"]
