"""Readings by hand in pages and interface: residents, walk-rounds, windows, reminders."""

import re
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import func, select

from kilokassa.app.reading_reminders import remind_of_readings
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.web.app import create_app
from metering.by_hand.service import WindowOrder, set_reading_window
from metering.models import FindingRow, RegisterReadingRow
from notices.models import NoticeRow
from tests.web.conftest import sign_in, token
from tests.web.seed import BY_HAND, PEOPLE, POSTPAID, PREPAID, copy_of

PAGE = f"/account/{BY_HAND}/readings"
API = f"/api/v1/accounts/{BY_HAND}/register-readings"
WALK = "/console/walk-rounds/1"
METER = 8
DAY, NIGHT = f"v-{METER}-day", f"v-{METER}-night"

# What the meter showed on 1 January: 6388.428 kWh by day and 4069.842 by night.
FIRST_OF_JANUARY = {DAY: "6480", NIGHT: "4090"}


@pytest.fixture
def resident(own_app) -> FlaskClient:
    return signed_in(own_app, "other_resident")


@pytest.fixture
def operator(own_app) -> FlaskClient:
    return signed_in(own_app, "operator")


def signed_in(app, person: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie("language", "en")
    sign_in(client, PEOPLE[person].email)
    return client


def post(client: FlaskClient, url: str, follow: bool = False, **data):
    accept = data.pop("accept", "text/html")
    form = {"csrf_token": token(client)} | data
    return client.post(url, data=form, headers={"Accept": accept}, follow_redirects=follow)


def api(client: FlaskClient, url: str, body=None, key="key-0001", **more):
    headers = {"X-CSRFToken": token(client), "Idempotency-Key": key}
    return client.post(url, json=body, headers=headers, **more)


def stored(application: Application) -> int:
    with application.database.reading() as session:
        return session.scalar(select(func.count()).select_from(RegisterReadingRow))


def test_a_resident_submits_both_zones_and_sees_them_in_the_list(resident, own_installation):
    before = stored(own_installation)

    page = post(resident, PAGE, follow=True, key="a1", **FIRST_OF_JANUARY)

    assert "Your readings were taken in" in page.text
    assert ">6,480</td>" in page.text
    assert "you" in page.text
    assert stored(own_installation) == before + 2


def test_the_first_page_asks_for_readings_until_they_are_given(resident, own_app):
    home = f"/account/{BY_HAND}"
    before = resident.get(home).text

    post(resident, PAGE, key="a1", **FIRST_OF_JANUARY)

    asked = "Readings are taken in until 25 Jan 2023"
    assert asked in before
    assert asked not in resident.get(home).text
    assert asked not in signed_in(own_app, "resident").get(f"/account/{PREPAID}").text


def test_pressing_twice_counts_once(resident, own_installation):
    before = stored(own_installation)

    answers = [post(resident, PAGE, key="a1", **FIRST_OF_JANUARY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert stored(own_installation) == before + 2


def test_a_reading_below_the_last_is_refused_beside_its_field(resident, own_installation):
    before = stored(own_installation)

    page = post(resident, PAGE, key="a1", **{DAY: "6000", NIGHT: "4090"})

    assert page.status_code == 422
    assert "This is less than 6,388.428, read on 1 Jan 2023" in page.text
    assert 'value="6000"' in page.text
    assert stored(own_installation) == before


def test_an_unlikely_reading_is_taken_when_it_is_confirmed(resident, own_installation):
    unlikely = {DAY: "9480", NIGHT: "4090", "key": "a1"}

    asked = post(resident, PAGE, **unlikely)
    taken = post(resident, PAGE, follow=True, confirmed="1", **unlikely)

    assert asked.status_code == 422
    assert "The figures are right: submit" in asked.text
    assert "Your readings were taken in" in taken.text
    with own_installation.database.reading() as session:
        kinds = session.scalars(
            select(FindingRow.kind).where(FindingRow.point_code == "KHB-A-8")
        ).all()
    assert "spike" in kinds


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({DAY: "12a"}, "is not what a meter shows"),
        ({DAY: "  "}, "Write at least one reading."),
        ({DAY: "0,0001"}, "more decimals than are kept"),
        ({DAY: "12345678"}, "at most 6 digits"),
    ],
)
def test_what_is_no_reading_is_said_and_kept_in_the_form(resident, typed, problem):
    page = post(resident, PAGE, key="a1", **typed)

    assert page.status_code == 422
    assert problem in page.text


def test_readings_are_judged_while_they_are_typed_and_nothing_is_written(
    resident, own_installation
):
    before = stored(own_installation)

    answer = post(resident, f"{PAGE}/check", **{DAY: "9480", NIGHT: "4000"})

    fields = answer.get_json()["fields"]
    assert fields[DAY]["verdict"] == "warn"
    assert "where about" in fields[DAY]["text"]
    assert fields[NIGHT]["verdict"] == "refused"
    assert stored(own_installation) == before


def test_a_reading_of_today_is_corrected_from_the_list(resident):
    post(resident, PAGE, key="a1", **FIRST_OF_JANUARY)
    link = re.search(r'href="([^"]*corrects=[^"]*)"', resident.get(PAGE).text)
    assert link is not None

    form = resident.get(link[1].replace("&amp;", "&").partition("#")[0]).text
    corrects = re.search(r'name="corrects" value="([^"]+)"', form)
    assert corrects is not None
    page = post(
        resident, PAGE, follow=True, key="a2", corrects=corrects[1], **{DAY: "6470", NIGHT: "4090"}
    )

    assert 'value="6480"' in form
    assert ">6,470</td>" in page.text
    assert ">6,480</td>" not in page.text


def test_there_is_nothing_to_correct_where_nothing_was_read(resident):
    missing = resident.get(f"{PAGE}?corrects=2023-01-10T00:00:00%2B00:00")

    assert missing.status_code == 404


def test_outside_the_window_the_page_says_when_it_opens_and_still_takes_readings(
    installation, tmp_path
):
    late = copy_of(installation, tmp_path, FixedClock(datetime(2023, 1, 28, 1, tzinfo=UTC)))
    client = signed_in(create_app(late), "other_resident")

    page = client.get(PAGE).text
    taken = post(client, PAGE, follow=True, key="a1", **FIRST_OF_JANUARY)

    assert "from 15 Feb 2023 to 25 Feb 2023" in page
    assert "Your readings were taken in" in taken.text


def test_a_meter_that_sends_its_values_asks_for_nothing(own_app):
    page = signed_in(own_app, "resident").get(f"/account/{PREPAID}/readings").text

    assert "there is nothing for you to submit" in page


# --- the interface ---


def test_the_interface_lists_registers_and_takes_readings_once(operator, resident):
    body = {
        "readings": [
            {"meter": "E-0008", "zone": "day", "reading": "6480"},
            {"meter": "E-0008", "zone": "night", "reading": "4090,5"},
        ]
    }

    first = api(resident, API, body)
    again = api(resident, API, body)
    listed = operator.get(API).get_json()

    assert (first.status_code, first.get_json()["repeated"]) == (201, False)
    assert (again.status_code, again.get_json()["repeated"]) == (201, True)
    assert listed["window"] == {
        "open": True, "opens_on": "2023-01-15", "closes_on": "2023-01-25",
    }  # fmt: skip
    previous = {one["zone"]: one["previous"] for one in listed["registers"]}
    assert previous == {"day": "6480", "night": "4090.5"}
    newest = listed["readings"][0]
    assert (newest["quality"], newest["revision"]) == ("customer_read", 1)
    assert newest["source"].startswith("resident:user:")
    assert "#" not in newest["source"]


def test_a_key_for_other_readings_is_a_conflict(resident):
    body = {"readings": [{"meter": "E-0008", "zone": "day", "reading": "6480"}]}
    api(resident, API, body)

    body["readings"][0]["reading"] = "6481"
    answer = api(resident, API, body)

    assert answer.status_code == 409
    assert answer.get_json()["code"] == "request_conflict"


@pytest.mark.parametrize(
    ("reading", "code"),
    [("6000", "readings_refused"), ("9480", "confirmation_needed")],
)
def test_the_interface_refuses_with_a_code_and_a_sentence(resident, reading, code):
    body = {"readings": [{"meter": "E-0008", "zone": "day", "reading": reading}]}

    answer = api(resident, API, body)

    assert answer.status_code == 422
    assert answer.get_json()["code"] == code
    assert "E-0008" in answer.get_json()["message"]


def test_what_staff_take_in_for_a_resident_counts_as_read_by_staff(operator):
    body = {"readings": [{"meter": "E-0008", "zone": "day", "reading": "6480"}]}

    api(operator, API, body)

    newest = operator.get(API).get_json()["readings"][0]
    assert (newest["quality"], newest["source"].partition(":")[0]) == ("actual", "staff")


# --- walk-rounds ---


def test_a_list_is_opened_gone_on_with_and_closed(operator):
    opened = post(operator, "/console/walk-rounds", building="KHB-B", day="2023-01-14")
    again = post(operator, "/console/walk-rounds", building="KHB-B", day="2023-01-14")
    url = opened.headers["Location"]

    sheet = operator.get(url).text
    closed = post(operator, f"{url}/close", follow=True)

    assert again.headers["Location"] == url
    assert "H-55001" in sheet.partition("kk-walk-others")[0]
    assert "E-0009" in sheet.partition("kk-walk-others")[2]
    assert "The walk-round is closed." in closed.text
    assert "Open it again" in operator.get(url).text


def test_a_line_is_saved_and_says_how_far_the_list_has_come(operator, own_installation):
    saved = post(
        operator, f"{WALK}/meters/{METER}", accept="application/json",
        **{"v-day": "6480", "v-night": "4090"},
    ).get_json()  # fmt: skip

    assert (saved["state"], saved["stored"], saved["done"], saved["whole"]) == ("ok", True, 1, 1)
    assert saved["values"] == {"v-day": "6480", "v-night": "4090"}
    assert "+91.572 kWh" in saved["text"]


def test_a_line_that_is_unlikely_waits_for_a_second_enter(operator):
    typed = {"v-day": "9480", "v-night": "4090", "accept": "application/json"}

    asked = post(operator, f"{WALK}/meters/{METER}", **typed).get_json()
    taken = post(operator, f"{WALK}/meters/{METER}", confirmed="1", **typed).get_json()

    assert (asked["state"], asked["stored"]) == ("warn", False)
    assert "Day: " in asked["text"]
    assert "Enter once more" in asked["text"]
    assert (taken["state"], taken["stored"]) == ("ok", True)


@pytest.mark.parametrize("typed", [{"v-day": "1"}, {"v-day": "x"}, {}])
def test_a_line_that_cannot_be_is_refused_and_says_why(operator, own_installation, typed):
    before = stored(own_installation)

    answer = post(operator, f"{WALK}/meters/{METER}", accept="application/json", **typed)

    assert answer.get_json()["state"] == "refused"
    assert answer.get_json()["text"]
    assert stored(own_installation) == before


def test_without_a_script_a_line_is_saved_by_its_button(operator):
    page = post(
        operator, f"{WALK}/meters/{METER}", follow=True, outcome="no_access", note="<b>дома нет</b>"
    )

    assert 'data-state="away"' in page.text
    assert "&lt;b&gt;дома нет&lt;/b&gt;" in page.text


def test_a_photograph_is_sent_shown_small_and_never_as_anything_else(operator):
    sent = BytesIO()
    Image.new("RGB", (2000, 1000), "navy").save(sent, "PNG")
    sent.seek(0)

    answer = post(
        operator, f"{WALK}/meters/{METER}/photo", accept="application/json",
        photo=(sent, "evil.html", "text/html"),
    ).get_json()  # fmt: skip
    whole, small = operator.get(answer["url"]), operator.get(answer["url"] + "?size=small")

    assert whole.headers["Content-Type"] == "image/jpeg"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    assert Image.open(BytesIO(whole.data)).size == (1600, 800)
    assert Image.open(BytesIO(small.data)).size == (160, 80)


def test_what_is_no_photograph_is_said(operator):
    answer = post(
        operator, f"{WALK}/meters/{METER}/photo", accept="application/json",
        photo=(BytesIO(b"<svg onload=alert(1)>"), "meter.jpg"),
    ).get_json()  # fmt: skip

    assert answer["url"] == ""
    assert "no photograph" in answer["text"]


def test_staff_see_who_gave_a_reading_and_its_photograph_on_the_account(operator):
    post(
        operator, f"{WALK}/meters/{METER}", accept="application/json",
        **{"v-day": "6480", "v-night": "4090"},
    )  # fmt: skip

    page = operator.get(f"/console/accounts/{BY_HAND}").text
    file = operator.get(f"/console/accounts/{BY_HAND}?export=readings").data.decode("utf-8-sig")

    assert 'href="/console/reading-photos/1.jpg"' in page
    assert file.splitlines()[1].startswith("2023-01-15,Electricity,E-0008,Day,6480,kWh")


def test_the_list_goes_out_as_a_file_and_as_paper(operator):
    file = operator.get(f"{WALK}?export=sheet")
    paper = operator.get(f"{WALK}/paper").text

    rows = file.data.decode("utf-8-sig").splitlines()
    assert rows[0].startswith("Flat,Service,Meter")
    assert rows[1].startswith("8,Electricity,E-0008,KHB-A-8,Day,6388.428")
    assert "E-0008" in paper
    assert "Signature" in paper


def test_the_interface_takes_a_walk_round_line_by_line(operator):
    base = "/api/v1/walk-rounds"
    opened = api(operator, base, {"building": "KHB-A", "taken_on": "2023-01-15"}).get_json()
    url = f"{base}/{opened['id']}"
    picture = BytesIO()
    Image.new("RGB", (50, 50)).save(picture, "WEBP")

    read = api(
        operator, f"{url}/meters/{METER}/readings",
        {"readings": [{"zone": "day", "reading": "6480"}, {"zone": "night", "reading": "4090"}]},
    )  # fmt: skip
    photo = operator.post(
        f"{url}/meters/{METER}/photo",
        data=picture.getvalue(),
        headers={"X-CSRFToken": token(operator), "Content-Type": "image/webp"},
    )
    sheet = operator.get(url).get_json()
    closed = api(operator, f"{url}/close")

    assert opened["id"] == 1
    assert read.get_json()["readings"][0]["verdict"] == "ok"
    assert (sheet["done"], sheet["whole"]) == (1, 1)
    line = sheet["lines"][0]
    assert (line["meter"], line["outcome"]) == ("E-0008", "read")
    assert line["photo_id"] == photo.get_json()["photo_id"]
    assert [one["reading"] for one in line["registers"]] == ["6480", "4090"]
    assert closed.get_json()["closed_at"] is not None


# --- the window and its reminder ---


def test_the_operator_sets_the_days_and_the_resident_reads_them(operator, resident):
    shipped = operator.get("/console/reading-windows").text
    page = post(
        operator, "/console/reading-windows", follow=True, building="", valid_from="2023-01-01",
        first_day="10", last_day="20", remind_days_before="3", source="Договор",
    )  # fmt: skip

    assert "come with the product" in shipped
    assert "10–20" in page.text
    assert "come with the product" not in page.text
    assert "until 20 Jan 2023" in resident.get(PAGE).text


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [("20", "10", "from 1 to 31"), ("x", "10", "not a number of days")],
)
def test_days_that_no_month_has_are_refused(operator, first, last, problem):
    page = post(
        operator, "/console/reading-windows", building="", valid_from="2023-01-01",
        first_day=first, last_day=last, remind_days_before="2",
    )  # fmt: skip

    assert page.status_code == 422
    assert problem in page.text


def reminded(application: Application) -> list[NoticeRow]:
    with application.database.reading() as session:
        query = select(NoticeRow).where(NoticeRow.kind == "readings_due")
        return list(session.scalars(query))


def test_who_has_not_given_a_reading_is_reminded_once_before_the_window_closes(
    installation, tmp_path: Path
):
    early = copy_of(installation, tmp_path)
    give_address(early)
    late = Application(
        early.settings, early.database, FixedClock(datetime(2023, 1, 23, 1, tzinfo=UTC))
    )

    too_soon = remind_of_readings(early)
    first = remind_of_readings(late)
    again = remind_of_readings(late)

    assert (too_soon.houses, too_soon.written) == (0, 0)
    assert (first.houses, first.unread, first.written) == (2, 1, 1)
    assert again.written == 0
    (notice,) = reminded(late)
    assert "E-0008" in notice.body_text
    assert "25.01.2023" in notice.subject


def give_address(application: Application) -> None:
    from billing.models import AccountRow

    with application.database.writing() as session:
        row = session.scalars(select(AccountRow).where(AccountRow.number == BY_HAND)).one()
        row.email = "zueva@town.example"


def test_who_has_given_a_reading_or_has_a_closed_account_is_left_alone(
    installation, tmp_path: Path
):
    made = copy_of(installation, tmp_path, FixedClock(datetime(2023, 1, 23, 1, tzinfo=UTC)))
    give_address(made)
    client = signed_in(create_app(made), "other_resident")
    post(client, PAGE, key="a1", **FIRST_OF_JANUARY)

    assert remind_of_readings(made).unread == 0


def test_a_house_is_reminded_by_its_own_window(installation, tmp_path: Path):
    made = copy_of(installation, tmp_path, FixedClock(datetime(2023, 1, 19, 1, tzinfo=UTC)))
    give_address(made)
    order = WindowOrder(system_scope("test"), date(2023, 1, 1), 10, 20, 1, "KHB-A")
    with made.database.writing() as session:
        set_reading_window(session, order, made.clock)

    assert remind_of_readings(made).houses == 1


def test_a_neighbours_meter_is_not_shown(own_app):
    page = signed_in(own_app, "resident").get(f"/account/{POSTPAID}/readings")

    assert page.status_code == 404
