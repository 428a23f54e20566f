"""Signing in: Flask-Security over our own users, lock-out, and the guard before every endpoint."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from flask import Flask, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user  # type: ignore[import-untyped]
from flask_security import RoleMixin, Security, UserDatastore, UserMixin
from flask_security.signals import user_authenticated
from flask_security.utils import hash_password, logout_user
from flask_wtf import CSRFProtect
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from kilokassa.app.users import UserRow, scope_of
from kilokassa.app.wiring import Application
from kilokassa.core.errors import DomainError, Forbidden
from kilokassa.core.scope import DEEDS, RIGHTS, Role
from kilokassa.core.text import mark
from kilokassa.web.access import ACCESS, Access
from kilokassa.web.language import chosen_language
from kilokassa.web.visit import Visit, visit

FAILURES_ALLOWED: Final = 5
LOCKED_FOR: Final = timedelta(minutes=15)
"""After so many wrong passwords in a row an account refuses even the right one for so long."""

IDLE_LIMIT: Final = timedelta(hours=12)
ABSOLUTE_LIMIT: Final = timedelta(days=7)
"""However busy a session is, it ends after so long."""

_SIGNED_IN_AT: Final = "signed_in_at"
_WITHOUT_INSTALLATION: Final = frozenset({"static", "pages.health", "pages.robots"})
"""Answered even where there is no database yet."""
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class NotSignedIn(DomainError):
    """Nobody is signed in, where somebody must be; says nothing of why a password failed."""

    code = "not_signed_in"
    template = mark("Sign in first, or send an e-mail address and a password.")


class NotSetUp(DomainError):
    """The database cannot be reached, or has no retailer yet."""

    code = "not_set_up"
    retryable = True
    template = mark("The installation is not set up yet: run kilokassa init.")


class SessionRole(RoleMixin):
    """A user's one role, in the form that Flask-Security asks for."""

    def __init__(self, role: Role) -> None:
        self.name = str(role)
        self.description = ""
        self.permissions = sorted(str(right) for right in RIGHTS[role])


class SessionUser(UserMixin):
    """A user as Flask-Security sees one: a view of a row that outlives the row's session."""

    fs_uniquifier = ""
    """Changes to sign a user out everywhere; Flask-Security looks for it on the class."""

    def __init__(self, row: UserRow, application: Application) -> None:
        self.row = row
        self.id = row.id
        self.email = row.email
        self.password = row.password
        self.active = row.active
        self.fs_uniquifier = row.fs_uniquifier
        self.roles = [SessionRole(row.role)]
        self._application = application

    def is_locked(self, form_error: list[str] | None = None) -> bool:
        """Say whether too many wrong passwords came of late."""
        until = self.row.locked_until
        locked = until is not None and self._application.clock.now() < until
        if locked and form_error is not None:
            form_error.append("locked")  # replaced by the one sentence for every failure
        return locked

    def track_failed_authn(self, auth_type: str, tfa: bool = False) -> None:
        """Count a wrong password; lock after too many. A locked account counts no more."""
        super().track_failed_authn(auth_type, tfa)
        if self.is_locked():
            return
        now = self._application.clock.now()
        visit().end()
        with self._application.database.writing() as writing:
            failed = writing.scalar(
                update(UserRow)
                .where(UserRow.id == self.id)
                .values(failed_sign_ins=UserRow.failed_sign_ins + 1)
                .returning(UserRow.failed_sign_ins)
            )
            if failed is not None and failed >= FAILURES_ALLOWED:
                values = {"failed_sign_ins": 0, "locked_until": now + LOCKED_FOR}
                writing.execute(update(UserRow).where(UserRow.id == self.id).values(values))


class Users(UserDatastore):
    """The datastore that Flask-Security asks; reads in the visit's session, writes in its own."""

    def __init__(self, application: Application) -> None:
        super().__init__(SessionUser, SessionRole)
        self._application = application

    def find_user(
        self,
        case_insensitive: bool = False,
        **by: Any,  # noqa: ANN401
    ) -> SessionUser | None:
        """Return the user with this e-mail address or uniquifier."""
        row = find_user_row(visit().session, case_insensitive=case_insensitive, **by)
        return None if row is None else SessionUser(row, self._application)

    def find_role(self, role: str) -> SessionRole | None:
        """Return the role of this name."""
        return SessionRole(Role(role)) if role in set(Role) else None

    def put(self, model: SessionUser) -> SessionUser:
        """Keep a password that was hashed anew; nothing else of a user changes here."""
        visit().end()
        with self._application.database.writing() as writing:
            writing.execute(
                update(UserRow).where(UserRow.id == model.id).values(password=model.password)
            )
        return model

    def delete(self, model: SessionUser) -> None:
        """Refuse: users are made and ended by the commands."""
        raise NotImplementedError

    def commit(self) -> None:
        """Do nothing: `put` writes in a transaction of its own."""


def find_user_row(
    reading: Session,
    *,
    case_insensitive: bool = False,
    **by: Any,  # noqa: ANN401
) -> UserRow | None:
    """Return the user whose one named column has this value."""
    (name, value), *_ = by.items()
    column = getattr(UserRow, name)
    same = func.lower(column) == str(value).lower() if case_insensitive else column == value
    row = reading.scalars(select(UserRow).where(same)).first()
    if row is not None:
        reading.expunge(row)
    return row


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides, before any view runs, whether it may; refuses what no one has an entry for."""

    application: Application
    csrf: CSRFProtect

    def __call__(self) -> ResponseReturnValue | None:
        """Let the request pass, send it to the sign-in page, or refuse it."""
        endpoint = request.endpoint
        if endpoint in _WITHOUT_INSTALLATION:
            return None
        here = visit()
        if here.retailer_or_none is None:
            raise NotSetUp
        by_password = is_api() and self._identify_by_password(here)
        if not by_password:
            self._identify_by_session(here)
        if endpoint is None:
            return None  # no such address: Flask answers 404, in the language of who asks
        access = ACCESS.get(endpoint)
        if access is None:
            raise Forbidden(action=endpoint)
        if not access.anyone:
            answer = self._demand(here, access)
            if answer is not None:
                return answer
        if request.method not in _SAFE_METHODS and not by_password and not access.signed:
            self.csrf.protect()
        return None

    def _demand(self, here: Visit, access: Access) -> ResponseReturnValue | None:
        if here.known_scope is None:
            if is_api() or "HX-Request" in request.headers:
                raise NotSignedIn
            wanted = request.full_path if request.method == "GET" else None
            return redirect(url_for("security.login", next=wanted))
        if not access.allows(here.known_scope):
            assert access.right is not None  # an endpoint without one is open to anyone
            raise Forbidden(action=DEEDS[access.right])
        return None

    def _identify_by_session(self, here: Visit) -> None:
        user = cast(Any, current_user)
        if not isinstance(getattr(user, "row", None), UserRow):
            return
        since = session.get(_SIGNED_IN_AT)
        now = here.now
        if since is None or now - datetime.fromtimestamp(since, UTC) > ABSOLUTE_LIMIT:
            logout_user()
            return
        self._take(here, user.row)

    def _identify_by_password(self, here: Visit) -> bool:
        """Take the user from HTTP Basic; a wrong password is refused, never ignored."""
        credentials = request.authorization
        if credentials is None or credentials.type != "basic":
            return False
        row = find_user_row(here.session, case_insensitive=True, email=credentials.username or "")
        password = credentials.password or ""
        if row is None or not row.password:
            hash_password(password)  # as slow as for one who exists
            raise NotSignedIn
        user = SessionUser(row, self.application)
        if not user.verify_and_update_password(password):
            user.track_failed_authn("password")
            raise NotSignedIn
        if not row.active or user.is_locked():
            raise NotSignedIn
        self._take(here, row)
        return True

    def _take(self, here: Visit, row: UserRow) -> None:
        here.user = row
        here.language = chosen_language(self.application.settings.language, row.language)
        here.known_scope = scope_of(here.session, row)


def is_api() -> bool:
    """Say whether the request is one of another system, which is answered in JSON."""
    return request.path.startswith("/api/")


def install_auth(app: Flask, application: Application) -> None:
    """Set up Flask-Security, CSRF protection and the guard."""
    app.config |= {
        "SECRET_KEY": application.secret_key,
        "SESSION_COOKIE_NAME": "__Host-kilokassa" if _secure(application) else "kilokassa",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": _secure(application),
        "PERMANENT_SESSION_LIFETIME": IDLE_LIMIT,
        "REMEMBER_COOKIE_DURATION": timedelta(0),
        "WTF_CSRF_CHECK_DEFAULT": False,  # the guard asks for it, except with a password
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SCHEMES": ["argon2"],
        "SECURITY_PASSWORD_SINGLE_HASH": {"argon2"},  # as the command line makes them
        "SECURITY_PASSWORD_SALT": application.secret_key,
        "SECURITY_PASSWORD_NORMALIZE_FORM": None,
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_LOGOUT_METHODS": ["POST"],
        "SECURITY_LOGIN_URL": "/login",
        "SECURITY_FRESHNESS": timedelta(seconds=-1),  # no view asks for it yet
        "SECURITY_FLASH_MESSAGES": False,
        "SECURITY_STATIC_FOLDER": None,
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False, "test_environment": True},
        "SECURITY_JOIN_USER_ROLES": False,
    }
    security = Security(app, Users(application), register_blueprint=True)
    security.want_json(lambda _request: False)
    # No tokens: a machine signs in by a password until it has keys of its own.
    app.login_manager.request_loader(lambda _request: None)  # type: ignore[attr-defined]
    csrf = CSRFProtect(app)
    app.before_request(Guard(application, csrf))

    @user_authenticated.connect_via(app)
    def _signed_in(_app: Flask, user: SessionUser, **_more: Any) -> None:  # noqa: ANN401
        session.permanent = True
        session[_SIGNED_IN_AT] = application.clock.now().timestamp()
        if user.row.failed_sign_ins or user.row.locked_until is not None:
            visit().end()
            with application.database.writing() as writing:
                values = {"failed_sign_ins": 0, "locked_until": None}
                writing.execute(update(UserRow).where(UserRow.id == user.id).values(values))

    # blinker holds its receivers weakly
    app.extensions["kilokassa_signed_in"] = _signed_in


def _secure(application: Application) -> bool:
    return application.settings.secure_cookies
