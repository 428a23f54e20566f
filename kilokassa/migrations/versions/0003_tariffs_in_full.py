"""Tariffs in full."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "peak_hour",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("list_code", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_peak_hour")),
    )
    with op.batch_alter_table("peak_hour", schema=None) as batch_op:
        batch_op.create_index("ix_peak_hour_recorded", ["recorded_at"], unique=False)
        batch_op.create_index(
            "ix_peak_hour_standing",
            ["list_code", "starts_at"],
            unique=True,
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "price_series",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column(
            "interval_min", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("interval_min > 0", name=op.f("ck_price_series_interval_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_series")),
        sa.UniqueConstraint("code", name=op.f("uq_price_series_code")),
    )
    op.create_table(
        "rehearsal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column(
            "first_month", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "last_month", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("parts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rehearsal")),
    )
    op.create_table(
        "service_price",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_price")),
        sa.UniqueConstraint(
            "code", "valid_from", "revision", name=op.f("uq_service_price_code_valid_from_revision")
        ),
    )
    op.create_table(
        "price_day",
        sa.Column(
            "series_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "revision",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("prices", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["price_series.id"], name=op.f("fk_price_day_series_id_price_series")
        ),
        sa.PrimaryKeyConstraint("series_id", "day", "revision", name=op.f("pk_price_day")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("price_day", schema=None) as batch_op:
        batch_op.create_index("ix_price_day_recorded", ["recorded_at"], unique=False)

    op.create_table(
        "rehearsal_part",
        sa.Column(
            "rehearsal_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "part",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("summary", sa.LargeBinary(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["rehearsal_id"],
            ["rehearsal.id"],
            name=op.f("fk_rehearsal_part_rehearsal_id_rehearsal"),
        ),
        sa.PrimaryKeyConstraint("rehearsal_id", "part", name=op.f("pk_rehearsal_part")),
    )
    op.create_table(
        "common_area_month",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "building_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("month", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("house_wh", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("flats_wh", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("actual_wh", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "carried_in_wh", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "charged_wh", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "carried_out_wh", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("area_dm2", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("input_digest", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["building_id"], ["building.id"], name=op.f("fk_common_area_month_building_id_building")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_common_area_month")),
    )
    with op.batch_alter_table("common_area_month", schema=None) as batch_op:
        batch_op.create_index(
            "ix_common_area_month_standing",
            ["building_id", "month"],
            unique=True,
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "house_service",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "building_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("service_code", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("method", sa.String(), nullable=True),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["building_id"], ["building.id"], name=op.f("fk_house_service_building_id_building")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_house_service")),
    )
    with op.batch_alter_table("house_service", schema=None) as batch_op:
        batch_op.create_index(
            "ix_house_service_building", ["building_id", "service_code"], unique=False
        )
        batch_op.create_index("ix_house_service_recorded", ["recorded_at"], unique=False)

    op.create_table(
        "tariff_draft",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("plan_code", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["tariff_version.id"],
            name=op.f("fk_tariff_draft_version_id_tariff_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff_draft")),
    )
    with op.batch_alter_table("tariff_draft", schema=None) as batch_op:
        batch_op.create_index("ix_tariff_draft_state", ["state", "changed_at"], unique=False)

    op.create_table(
        "premises_area",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "premises_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("area_dm2", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("area_dm2 > 0", name=op.f("ck_premises_area_area_positive")),
        sa.ForeignKeyConstraint(
            ["premises_id"], ["premises.id"], name=op.f("fk_premises_area_premises_id_premises")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_premises_area")),
    )
    with op.batch_alter_table("premises_area", schema=None) as batch_op:
        batch_op.create_index("ix_premises_area_recorded", ["recorded_at"], unique=False)
        batch_op.create_index(
            "ix_premises_area_standing",
            ["premises_id", "valid_from"],
            unique=True,
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "tariff_draft_step",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("draft_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["draft_id"],
            ["tariff_draft.id"],
            name=op.f("fk_tariff_draft_step_draft_id_tariff_draft"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff_draft_step")),
        sa.UniqueConstraint(
            "draft_id", "number", name=op.f("uq_tariff_draft_step_draft_id_number")
        ),
    )
    op.create_table(
        "absence",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=False),
        sa.Column("persons", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("last_on >= first_on", name=op.f("ck_absence_days_in_order")),
        sa.CheckConstraint("persons > 0", name=op.f("ck_absence_persons_positive")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_absence_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absence")),
    )
    with op.batch_alter_table("absence", schema=None) as batch_op:
        batch_op.create_index("ix_absence_account", ["account_id", "first_on"], unique=False)
        batch_op.create_index("ix_absence_recorded", ["recorded_at"], unique=False)

    op.create_table(
        "account_fact",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("value", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("value >= 0", name=op.f("ck_account_fact_value_not_negative")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_fact_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_fact")),
    )
    with op.batch_alter_table("account_fact", schema=None) as batch_op:
        batch_op.create_index("ix_account_fact_recorded", ["recorded_at"], unique=False)
        batch_op.create_index(
            "ix_account_fact_standing",
            ["account_id", "kind", "valid_from"],
            unique=True,
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "entitlement",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "valid_until IS NULL OR valid_until >= valid_from",
            name=op.f("ck_entitlement_days_in_order"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_entitlement_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entitlement")),
    )
    with op.batch_alter_table("entitlement", schema=None) as batch_op:
        batch_op.create_index("ix_entitlement_account", ["account_id", "code"], unique=False)
        batch_op.create_index("ix_entitlement_recorded", ["recorded_at"], unique=False)

    with op.batch_alter_table("account_term", schema=None) as batch_op:
        batch_op.add_column(sa.Column("actor", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_constraint(
            batch_op.f("uq_account_term_account_id_valid_from"), type_="unique"
        )
        batch_op.create_index("ix_account_term_recorded", ["recorded_at"], unique=False)
        batch_op.create_index(
            "ix_account_term_standing",
            ["account_id", "valid_from"],
            unique=True,
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    with op.batch_alter_table("charge_line", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("charge", sa.String(), nullable=False, server_default="energy")
        )
        batch_op.add_column(sa.Column("code", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("unit", sa.String(), nullable=False, server_default="wh"))
        batch_op.add_column(
            sa.Column(
                "factor",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=False,
                server_default="1",
            )
        )
        batch_op.add_column(
            sa.Column(
                "divisor",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=False,
                server_default="0",
            )
        )
        batch_op.add_column(sa.Column("reason", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("known_at", sa.DateTime(timezone=True), nullable=True))

    op.execute("UPDATE charge_line SET unit = 'kcal', charge = 'service' WHERE service = 'heat'")
    op.execute("UPDATE charge_line SET divisor = 10000000 WHERE service = 'electricity'")

    with op.batch_alter_table("billing_run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(), nullable=False, server_default="close"))

    with op.batch_alter_table("quality_event", schema=None) as batch_op:
        batch_op.add_column(sa.Column("end_recorded_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM account_term WHERE superseded_at IS NOT NULL")
    with op.batch_alter_table("quality_event", schema=None) as batch_op:
        batch_op.drop_column("end_recorded_at")

    op.execute(
        "DELETE FROM billing_part WHERE run_id IN "
        "(SELECT id FROM billing_run WHERE kind <> 'close')"
    )
    op.execute("DELETE FROM billing_run WHERE kind <> 'close'")
    with op.batch_alter_table("billing_run", schema=None) as batch_op:
        batch_op.drop_column("kind")

    with op.batch_alter_table("charge_line", schema=None) as batch_op:
        batch_op.drop_column("known_at")
        batch_op.drop_column("reason")
        batch_op.drop_column("divisor")
        batch_op.drop_column("factor")
        batch_op.drop_column("unit")
        batch_op.drop_column("code")
        batch_op.drop_column("charge")

    with op.batch_alter_table("account_term", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_account_term_standing",
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )
        batch_op.drop_index("ix_account_term_recorded")
        batch_op.create_unique_constraint(
            batch_op.f("uq_account_term_account_id_valid_from"), ["account_id", "valid_from"]
        )
        batch_op.drop_column("superseded_at")
        batch_op.drop_column("actor")

    with op.batch_alter_table("entitlement", schema=None) as batch_op:
        batch_op.drop_index("ix_entitlement_recorded")
        batch_op.drop_index("ix_entitlement_account")

    op.drop_table("entitlement")
    with op.batch_alter_table("account_fact", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_account_fact_standing",
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )
        batch_op.drop_index("ix_account_fact_recorded")

    op.drop_table("account_fact")
    with op.batch_alter_table("absence", schema=None) as batch_op:
        batch_op.drop_index("ix_absence_recorded")
        batch_op.drop_index("ix_absence_account")

    op.drop_table("absence")
    op.drop_table("tariff_draft_step")
    with op.batch_alter_table("premises_area", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_premises_area_standing",
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )
        batch_op.drop_index("ix_premises_area_recorded")

    op.drop_table("premises_area")
    with op.batch_alter_table("tariff_draft", schema=None) as batch_op:
        batch_op.drop_index("ix_tariff_draft_state")

    op.drop_table("tariff_draft")
    with op.batch_alter_table("house_service", schema=None) as batch_op:
        batch_op.drop_index("ix_house_service_recorded")
        batch_op.drop_index("ix_house_service_building")

    op.drop_table("house_service")
    with op.batch_alter_table("common_area_month", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_common_area_month_standing",
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.drop_table("common_area_month")
    op.drop_table("rehearsal_part")
    with op.batch_alter_table("price_day", schema=None) as batch_op:
        batch_op.drop_index("ix_price_day_recorded")

    op.drop_table("price_day")
    op.drop_table("service_price")
    op.drop_table("rehearsal")
    op.drop_table("price_series")
    with op.batch_alter_table("peak_hour", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_peak_hour_standing",
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        )
        batch_op.drop_index("ix_peak_hour_recorded")

    op.drop_table("peak_hour")
