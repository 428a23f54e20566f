import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select, update

from kilokassa.app.users import UserRow
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.web.app import create_app
from kilokassa.web.auth import ABSOLUTE_LIMIT, FAILURES_ALLOWED, LOCKED_FOR
from tests.web.conftest import sign_in, token
from tests.web.seed import NOW, PASSWORD, PEOPLE, copy_of

EMAIL = PEOPLE["operator"].email


def user(application: Application) -> UserRow:
    with application.database.reading() as session:
        row = session.scalars(select(UserRow).where(UserRow.email == EMAIL)).one()
        session.expunge(row)
    return row


def at_later(application: Application, folder: Path, later: timedelta) -> Flask:
    folder.mkdir()
    return create_app(copy_of(application, folder, FixedClock(NOW + later)))


def test_the_right_password_opens_the_console(own_app: Flask):
    client = own_app.test_client()

    status = sign_in(client, EMAIL)

    assert status == 302
    assert client.get("/").location == "/console/"


def test_an_address_may_be_written_in_capitals(own_app: Flask):
    assert sign_in(own_app.test_client(), EMAIL.upper()) == 302


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(own_app: Flask):
    client = own_app.test_client()
    data = {"csrf_token": token(client)}

    wrong = client.post("/login", data=data | {"email": EMAIL, "password": "not this one"})
    unknown = client.post("/login", data=data | {"email": "no@no.example", "password": PASSWORD})

    def said(text: str) -> str:
        return re.sub(r'value="[^"]*"|Token": "[^"]*"', "", text)

    assert wrong.status_code == unknown.status_code == 200
    assert said(wrong.text) == said(unknown.text)
    assert 'role="alert"' in wrong.text


def test_too_many_wrong_passwords_lock_even_the_right_one(
    own_installation: Application, own_app: Flask, tmp_path: Path
):
    client = own_app.test_client()
    for _ in range(FAILURES_ALLOWED):
        sign_in(client, EMAIL, "not this one")

    locked = sign_in(client, EMAIL)

    assert locked == 200
    assert user(own_installation).locked_until == NOW + LOCKED_FOR
    later = at_later(own_installation, tmp_path / "later", LOCKED_FOR)
    assert sign_in(later.test_client(), EMAIL) == 302


def test_signing_in_forgets_earlier_failures(own_installation: Application, own_app: Flask):
    client = own_app.test_client()
    sign_in(client, EMAIL, "not this one")
    assert user(own_installation).failed_sign_ins == 1

    sign_in(client, EMAIL)

    assert user(own_installation).failed_sign_ins == 0


def test_the_password_of_the_interface_counts_towards_the_lock(
    own_installation: Application, own_app: Flask
):
    client = own_app.test_client()
    statuses = [
        client.get("/api/v1/accounts", auth=(EMAIL, "not this one")).status_code
        for _ in range(FAILURES_ALLOWED)
    ]

    right = client.get("/api/v1/accounts", auth=(EMAIL, PASSWORD))

    assert statuses == [401] * FAILURES_ALLOWED
    assert right.status_code == 401
    assert right.headers["WWW-Authenticate"].startswith("Basic")


def test_signing_out_ends_the_session(own_app: Flask):
    client = own_app.test_client()
    sign_in(client, EMAIL)

    client.post("/logout", data={"csrf_token": token(client)})

    assert client.get("/console/").status_code == 302


def test_a_session_ends_after_its_limit_however_busy(own_installation: Application, tmp_path: Path):
    early = create_app(own_installation).test_client()
    sign_in(early, EMAIL)
    cookie = early.get_cookie("kilokassa")
    assert cookie is not None

    late = at_later(own_installation, tmp_path / "late", ABSOLUTE_LIMIT + timedelta(seconds=1))
    client = late.test_client()
    client.set_cookie("kilokassa", cookie.value)

    assert client.get("/console/").location.startswith("/login")


@pytest.mark.parametrize(
    "change", [{"active": False}, {"fs_uniquifier": "another"}], ids=["disabled", "signed out"]
)
def test_a_user_who_was_disabled_or_signed_out_everywhere_is_out_at_once(
    own_installation: Application, own_app: Flask, change: dict
):
    client = own_app.test_client()
    sign_in(client, EMAIL)

    with own_installation.database.writing() as session:
        session.execute(update(UserRow).where(UserRow.email == EMAIL).values(**change))

    assert client.get("/console/").status_code == 302


def test_the_page_that_was_asked_for_is_reached_after_signing_in(own_app: Flask):
    client = own_app.test_client()
    wanted = client.get("/console/accounts?sort=-debt").location
    data = {"email": EMAIL, "password": PASSWORD, "csrf_token": token(client)}

    answer = client.post(wanted, data=data)

    assert answer.location == "/console/accounts?sort=-debt"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "\\evil"]
)
def test_nobody_is_sent_to_another_site(own_app: Flask, elsewhere: str):
    client = own_app.test_client()
    data = {"email": EMAIL, "password": PASSWORD, "next": elsewhere, "csrf_token": token(client)}

    after_sign_in = client.post("/login", data=data).location
    form = {"theme": "dark", "back": elsewhere, "csrf_token": token(client)}
    after_choice = client.post("/preferences", data=form).location

    # A browser takes "//host" and "/\\host" for another site; an escaped backslash it does not.
    assert not urlsplit(after_sign_in or "").netloc
    assert "\\" not in (after_sign_in or "")
    assert after_choice == "/"


def test_behind_tls_the_cookie_is_bound_to_the_host(own_installation: Application, tmp_path: Path):
    settings = replace(own_installation.settings, secure_cookies=True)
    app = create_app(Application(settings, own_installation.database, own_installation.clock))

    answer = app.test_client().get("/login", base_url="https://town.example")

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-kilokassa=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_a_token_in_the_address_signs_nobody_in(own_app: Flask):
    answer = own_app.test_client().get(
        "/api/v1/accounts?auth_token=x", headers={"Authentication-Token": "x"}
    )

    assert answer.status_code == 401
