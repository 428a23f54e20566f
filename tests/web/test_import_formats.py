"""The import page takes every format, and asks before it believes a new time zone."""

from io import BytesIO

import pytest

from tests.metering.samples_80020 import exchange_file
from tests.web.conftest import Clients, token

PAGE = "/console/readings/import"
POINT = "KHB-A-1"


def send(client, content, name, **fields):
    data = {
        "csrf_token": token(client),
        "unit": "kwh",
        "file": (BytesIO(content), name),
        **fields,
    }
    return client.post(PAGE, data=data, content_type="multipart/form-data")


@pytest.fixture
def operator(own_app):
    return Clients(own_app)["operator"]


def test_an_80020_file_is_taken_by_the_page(operator):
    answer = send(operator, exchange_file(POINT, timezone=None), "a.xml")

    assert answer.status_code == 200
    assert "Что стало с файлом" in answer.text


def test_a_new_time_zone_is_asked_about_and_taken_when_accepted(operator):
    send(operator, exchange_file(POINT, timezone=None), "a.xml")
    moved = exchange_file(POINT, timezone="1")

    asked = send(operator, moved, "b.xml")
    taken = send(operator, moved, "b.xml", accept_timezone="y")

    assert asked.status_code == 422
    assert "часовой пояс был" in asked.text
    assert 'name="accept_timezone"' in asked.text
    assert taken.status_code == 200


def test_the_question_is_not_asked_of_other_files(operator):
    answer = send(operator, b"<html/>", "a.xml")

    assert answer.status_code == 422
    assert "ни 80020, ни Green Button" in answer.text
    assert 'name="accept_timezone"' not in answer.text
