"""One installation for all tests of the pages; those that change it make their own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from kilokassa.app.wiring import Application
from kilokassa.web.app import create_app
from tests.web.seed import PASSWORD, PEOPLE, build, copy_of

NOBODY = "nobody"


class Clients:
    """Browsers, one a person, each signed in once."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._signed_in: dict[str, FlaskClient] = {}

    def __getitem__(self, name: str) -> FlaskClient:
        if name not in self._signed_in:
            client = self.app.test_client()
            if name != NOBODY:
                sign_in(client, PEOPLE[name].email)
            self._signed_in[name] = client
        return self._signed_in[name]

    def forget_choices(self) -> None:
        """Let every browser speak the language of the installation again."""
        for client in self._signed_in.values():
            client.delete_cookie("language")


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD) -> int:
    """Fill in the sign-in page; return the status: 302 where it succeeded."""
    data = {"email": email, "password": password, "csrf_token": token(client)}
    return client.post("/login", data=data).status_code


def token(client: FlaskClient) -> str:
    """Return the token of the client's session, from a page that everyone may open."""
    found = re.search(r'"X-CSRFToken": "([^"]+)"', client.get("/api/docs").text)
    assert found is not None
    return found[1]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    made = build(tmp_path_factory.mktemp("installation"))
    yield made
    made.database.dispose()


@pytest.fixture(scope="session")
def app(installation: Application) -> Flask:
    return create_app(installation)


@pytest.fixture(scope="session")
def browsers(app: Flask) -> Clients:
    return Clients(app)


@pytest.fixture
def clients(browsers: Clients) -> Clients:
    browsers.forget_choices()
    return browsers


@pytest.fixture
def own_installation(tmp_path: Path, installation: Application) -> Iterator[Application]:
    """A copy of the installation that a test may change."""
    made = copy_of(installation, tmp_path)
    yield made
    made.database.dispose()


@pytest.fixture
def own_app(own_installation: Application) -> Flask:
    return create_app(own_installation)
