"""Making users: the command line's `user add` and the demo's log-ins; nobody signs up alone."""

import re
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from billing.models import AccountRow
from kilokassa.app.users import WHOLE_RETAILER_ROLES, UserGrantRow, UserRow
from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.ids import UserId
from kilokassa.core.scope import Role
from kilokassa.core.text import Language, mark
from metering.models import BuildingRow, CompanyRow

PASSWORD_MIN_CHARACTERS: Final = 12
PASSWORD_MAX_CHARACTERS: Final = 256

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_HASHER: Final = PasswordHasher()
"""Argon2id with the library's parameters (RFC 9106); pages verify the same format."""


class UserExists(DomainError):
    """Somebody signs in with this e-mail address already."""

    code = "user_exists"
    template = "There is a user %(email)s already."


class GrantsMissing(DomainError):
    """A user of this role reaches nothing unless it is said what."""

    code = "grants_missing"
    template = "A user with the role %(role)s needs an account, a building or a company."


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made, and what that user reaches."""

    email: str
    role: Role
    name: str = ""
    language: Language = Language.RUSSIAN
    company_code: str | None = None
    building_codes: tuple[str, ...] = ()
    account_numbers: tuple[str, ...] = ()


def add_user(session: Session, user: NewUser, password: str, clock: Clock) -> UserId:
    """Make a user; refuse an e-mail address that signs in already, whatever its case."""
    if _find(session, user.email) is not None:
        raise UserExists(email=user.email)
    return _write(session, UserRow(created_at=clock.now()), user, password)


def ensure_user(session: Session, user: NewUser, password: str, clock: Clock) -> UserId:
    """Make a user, or let the one with this e-mail address become as asked."""
    row = _find(session, user.email) or UserRow(created_at=clock.now())
    return _write(session, row, user, password)


def _write(session: Session, row: UserRow, user: NewUser, password: str) -> UserId:
    if _EMAIL.fullmatch(user.email) is None:
        raise Invalid(
            where=mark("e-mail"), problem=mark("%(text)s is no address"), text=repr(user.email)
        )
    row.email = user.email
    row.name = user.name
    row.role = user.role
    row.language = str(user.language)
    row.active = True
    if not _is_password_of(row, password):
        row.password = _HASHER.hash(checked_password(password))
        # Another one ends every session that the old password had opened.
        row.fs_uniquifier = uuid4().hex
        row.failed_sign_ins = 0
    session.add(row)
    session.flush()
    session.execute(delete(UserGrantRow).where(UserGrantRow.user_id == row.id))
    grants = _grants(session, user)
    if not grants and user.role not in WHOLE_RETAILER_ROLES:
        raise GrantsMissing(role=str(user.role))
    for grant in grants:
        grant.user_id = row.id
    session.add_all(grants)
    session.flush()
    return UserId(row.id)


def checked_password(password: str) -> str:
    """Return a password that is long enough; no rule says what it is made of."""
    if not PASSWORD_MIN_CHARACTERS <= len(password) <= PASSWORD_MAX_CHARACTERS:
        raise Invalid(
            where=mark("password"),
            problem=mark("it has %(least)s to %(most)s characters"),
            least=PASSWORD_MIN_CHARACTERS,
            most=PASSWORD_MAX_CHARACTERS,
        )
    return password


def _is_password_of(row: UserRow, password: str) -> bool:
    if not row.password:
        return False
    try:
        return _HASHER.verify(row.password, password)
    except VerificationError:
        return False


def _find(session: Session, email: str) -> UserRow | None:
    return session.scalars(
        select(UserRow).where(func.lower(UserRow.email) == email.lower())
    ).one_or_none()


def _grants(session: Session, user: NewUser) -> list[UserGrantRow]:
    grants: list[UserGrantRow] = []
    if user.company_code is not None:
        company_id = session.scalar(
            select(CompanyRow.id).where(CompanyRow.code == user.company_code)
        )
        if company_id is None:
            raise NotFound(what=mark("company"), name=user.company_code)
        grants.append(UserGrantRow(company_id=company_id))
    for code in user.building_codes:
        building_id = session.scalar(select(BuildingRow.id).where(BuildingRow.code == code))
        if building_id is None:
            raise NotFound(what=mark("building"), name=code)
        grants.append(UserGrantRow(building_id=building_id))
    for number in user.account_numbers:
        account_id = session.scalar(select(AccountRow.id).where(AccountRow.number == number))
        if account_id is None:
            raise NotFound(what=mark("account"), name=number)
        grants.append(UserGrantRow(account_id=account_id))
    return grants
