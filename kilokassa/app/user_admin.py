"""Making and changing users; the password never rests but as an argon2 hash."""

from dataclasses import dataclass
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from billing.models import AccountRow
from kilokassa.app.users import WHOLE_RETAILER_ROLES, UserGrantRow, UserRow
from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError, Invalid, NotFound
from kilokassa.core.scope import Role
from kilokassa.core.text import mark
from metering.models import BuildingRow, CompanyRow

SHORTEST_PASSWORD = 12
"""Characters; length alone, no rules of composition (OWASP ASVS 5.0, 6.2.1 and 6.2.5)."""


class UserExists(DomainError):
    """An e-mail address that another user has."""

    code = "user_exists"
    template = mark("There is a user %(email)s already.")


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to make, with what it may reach."""

    email: str
    role: Role
    name: str = ""
    language: str = "ru"
    company_code: str | None = None
    building_code: str | None = None
    account_numbers: tuple[str, ...] = ()


def add_user(session: Session, order: NewUser, password: str, clock: Clock) -> int:
    """Make a user; refuse an address that is taken, a short password, a reach that is none."""
    email = _checked_email(order.email)
    if session.scalar(select(UserRow.id).where(UserRow.email == email)) is not None:
        raise UserExists(email=email)
    return _write(session, UserRow(email=email), order, password, clock)


def ensure_user(session: Session, order: NewUser, password: str, clock: Clock) -> int:
    """Make the user, or bring the one with this address up to date."""
    email = _checked_email(order.email)
    row = session.scalars(select(UserRow).where(UserRow.email == email)).one_or_none()
    return _write(session, row or UserRow(email=email), order, password, clock)


def _write(session: Session, row: UserRow, order: NewUser, password: str, clock: Clock) -> int:
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(
            where=mark("password"),
            problem=mark("it needs %(least)s characters or more"),
            least=SHORTEST_PASSWORD,
        )
    if not row.fs_uniquifier:
        row.fs_uniquifier = uuid4().hex
        row.created_at = clock.now()
        row.failed_sign_ins = 0
        row.active = True
        session.add(row)
    row.name = order.name
    row.role = order.role
    row.language = order.language
    if row.password is None or not _matches(row.password, password):
        row.password = PasswordHasher().hash(password)
        row.fs_uniquifier = uuid4().hex  # signs every session of the user out
    session.flush()
    session.execute(delete(UserGrantRow).where(UserGrantRow.user_id == row.id))
    grants = _grants(session, order)
    if not grants and order.role not in WHOLE_RETAILER_ROLES:
        raise Invalid(
            where=mark("user"),
            problem=mark("a %(role)s needs a company, a building or an account to reach"),
            role=str(order.role),
        )
    for grant in grants:
        grant.user_id = row.id
        session.add(grant)
    session.flush()
    return row.id


def _grants(session: Session, order: NewUser) -> list[UserGrantRow]:
    grants = []
    if order.company_code is not None:
        query = select(CompanyRow.id).where(CompanyRow.code == order.company_code)
        grants.append(
            UserGrantRow(company_id=_found(session.scalar(query), "company", order.company_code))
        )
    if order.building_code is not None:
        query = select(BuildingRow.id).where(BuildingRow.code == order.building_code)
        grants.append(
            UserGrantRow(building_id=_found(session.scalar(query), "building", order.building_code))
        )
    for number in order.account_numbers:
        query = select(AccountRow.id).where(AccountRow.number == number)
        grants.append(UserGrantRow(account_id=_found(session.scalar(query), "account", number)))
    return grants


def _found(row_id: int | None, what: str, name: str) -> int:
    if row_id is None:
        raise NotFound(what=what, name=name)
    return row_id


def _checked_email(email: str) -> str:
    cleaned = email.strip().lower()
    name, at, host = cleaned.partition("@")
    if not (name and at and "." in host) or any(c.isspace() for c in cleaned) or "@" in host:
        raise Invalid(
            where=mark("e-mail"), problem=mark("%(text)s is no e-mail address"), text=repr(email)
        )
    return cleaned


def _matches(stored: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
