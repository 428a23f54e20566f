"""One request: who asks, in which language, over which state of the database."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from billing.models import AccountRow, RetailerRow
from billing.store import account_by_number, retailer
from kilokassa.app.users import UserRow
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import local_date
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import Language


@dataclass(slots=True)
class Visit:
    """What a view works with; made before it runs, ended after its answer is made."""

    application: Application
    language: Language
    user: UserRow | None = None
    known_scope: Scope | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    _session: Session | None = None
    _retailer: RetailerRow | None = None

    @property
    def session(self) -> Session:
        """The reading session of the request, opened when first asked for."""
        if self._session is None:
            self._session = self._open.enter_context(self.application.database.reading())
        return self._session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a writing session; what was read before it is read anew afterwards."""
        self.end()
        with self.application.database.writing() as session:
            yield session

    @property
    def scope(self) -> Scope:
        """What the actor may reach; only views that someone signed in may open ask for it."""
        if self.known_scope is None:
            raise RuntimeError("nobody is signed in; the endpoint's access is too wide")
        return self.known_scope

    def may(self, right: Right) -> bool:
        """Say whether the actor's role carries `right`; nobody carries none."""
        return self.known_scope is not None and self.known_scope.may(right)

    @property
    def retailer(self) -> RetailerRow:
        """The retailer of the installation."""
        if self._retailer is None:
            self._retailer = retailer(self.session)
        return self._retailer

    @property
    def retailer_or_none(self) -> RetailerRow | None:
        """The retailer; None where the installation is not set up or cannot be reached."""
        try:
            return self.retailer
        except (NotFound, SQLAlchemyError):
            return None

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which people of the retailer read a clock."""
        return ZoneInfo(self.retailer.zone)

    @property
    def now(self) -> datetime:
        """The present instant."""
        return self.application.clock.now()

    @property
    def today(self) -> date:
        """The date on the wall at the retailer's."""
        return local_date(self.now, self.zone)

    def end(self) -> None:
        """Close what was opened; may be called again."""
        self._open.close()
        self._session = None
        self._retailer = None


def visit() -> Visit:
    """Return the visit of the running request."""
    found: Visit = g.visit
    return found


def account_of(here: Visit, number: str) -> tuple[AccountRow, AccountId]:
    """Return the account with this number, if the actor reaches it."""
    row = account_by_number(here.session, here.scope, number)
    return row, AccountId(row.id)
