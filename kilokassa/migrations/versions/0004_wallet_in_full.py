"""The wallet in full: reserves, bonuses, payments, debts; tables that only grow are guarded."""

import sqlalchemy as sa
from alembic import op

from kilokassa.db.append_only import statements

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FIXED = {
    "account_move": (
        "id",
        "kind",
        "on",
        "account_id",
        "next_account_id",
        "request",
        "note",
        "actor",
        "idempotency_key",
        "recorded_at",
    ),
    "document": (
        "id",
        "kind",
        "year",
        "sequence",
        "number",
        "account_id",
        "month",
        "revision",
        "issued_at",
        "issued_on",
        "language",
        "key",
        "snapshot",
        "digest",
        "input_digest",
        "run_id",
        "cancels_id",
    ),
    "notice_delivery": (
        "id",
        "notice_id",
        "method",
        "delivered_at",
        "proof",
        "actor",
        "recorded_at",
    ),
    "notice_delivery_withdrawal": ("id", "delivery_id", "reason", "actor", "recorded_at"),
    "notice_attempt": ("id", "notice_id", "began_at", "ended_at", "outcome", "answer"),
    "bonus_rule": (
        "id",
        "code",
        "version",
        "name",
        "name_en",
        "document",
        "digest",
        "valid_from",
        "valid_until",
        "campaign_id",
        "published_by",
        "recorded_at",
    ),
    "bonus_grant": (
        "id",
        "account_id",
        "rule_id",
        "rule_code",
        "occasion",
        "occasion_key",
        "on",
        "earned_minor",
        "amount_minor",
        "campaign_id",
        "entry_id",
        "expires_on",
        "detail",
        "recorded_at",
    ),
    "late_fee": (
        "id",
        "account_id",
        "service",
        "bill_month",
        "scheme",
        "through_on",
        "cumulative_minor",
        "charged_minor",
        "table",
        "rules_digest",
        "charge_month",
        "entry_id",
        "recorded_at",
    ),
    "supply": (
        "id",
        "account_id",
        "service",
        "supply",
        "pending",
        "since",
        "source",
        "actor",
        "recorded_at",
    ),
    "service_decision": (
        "id",
        "account_id",
        "service",
        "number",
        "state",
        "action",
        "held_by",
        "debt_minor",
        "guard_set",
        "facts",
        "decided_at",
        "next_at",
        "restore_by",
    ),
    "journal_entry": (
        "id",
        "wallet_id",
        "sequence",
        "reason",
        "amount_minor",
        "balance_before",
        "balance_after",
        "valid_at",
        "recorded_at",
        "book_month",
        "charge_month",
        "actor",
        "idempotency_key",
        "request_digest",
        "detail",
        "previous_digest",
        "digest",
    ),
    "posting": ("id", "entry_id", "debit_id", "credit_id", "amount_minor"),
    "lot": (
        "id",
        "wallet_id",
        "number",
        "kind",
        "spend_order",
        "amount_minor",
        "expires_at",
        "rule",
        "service",
        "payer",
        "entry_id",
        "came_at",
    ),
    "draw": ("id", "entry_id", "lot_id", "amount_minor", "service"),
    "daily_seal": ("day", "wallets", "entries", "digest", "recorded_at"),
    "reserve_offer": (
        "id",
        "code",
        "version",
        "name",
        "name_en",
        "document",
        "digest",
        "offered_from",
        "offered_until",
        "published_by",
        "recorded_at",
    ),
    "reserve": (
        "id",
        "account_id",
        "offer_id",
        "signed_on",
        "ends_on",
        "actor",
        "idempotency_key",
        "request_digest",
        "recorded_at",
    ),
    "reserve_movement": (
        "id",
        "reserve_id",
        "number",
        "kind",
        "on",
        "amount_minor",
        "entry_id",
        "actor",
        "detail",
        "recorded_at",
    ),
}
"""Columns that never change, by table."""


def upgrade() -> None:
    op.create_table(
        "campaign",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column(
            "budget_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "granted_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("begins_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("budget_minor >= 0", name=op.f("ck_campaign_budget_not_negative")),
        sa.CheckConstraint("granted_minor >= 0", name=op.f("ck_campaign_granted_not_negative")),
        sa.CheckConstraint(
            "granted_minor <= budget_minor", name=op.f("ck_campaign_granted_within_budget")
        ),
        sa.CheckConstraint("begins_on < ends_on", name=op.f("ck_campaign_runs_for_a_day")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("code", name=op.f("uq_campaign_code")),
    )
    op.create_table(
        "credit_rate",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("rate_ppm", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("rate_ppm >= 0", name=op.f("ck_credit_rate_rate_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_rate")),
    )
    op.create_table(
        "job_run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("runs", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_run")),
        sa.UniqueConstraint("job", "day", name=op.f("uq_job_run_job_day")),
    )
    with op.batch_alter_table("job_run", schema=None) as batch_op:
        batch_op.create_index("ix_job_run_job_started", ["job", "started_at"], unique=False)

    op.create_table(
        "payment_file",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("rows", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "total_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("refused", sa.Text(), nullable=False),
        sa.Column(
            "worked_rows", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_file")),
        sa.UniqueConstraint("digest", name=op.f("uq_payment_file_digest")),
    )
    op.create_table(
        "reserve_offer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("offered_from", sa.Date(), nullable=False),
        sa.Column("offered_until", sa.Date(), nullable=True),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reserve_offer")),
        sa.UniqueConstraint("code", "version", name=op.f("uq_reserve_offer_code_version")),
    )
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("kinds", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
        sa.UniqueConstraint("code", name=op.f("uq_webhook_endpoint_code")),
    )
    op.create_table(
        "bonus_rule",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_bonus_rule_campaign_id_campaign")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bonus_rule")),
        sa.UniqueConstraint("code", "version", name=op.f("uq_bonus_rule_code_version")),
    )
    op.create_table(
        "account_flag",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_flag_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_flag")),
    )
    with op.batch_alter_table("account_flag", schema=None) as batch_op:
        batch_op.create_index(
            "ix_account_flag_standing",
            ["account_id", "kind", "valid_from"],
            unique=True,
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "account_move",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "next_account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "account_id IS NOT NULL OR next_account_id IS NOT NULL",
            name=op.f("ck_account_move_names_an_account"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_move_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["next_account_id"],
            ["account.id"],
            name=op.f("fk_account_move_next_account_id_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_move")),
        sa.UniqueConstraint(
            "actor", "idempotency_key", name=op.f("uq_account_move_actor_idempotency_key")
        ),
    )
    with op.batch_alter_table("account_move", schema=None) as batch_op:
        batch_op.create_index("ix_account_move_account", ["account_id"], unique=False)

    op.create_table(
        "auto_top_up",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("card_token", sa.Text(), nullable=False),
        sa.Column("card_hint", sa.String(), nullable=False),
        sa.Column("enough_on", sa.Date(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_auto_top_up_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auto_top_up")),
    )
    with op.batch_alter_table("auto_top_up", schema=None) as batch_op:
        batch_op.create_index(
            "ix_auto_top_up_account", ["account_id", "superseded_at"], unique=False
        )

    op.create_table(
        "instalment_agreement",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "debt_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("months", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agreed_on", sa.Date(), nullable=False),
        sa.Column("first_due_on", sa.Date(), nullable=False),
        sa.Column("rate_bp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "key_rate_bp", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "grace_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.Column("ended_why", sa.String(), nullable=False),
        sa.CheckConstraint("debt_minor > 0", name=op.f("ck_instalment_agreement_debt_positive")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_instalment_agreement_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instalment_agreement")),
        sa.UniqueConstraint(
            "actor", "idempotency_key", name=op.f("uq_instalment_agreement_actor_idempotency_key")
        ),
    )
    with op.batch_alter_table("instalment_agreement", schema=None) as batch_op:
        batch_op.create_index("ix_instalment_agreement_account", ["account_id"], unique=False)

    op.create_table(
        "notice_preference",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("preference", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_notice_preference_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_preference")),
    )
    with op.batch_alter_table("notice_preference", schema=None) as batch_op:
        batch_op.create_index(
            "ix_notice_preference_account", ["account_id", "superseded_at"], unique=False
        )

    op.create_table(
        "reserve",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("offer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_reserve_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["reserve_offer.id"], name=op.f("fk_reserve_offer_id_reserve_offer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reserve")),
        sa.UniqueConstraint(
            "actor", "idempotency_key", name=op.f("uq_reserve_actor_idempotency_key")
        ),
    )
    with op.batch_alter_table("reserve", schema=None) as batch_op:
        batch_op.create_index("ix_reserve_account", ["account_id"], unique=False)
        batch_op.create_index("ix_reserve_ends_on", ["ends_on"], unique=False)

    op.create_table(
        "service_decision",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("latest", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("held_by", sa.Text(), nullable=False),
        sa.Column(
            "debt_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("guard_set", sa.String(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restore_by", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_service_decision_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_decision")),
        sa.UniqueConstraint(
            "account_id",
            "service",
            "number",
            name=op.f("uq_service_decision_account_id_service_number"),
        ),
    )
    with op.batch_alter_table("service_decision", schema=None) as batch_op:
        batch_op.create_index("ix_service_decision_latest", ["latest", "state"], unique=False)
        batch_op.create_index("ix_service_decision_next", ["latest", "next_at"], unique=False)

    op.create_table(
        "supply",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("supply", sa.String(), nullable=False),
        sa.Column("pending", sa.String(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_supply_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply")),
    )
    with op.batch_alter_table("supply", schema=None) as batch_op:
        batch_op.create_index("ix_supply_account", ["account_id", "service", "id"], unique=False)

    op.create_table(
        "auto_top_up_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "auto_top_up_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_auto_top_up_attempt_amount_positive")),
        sa.ForeignKeyConstraint(
            ["auto_top_up_id"],
            ["auto_top_up.id"],
            name=op.f("fk_auto_top_up_attempt_auto_top_up_id_auto_top_up"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auto_top_up_attempt")),
        sa.UniqueConstraint(
            "auto_top_up_id", "number", name=op.f("uq_auto_top_up_attempt_auto_top_up_id_number")
        ),
    )
    op.create_table(
        "notice_delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "notice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_notice_delivery_notice_id_notice")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_delivery")),
        sa.UniqueConstraint(
            "notice_id",
            "method",
            "delivered_at",
            "proof",
            name=op.f("uq_notice_delivery_notice_id_method_delivered_at_proof"),
        ),
    )
    with op.batch_alter_table("notice_delivery", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notice_delivery_notice_id"), ["notice_id"], unique=False
        )

    op.create_table(
        "notice_delivery_withdrawal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["notice_delivery.id"],
            name=op.f("fk_notice_delivery_withdrawal_delivery_id_notice_delivery"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_delivery_withdrawal")),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_notice_delivery_withdrawal_delivery_id")),
    )
    op.create_table(
        "notice_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "notice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_notice_attempt_notice_id_notice")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_attempt")),
    )
    with op.batch_alter_table("notice_attempt", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notice_attempt_notice_id"), ["notice_id"], unique=False
        )

    op.create_index("ix_notice_way", "notice", ["way", "recipient", "id"], unique=False)
    op.create_index("ix_notice_message", "notice", ["message_id"], unique=False)
    op.create_table(
        "bonus_grant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rule_code", sa.String(), nullable=False),
        sa.Column("occasion", sa.String(), nullable=False),
        sa.Column("occasion_key", sa.String(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column(
            "earned_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_bonus_grant_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_bonus_grant_campaign_id_campaign")
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entry.id"], name=op.f("fk_bonus_grant_entry_id_journal_entry")
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["bonus_rule.id"], name=op.f("fk_bonus_grant_rule_id_bonus_rule")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bonus_grant")),
        sa.UniqueConstraint(
            "account_id",
            "rule_code",
            "occasion_key",
            name=op.f("uq_bonus_grant_account_id_rule_code_occasion_key"),
        ),
    )
    with op.batch_alter_table("bonus_grant", schema=None) as batch_op:
        batch_op.create_index("ix_bonus_grant_account", ["account_id", "on"], unique=False)
        batch_op.create_index("ix_bonus_grant_campaign", ["campaign_id"], unique=False)

    op.create_table(
        "incoming_payment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("transaction_id", sa.String(), nullable=False),
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("line", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("account_text", sa.String(), nullable=False),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("tender", sa.String(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payer", sa.String(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_by", sa.String(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(state = 'taken') = (entry_id IS NOT NULL)",
            name=op.f("ck_incoming_payment_taken_has_entry"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_incoming_payment_amount_positive")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_incoming_payment_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["journal_entry.id"],
            name=op.f("fk_incoming_payment_entry_id_journal_entry"),
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["payment_file.id"], name=op.f("fk_incoming_payment_file_id_payment_file")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incoming_payment")),
        sa.UniqueConstraint(
            "source",
            "sender",
            "transaction_id",
            "account_text",
            name=op.f("uq_incoming_payment_source_sender_transaction_id_account_text"),
        ),
    )
    with op.batch_alter_table("incoming_payment", schema=None) as batch_op:
        batch_op.create_index("ix_incoming_payment_account", ["account_id"], unique=False)
        batch_op.create_index("ix_incoming_payment_state", ["state", "received_at"], unique=False)

    op.create_table(
        "late_fee",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column(
            "bill_month", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("through_on", sa.Date(), nullable=False),
        sa.Column(
            "cumulative_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "charged_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("table", sa.Text(), nullable=False),
        sa.Column("rules_digest", sa.String(), nullable=False),
        sa.Column(
            "charge_month", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_late_fee_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entry.id"], name=op.f("fk_late_fee_entry_id_journal_entry")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_fee")),
        sa.UniqueConstraint(
            "account_id",
            "service",
            "bill_month",
            "through_on",
            name=op.f("uq_late_fee_account_id_service_bill_month_through_on"),
        ),
    )
    with op.batch_alter_table("late_fee", schema=None) as batch_op:
        batch_op.create_index("ix_late_fee_account", ["account_id"], unique=False)

    op.create_table(
        "payment_order",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "reserve_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "reserve_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_reference", sa.String(), nullable=False),
        sa.Column(
            "auto_attempt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_order_amount_positive")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_payment_order_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["auto_attempt_id"],
            ["auto_top_up_attempt.id"],
            name=op.f("fk_payment_order_auto_attempt_id_auto_top_up_attempt"),
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entry.id"], name=op.f("fk_payment_order_entry_id_journal_entry")
        ),
        sa.ForeignKeyConstraint(
            ["reserve_id"], ["reserve.id"], name=op.f("fk_payment_order_reserve_id_reserve")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_order")),
        sa.UniqueConstraint(
            "actor", "idempotency_key", name=op.f("uq_payment_order_actor_idempotency_key")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_payment_order_public_id")),
    )
    with op.batch_alter_table("payment_order", schema=None) as batch_op:
        batch_op.create_index("ix_payment_order_account", ["account_id", "id"], unique=False)
        batch_op.create_index("ix_payment_order_state", ["state", "expires_at"], unique=False)

    op.create_table(
        "reserve_movement",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "reserve_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["journal_entry.id"],
            name=op.f("fk_reserve_movement_entry_id_journal_entry"),
        ),
        sa.ForeignKeyConstraint(
            ["reserve_id"], ["reserve.id"], name=op.f("fk_reserve_movement_reserve_id_reserve")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reserve_movement")),
        sa.UniqueConstraint(
            "reserve_id", "number", name=op.f("uq_reserve_movement_reserve_id_number")
        ),
    )
    with op.batch_alter_table("reserve_movement", schema=None) as batch_op:
        batch_op.create_index("ix_reserve_movement_entry", ["entry_id"], unique=False)

    op.create_table(
        "wallet_hold",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "wallet_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_wallet_hold_amount_positive")),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entry.id"], name=op.f("fk_wallet_hold_entry_id_journal_entry")
        ),
        sa.ForeignKeyConstraint(
            ["wallet_id"], ["wallet.id"], name=op.f("fk_wallet_hold_wallet_id_wallet")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallet_hold")),
        sa.UniqueConstraint(
            "actor", "idempotency_key", name=op.f("uq_wallet_hold_actor_idempotency_key")
        ),
    )
    with op.batch_alter_table("wallet_hold", schema=None) as batch_op:
        batch_op.create_index("ix_wallet_hold_wallet", ["wallet_id", "released_at"], unique=False)

    op.create_table(
        "refund",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("to_whom", sa.String(), nullable=False),
        sa.Column("requisites", sa.Text(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("hold_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_by", sa.String(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reference", sa.String(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_amount_positive")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_refund_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entry.id"], name=op.f("fk_refund_entry_id_journal_entry")
        ),
        sa.ForeignKeyConstraint(
            ["hold_id"], ["wallet_hold.id"], name=op.f("fk_refund_hold_id_wallet_hold")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint(
            "actor", "idempotency_key", name=op.f("uq_refund_actor_idempotency_key")
        ),
    )
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index("ix_refund_state", ["state", "asked_at"], unique=False)

    with op.batch_alter_table("draw", schema=None) as batch_op:
        batch_op.add_column(sa.Column("service", sa.String(), server_default="", nullable=False))

    with op.batch_alter_table("retailer", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "opening_share",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                server_default="2000",
                nullable=False,
            )
        )

    with op.batch_alter_table("wallet", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "lot_count",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                server_default="0",
                nullable=False,
            )
        )
        batch_op.add_column(
            sa.Column(
                "credit_lot", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(
            sa.Column(
                "opening_debt_minor",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                server_default="0",
                nullable=False,
            )
        )
        batch_op.create_check_constraint(
            op.f("ck_wallet_opening_debt_uncovered"),
            "opening_debt_minor >= 0 AND opening_debt_minor <= uncovered_minor",
        )
    op.execute(
        "UPDATE wallet SET lot_count ="
        " (SELECT coalesce(max(number), 0) FROM lot WHERE lot.wallet_id = wallet.id)"
    )

    with op.batch_alter_table("lot", schema=None) as batch_op:
        batch_op.add_column(sa.Column("service", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("payer", sa.String(), server_default="", nullable=False))

    for table, columns in FIXED.items():
        for statement in statements(table, columns, op.get_bind().dialect.name):
            op.execute(sa.text(statement))


def downgrade() -> None:
    on = "" if op.get_bind().dialect.name == "sqlite" else ' ON "{}"'
    for table in FIXED:
        for what in ("no_update", "no_delete"):
            op.execute(sa.text(f"DROP TRIGGER {table}_{what}{on.format(table)}"))
    with op.batch_alter_table("lot", schema=None) as batch_op:
        batch_op.drop_column("payer")
        batch_op.drop_column("service")

    with op.batch_alter_table("retailer", schema=None) as batch_op:
        batch_op.drop_column("opening_share")

    with op.batch_alter_table("wallet", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_wallet_opening_debt_uncovered"), type_="check")
        batch_op.drop_column("opening_debt_minor")
        batch_op.drop_column("credit_lot")
        batch_op.drop_column("lot_count")

    with op.batch_alter_table("draw", schema=None) as batch_op:
        batch_op.drop_column("service")

    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.drop_index("ix_refund_state")

    op.drop_table("refund")
    with op.batch_alter_table("wallet_hold", schema=None) as batch_op:
        batch_op.drop_index("ix_wallet_hold_wallet")

    op.drop_table("wallet_hold")
    with op.batch_alter_table("reserve_movement", schema=None) as batch_op:
        batch_op.drop_index("ix_reserve_movement_entry")

    op.drop_table("reserve_movement")
    with op.batch_alter_table("payment_order", schema=None) as batch_op:
        batch_op.drop_index("ix_payment_order_state")
        batch_op.drop_index("ix_payment_order_account")

    op.drop_table("payment_order")
    with op.batch_alter_table("late_fee", schema=None) as batch_op:
        batch_op.drop_index("ix_late_fee_account")

    op.drop_table("late_fee")
    with op.batch_alter_table("incoming_payment", schema=None) as batch_op:
        batch_op.drop_index("ix_incoming_payment_state")
        batch_op.drop_index("ix_incoming_payment_account")

    op.drop_table("incoming_payment")
    with op.batch_alter_table("bonus_grant", schema=None) as batch_op:
        batch_op.drop_index("ix_bonus_grant_campaign")
        batch_op.drop_index("ix_bonus_grant_account")

    op.drop_table("bonus_grant")
    op.drop_index("ix_notice_message", table_name="notice")
    op.drop_index("ix_notice_way", table_name="notice")
    with op.batch_alter_table("notice_attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_notice_attempt_notice_id"))

    op.drop_table("notice_attempt")
    op.drop_table("notice_delivery_withdrawal")
    with op.batch_alter_table("notice_delivery", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_notice_delivery_notice_id"))

    op.drop_table("notice_delivery")
    op.drop_table("auto_top_up_attempt")
    with op.batch_alter_table("supply", schema=None) as batch_op:
        batch_op.drop_index("ix_supply_account")

    op.drop_table("supply")
    with op.batch_alter_table("service_decision", schema=None) as batch_op:
        batch_op.drop_index("ix_service_decision_next")
        batch_op.drop_index("ix_service_decision_latest")

    op.drop_table("service_decision")
    with op.batch_alter_table("reserve", schema=None) as batch_op:
        batch_op.drop_index("ix_reserve_ends_on")
        batch_op.drop_index("ix_reserve_account")

    op.drop_table("reserve")
    with op.batch_alter_table("notice_preference", schema=None) as batch_op:
        batch_op.drop_index("ix_notice_preference_account")

    op.drop_table("notice_preference")
    with op.batch_alter_table("instalment_agreement", schema=None) as batch_op:
        batch_op.drop_index("ix_instalment_agreement_account")

    op.drop_table("instalment_agreement")
    with op.batch_alter_table("auto_top_up", schema=None) as batch_op:
        batch_op.drop_index("ix_auto_top_up_account")

    op.drop_table("auto_top_up")
    with op.batch_alter_table("account_move", schema=None) as batch_op:
        batch_op.drop_index("ix_account_move_account")

    op.drop_table("account_move")
    with op.batch_alter_table("account_flag", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_account_flag_standing",
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.drop_table("account_flag")
    op.drop_table("bonus_rule")
    op.drop_table("webhook_endpoint")
    op.drop_table("reserve_offer")
    op.drop_table("payment_file")
    with op.batch_alter_table("job_run", schema=None) as batch_op:
        batch_op.drop_index("ix_job_run_job_started")

    op.drop_table("job_run")
    op.drop_table("credit_rate")
    op.drop_table("campaign")
