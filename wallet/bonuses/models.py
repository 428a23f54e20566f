"""Tables of bonuses: rules and campaigns as published, and every grant."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilokassa.db.append_only import append_only
from kilokassa.db.base import Base


class CampaignRow(Base):
    """Money for bonuses that ends; the row is locked by whoever grants out of it."""

    __tablename__ = "campaign"
    __table_args__ = (
        CheckConstraint("budget_minor >= 0", name="budget_not_negative"),
        CheckConstraint("granted_minor >= 0", name="granted_not_negative"),
        CheckConstraint("granted_minor <= budget_minor", name="granted_within_budget"),
        CheckConstraint("begins_on < ends_on", name="runs_for_a_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    name_en: Mapped[str] = mapped_column(default="")
    budget_minor: Mapped[int]
    granted_minor: Mapped[int] = mapped_column(default=0)
    """What its grants come to, less what was taken back; so nobody sums up while others wait."""
    begins_on: Mapped[date]
    ends_on: Mapped[date]
    """The first day on which nothing is granted any more."""
    actor: Mapped[str]
    recorded_at: Mapped[datetime]


class BonusRuleRow(Base):
    """One published version of a bonus rule; never changed, a later version takes its place."""

    __tablename__ = "bonus_rule"
    __table_args__ = (UniqueConstraint("code", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    version: Mapped[int]
    name: Mapped[str]
    name_en: Mapped[str] = mapped_column(default="")
    document: Mapped[str] = mapped_column(Text)
    """The rule as YAML, as it was published."""
    digest: Mapped[str]
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]
    """The first day on which it does not run any more."""
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaign.id"))
    published_by: Mapped[str]
    recorded_at: Mapped[datetime]


class BonusGrantRow(Base):
    """What a rule granted for one occasion, or gave up when the occasion was voided; appended."""

    __tablename__ = "bonus_grant"
    __table_args__ = (
        UniqueConstraint("account_id", "rule_code", "occasion_key"),
        Index("ix_bonus_grant_campaign", "campaign_id"),
        Index("ix_bonus_grant_account", "account_id", "on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    rule_id: Mapped[int] = mapped_column(ForeignKey("bonus_rule.id"))
    rule_code: Mapped[str]
    occasion: Mapped[str]
    """Which kind of occasion it was."""
    occasion_key: Mapped[str]
    """Names the occasion: one grant of a rule for it, whatever is asked again."""
    on: Mapped[date]
    earned_minor: Mapped[int]
    """Before caps and the budget."""
    amount_minor: Mapped[int]
    """Negative where a grant was taken back with its top-up, zero where a bound left nothing."""
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaign.id"))
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entry.id"))
    expires_on: Mapped[date | None]
    detail: Mapped[str] = mapped_column(Text, default="")
    """What the occasion was, as canonical JSON: what the grant can be checked by."""
    recorded_at: Mapped[datetime]


append_only(BonusRuleRow.__table__)  # type: ignore[arg-type]
append_only(BonusGrantRow.__table__)  # type: ignore[arg-type]
