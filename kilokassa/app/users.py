"""Users, their one role, and the scope it gives them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Text, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from kilokassa.core.ids import AccountId, BuildingId, CompanyId
from kilokassa.core.scope import Role, Scope
from kilokassa.db.base import Base
from kilokassa.db.types import EnumText

WHOLE_RETAILER_ROLES = frozenset({Role.ADMINISTRATOR, Role.OPERATOR, Role.ANALYST, Role.AUDITOR})


class UserRow(Base):
    """A login."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    role: Mapped[Role] = mapped_column(EnumText(Role))
    language: Mapped[str] = mapped_column(default="ru")
    password: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(unique=True)
    failed_sign_ins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


class UserGrantRow(Base):
    """One company, building or account that a user reaches; staff of the retailer need none."""

    __tablename__ = "user_grant"
    __table_args__ = (UniqueConstraint("user_id", "company_id", "building_id", "account_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    building_id: Mapped[int | None] = mapped_column(ForeignKey("building.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))


def scope_of(session: Session, user: UserRow) -> Scope:
    """Return what `user` may reach, from the role and the grants as they stand now."""
    grants = session.scalars(select(UserGrantRow).where(UserGrantRow.user_id == user.id)).all()
    return Scope(
        role=user.role,
        actor=f"user:{user.id}",
        whole_retailer=user.role in WHOLE_RETAILER_ROLES,
        company_ids=frozenset(CompanyId(g.company_id) for g in grants if g.company_id),
        building_ids=frozenset(BuildingId(g.building_id) for g in grants if g.building_id),
        account_ids=frozenset(AccountId(g.account_id) for g in grants if g.account_id),
    )
