"""A real Chromium and a live server on loopback; each test has an installation of its own."""

import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import make_server

from kilokassa.app.wiring import Application
from kilokassa.web.app import create_app
from tests.web.seed import PASSWORD, PEOPLE, build, copy_of

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


@dataclass
class Site:
    """A running server and a way into it."""

    url: str
    context: BrowserContext
    complaints: list[str]

    def page(self) -> Page:
        made = self.context.new_page()
        made.on("pageerror", lambda error: self.complaints.append(str(error)))
        made.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type == "error" else None
            ),
        )
        return made

    def sign_in(self, person: str) -> Page:
        page = self.page()
        page.goto(f"{self.url}/login")
        page.fill("#email", PEOPLE[person].email)
        page.fill("#password", PASSWORD)
        page.click("button[name=submit]")
        page.wait_for_url(lambda url: "/login" not in url)
        return page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a browser leave a page before all of its files came: the server drops such a file."""
    left = "ignore:.*FileIO.*web/static:pytest.PytestUnraisableExceptionWarning"
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.filterwarnings(left))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path is not None, "no Chromium was found: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    made = build(tmp_path_factory.mktemp("browser"))
    yield made
    made.database.dispose()


@pytest.fixture
def application(template: Application, tmp_path: Path) -> Iterator[Application]:
    made = copy_of(template, tmp_path)
    yield made
    made.database.dispose()


@pytest.fixture
def site(application: Application, browser: Browser) -> Iterator[Site]:
    """A site that a Russian visits; what its scripts complain of fails the test."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, create_app(application), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    context = browser.new_context(locale="ru-RU")
    context.set_default_timeout(10_000)
    complaints: list[str] = []
    yield Site(f"http://127.0.0.1:{server.server_port}", context, complaints)
    context.close()
    server.shutdown()
    thread.join()
    server.server_close()
    assert complaints == []
