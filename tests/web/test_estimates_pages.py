"""Estimated values on pages and in the interface: a month later, nobody has read anything."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from kilokassa.app.closing import close_month
from kilokassa.app.estimating import load_norms
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.web.app import create_app
from metering.estimation.norms_file import packaged_norms
from metering.models import BuildingRow
from tests.web.conftest import Clients
from tests.web.seed import BY_HAND, PREPAID

SCOPE = system_scope("test")
ADDRESS = "/console/estimates?month=2023-01"


@pytest.fixture
def clients(own_installation: Application) -> Clients:
    """People who look at the town in February: in January nothing was read after the 14th."""
    february = FixedClock(datetime(2023, 2, 3, tzinfo=UTC))
    later = Application(own_installation.settings, own_installation.database, february)
    load_norms(later, packaged_norms(), scope=SCOPE)
    with later.database.writing() as session:
        session.execute(
            update(BuildingRow)
            .where(BuildingRow.code == "KHB-A")
            .values(norm_code="sakhalin_estove_no_heater")
        )
    close_month(later, Month(2023, 1), scope=SCOPE, tell=False)
    return Clients(create_app(later))


def listed(client, query="month=2023-01"):
    answer = client.get(f"/api/v1/estimates?{query}")
    assert answer.status_code == 200
    return answer.get_json()


def test_the_interface_tells_method_rule_and_what_follows(clients: Clients):
    (found,) = [one for one in listed(clients["operator"]) if one["account"] == BY_HAND]

    # Two months were measured, less than the three an average needs: one room, one person, 161 kWh.
    assert (found["method"], found["quantity_wh"]) == ("norm", 161_000)
    assert found["rule"] == "missing_reading.norm@2012-09-01"
    assert (found["article"], found["certain"]) == ("п. 60", True)
    assert (found["periods_in_a_row"], found["next_method"]) == (1, "norm")
    assert found["basis"]["norm"] == "sakhalin_estove_no_heater"


def test_a_management_company_sees_its_own_houses_alone(clients: Clients):
    own = {one["building"] for one in listed(clients["company"])}
    others = {one["building"] for one in listed(clients["other_company"])}

    assert own == {"KHB-A", "KHB-B"}
    assert others == {"KHB-B"}
    assert "KHB-A" not in clients["other_company"].get(ADDRESS).text
    assert clients["resident"].get("/api/v1/estimates").status_code == 403


def test_one_house_can_be_asked_for(clients: Clients):
    of_house = listed(clients["operator"], "month=2023-01&building=KHB-B")

    assert {one["building"] for one in of_house} == {"KHB-B"}
    assert listed(clients["operator"], "month=2022-12") == []


def test_the_page_and_its_file_show_the_flat_with_its_account(clients: Clients):
    clients["operator"].post("/preferences", data={"language": "en"})
    page = clients["operator"].get(ADDRESS)
    file = clients["operator"].get(f"{ADDRESS}&export=estimates")

    assert page.status_code == 200
    assert f"/console/accounts/{BY_HAND}" in page.text
    assert "п.\u00a060" in page.text
    (row,) = [line for line in file.text.splitlines() if BY_HAND in line]
    assert "161" in row
    assert "KHB-A-8" in row


def test_a_month_without_estimates_says_so(clients: Clients):
    page = clients["operator"].get("/console/estimates?month=2022-12")

    assert "За этот месяц расчётных значений нет" in page.text


def test_charges_say_how_they_came_about_on_the_page_and_in_the_interface(clients: Clients):
    lines = clients["operator"].get(f"/api/v1/accounts/{BY_HAND}/charge-lines?month=2023-01")
    resident = clients["resident"].get(f"/account/{PREPAID}/charges")

    assert {line["estimated"] - line["quantity"] for line in lines.get_json()} == {0}
    assert [line["estimated_by"][0]["method"] for line in lines.get_json()] == ["norm", "norm"]
    assert "по нормативу потребления" in resident.text


def test_the_page_with_rows_speaks_english_too(clients: Clients):
    client = clients["operator"]
    client.set_cookie("language", "en")

    page = client.get(ADDRESS)

    assert '<html lang="en"' in page.text
    assert "by the consumption norm, clause\u00a060" in page.text
    assert "no reading" in page.text
    assert "Months in a row" in page.text
