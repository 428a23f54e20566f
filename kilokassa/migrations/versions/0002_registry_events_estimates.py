"""Registry, events and estimates of metering; findings are closed by somebody."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SEVERITIES = {
    "register_backwards": 6,
    "negative": 6,
    "duplicate_different": 4,
    "gap": 3,
    "off_grid": 3,
    "register_rollover": 1,
}
"""How much findings that stand already matter; those of other kinds weigh nothing."""


def upgrade() -> None:
    op.create_table(
        "consumption_norm",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("commodity", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("rooms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("persons", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumption_norm")),
        sa.UniqueConstraint(
            "code",
            "commodity",
            "valid_from",
            "rooms",
            "persons",
            name=op.f("uq_consumption_norm_code_commodity_valid_from_rooms_persons"),
        ),
    )
    op.create_table(
        "exchange_area",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sender_inn", sa.String(), nullable=False),
        sa.Column("area_inn", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_area")),
        sa.UniqueConstraint(
            "sender_inn", "area_inn", name=op.f("uq_exchange_area_sender_inn_area_inn")
        ),
    )
    op.create_table(
        "exchange_number",
        sa.Column("sender_inn", sa.String(), nullable=False),
        sa.Column(
            "last_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("sender_inn", name=op.f("pk_exchange_number")),
    )
    op.create_table(
        "servicer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servicer")),
        sa.UniqueConstraint("code", name=op.f("uq_servicer_code")),
    )
    op.create_table(
        "common_area",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "building_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("area_dm2", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("area_dm2 >= 0", name=op.f("ck_common_area_area_not_negative")),
        sa.ForeignKeyConstraint(
            ["building_id"], ["building.id"], name=op.f("fk_common_area_building_id_building")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_common_area")),
        sa.UniqueConstraint("building_id", "code", name=op.f("uq_common_area_building_id_code")),
    )
    op.create_table(
        "reading_window",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "building_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column(
            "first_day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("last_day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "remind_days_before",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "first_day >= 1 AND last_day >= first_day", name=op.f("ck_reading_window_days_in_order")
        ),
        sa.ForeignKeyConstraint(
            ["building_id"], ["building.id"], name=op.f("fk_reading_window_building_id_building")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading_window")),
        sa.UniqueConstraint(
            "building_id", "valid_from", name=op.f("uq_reading_window_building_id_valid_from")
        ),
    )
    op.create_table(
        "walk_round",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "building_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("taken_on", sa.Date(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["building_id"], ["building.id"], name=op.f("fk_walk_round_building_id_building")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_walk_round")),
    )
    with op.batch_alter_table("walk_round", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_walk_round_building_id"), ["building_id"], unique=False
        )

    op.create_table(
        "delivery_point",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column(
            "building_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "premises_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("boundary", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["building_id"], ["building.id"], name=op.f("fk_delivery_point_building_id_building")
        ),
        sa.ForeignKeyConstraint(
            ["premises_id"], ["premises.id"], name=op.f("fk_delivery_point_premises_id_premises")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_point")),
        sa.UniqueConstraint("code", name=op.f("uq_delivery_point_code")),
    )
    with op.batch_alter_table("delivery_point", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_delivery_point_building_id"), ["building_id"], unique=False
        )

    op.create_table(
        "quality_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "building_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "premises_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("commodity", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "measured_tenths", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "required_tenths", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source_key", sa.String(), nullable=True),
        sa.CheckConstraint(
            "ends_at IS NULL OR ends_at > starts_at", name=op.f("ck_quality_event_lasts")
        ),
        sa.ForeignKeyConstraint(
            ["building_id"], ["building.id"], name=op.f("fk_quality_event_building_id_building")
        ),
        sa.ForeignKeyConstraint(
            ["premises_id"], ["premises.id"], name=op.f("fk_quality_event_premises_id_premises")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_event")),
        sa.UniqueConstraint("source_key", name=op.f("uq_quality_event_source_key")),
    )
    with op.batch_alter_table("quality_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_quality_event_building", ["building_id", "starts_at"], unique=False
        )

    op.create_table(
        "device_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("meter_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("value", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_device_event_meter_id_meter")
        ),
        sa.ForeignKeyConstraint(
            ["point_id"],
            ["metering_point.id"],
            name=op.f("fk_device_event_point_id_metering_point"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_event")),
        sa.UniqueConstraint(
            "point_id", "kind", "starts_at", name=op.f("uq_device_event_point_id_kind_starts_at")
        ),
    )
    with op.batch_alter_table("device_event", schema=None) as batch_op:
        batch_op.create_index("ix_device_event_time", ["starts_at", "kind"], unique=False)

    op.create_table(
        "estimate",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("meter_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("zone", sa.String(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channel.id"], name=op.f("fk_estimate_channel_id_channel")
        ),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_estimate_meter_id_meter")
        ),
        sa.ForeignKeyConstraint(
            ["point_id"], ["metering_point.id"], name=op.f("fk_estimate_point_id_metering_point")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_estimate")),
    )
    with op.batch_alter_table("estimate", schema=None) as batch_op:
        batch_op.create_index("ix_estimate_point", ["point_id", "starts_at"], unique=False)

    op.create_table(
        "meter_life_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("meter_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("happened_on", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_meter_life_event_meter_id_meter")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_life_event")),
    )
    with op.batch_alter_table("meter_life_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_meter_life_event_meter", ["meter_id", "happened_on"], unique=False
        )

    op.create_table(
        "reading_photo",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("meter_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_reading_photo_meter_id_meter")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading_photo")),
    )
    with op.batch_alter_table("reading_photo", schema=None) as batch_op:
        batch_op.create_index("ix_reading_photo_meter", ["meter_id", "taken_at"], unique=False)

    op.create_table(
        "walk_round_visit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "walk_round_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("meter_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_walk_round_visit_meter_id_meter")
        ),
        sa.ForeignKeyConstraint(
            ["walk_round_id"],
            ["walk_round.id"],
            name=op.f("fk_walk_round_visit_walk_round_id_walk_round"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_walk_round_visit")),
    )
    with op.batch_alter_table("walk_round_visit", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_walk_round_visit_meter_id"), ["meter_id"], unique=False
        )
        batch_op.create_index(
            "ix_walk_round_visit_round", ["walk_round_id", "meter_id"], unique=False
        )

    with op.batch_alter_table("building", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "servicer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(
            sa.Column(
                "latitude_e6", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(
            sa.Column(
                "longitude_e6", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(
            sa.Column(
                "loss_ppm",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=False,
                server_default="0",
            )
        )
        batch_op.add_column(
            sa.Column(
                "loss_w",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=False,
                server_default="0",
            )
        )
        batch_op.add_column(sa.Column("norm_code", sa.String(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_building_servicer_id_servicer"), "servicer", ["servicer_id"], ["id"]
        )

    with op.batch_alter_table("channel", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "loss_ppm",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=False,
                server_default="0",
            )
        )

    with op.batch_alter_table("company", schema=None) as batch_op:
        batch_op.add_column(sa.Column("email", sa.String(), nullable=False, server_default=""))

    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.add_column(sa.Column("closed_by", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("note", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(
            sa.Column(
                "weight",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=False,
                server_default="0",
            )
        )
        batch_op.create_index("ix_finding_point", ["point_code", "state"], unique=False)
        batch_op.create_index("ix_finding_weight", ["state", "weight"], unique=False)
    for kind, severity in _SEVERITIES.items():
        op.execute(
            sa.text("UPDATE finding SET weight = :weight WHERE kind = :kind").bindparams(
                weight=severity * 1_000_000, kind=kind
            )
        )

    with op.batch_alter_table("import_batch", schema=None) as batch_op:
        batch_op.add_column(sa.Column("request_key", sa.String(), nullable=True))
        batch_op.create_index("ix_import_batch_request", ["actor", "request_key"], unique=True)

    with op.batch_alter_table("import_refusal", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("channel_code", sa.String(), nullable=False, server_default="A+")
        )

    with op.batch_alter_table("meter", schema=None) as batch_op:
        batch_op.add_column(sa.Column("made_on", sa.Date(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "service_life_years",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=True,
            )
        )

    with op.batch_alter_table("metering_point", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "common_area_id",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=True,
            )
        )
        batch_op.add_column(
            sa.Column(
                "delivery_point_id",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("exchange_code", sa.String(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "latitude_e6", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(
            sa.Column(
                "longitude_e6", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(
            sa.Column(
                "capacity_w", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.create_unique_constraint(
            batch_op.f("uq_metering_point_exchange_code"), ["exchange_code"]
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_metering_point_delivery_point_id_delivery_point"),
            "delivery_point",
            ["delivery_point_id"],
            ["id"],
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_metering_point_common_area_id_common_area"),
            "common_area",
            ["common_area_id"],
            ["id"],
        )

    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.alter_column("account_id", existing_type=sa.INTEGER(), nullable=True)

    with op.batch_alter_table("retailer", schema=None) as batch_op:
        batch_op.add_column(sa.Column("page_url", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(
            sa.Column("price_split", sa.String(), nullable=False, server_default="reading")
        )

    with op.batch_alter_table("premises", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("rooms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )

    op.execute("UPDATE finding SET state = 'corrected', closed_by = '' WHERE state = 'closed'")


def downgrade() -> None:
    op.execute("UPDATE finding SET state = 'closed' WHERE state <> 'open'")
    op.execute("DELETE FROM notice WHERE account_id IS NULL")
    with op.batch_alter_table("premises", schema=None) as batch_op:
        batch_op.drop_column("rooms")

    with op.batch_alter_table("retailer", schema=None) as batch_op:
        batch_op.drop_column("price_split")
        batch_op.drop_column("page_url")

    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.alter_column("account_id", existing_type=sa.INTEGER(), nullable=False)

    with op.batch_alter_table("metering_point", schema=None) as batch_op:
        batch_op.drop_constraint(
            batch_op.f("fk_metering_point_common_area_id_common_area"), type_="foreignkey"
        )
        batch_op.drop_constraint(
            batch_op.f("fk_metering_point_delivery_point_id_delivery_point"), type_="foreignkey"
        )
        batch_op.drop_constraint(batch_op.f("uq_metering_point_exchange_code"), type_="unique")
        batch_op.drop_column("capacity_w")
        batch_op.drop_column("longitude_e6")
        batch_op.drop_column("latitude_e6")
        batch_op.drop_column("exchange_code")
        batch_op.drop_column("delivery_point_id")
        batch_op.drop_column("common_area_id")

    with op.batch_alter_table("meter", schema=None) as batch_op:
        batch_op.drop_column("service_life_years")
        batch_op.drop_column("made_on")

    with op.batch_alter_table("import_refusal", schema=None) as batch_op:
        batch_op.drop_column("channel_code")

    with op.batch_alter_table("import_batch", schema=None) as batch_op:
        batch_op.drop_index("ix_import_batch_request")
        batch_op.drop_column("request_key")

    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.drop_index("ix_finding_weight")
        batch_op.drop_index("ix_finding_point")
        batch_op.drop_column("weight")
        batch_op.drop_column("note")
        batch_op.drop_column("closed_at")
        batch_op.drop_column("closed_by")

    with op.batch_alter_table("company", schema=None) as batch_op:
        batch_op.drop_column("email")

    with op.batch_alter_table("channel", schema=None) as batch_op:
        batch_op.drop_column("loss_ppm")

    with op.batch_alter_table("building", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_building_servicer_id_servicer"), type_="foreignkey")
        batch_op.drop_column("norm_code")
        batch_op.drop_column("loss_w")
        batch_op.drop_column("loss_ppm")
        batch_op.drop_column("longitude_e6")
        batch_op.drop_column("latitude_e6")
        batch_op.drop_column("servicer_id")

    with op.batch_alter_table("walk_round_visit", schema=None) as batch_op:
        batch_op.drop_index("ix_walk_round_visit_round")
        batch_op.drop_index(batch_op.f("ix_walk_round_visit_meter_id"))

    op.drop_table("walk_round_visit")
    with op.batch_alter_table("reading_photo", schema=None) as batch_op:
        batch_op.drop_index("ix_reading_photo_meter")

    op.drop_table("reading_photo")
    with op.batch_alter_table("meter_life_event", schema=None) as batch_op:
        batch_op.drop_index("ix_meter_life_event_meter")

    op.drop_table("meter_life_event")
    with op.batch_alter_table("estimate", schema=None) as batch_op:
        batch_op.drop_index("ix_estimate_point")

    op.drop_table("estimate")
    with op.batch_alter_table("device_event", schema=None) as batch_op:
        batch_op.drop_index("ix_device_event_time")

    op.drop_table("device_event")
    with op.batch_alter_table("quality_event", schema=None) as batch_op:
        batch_op.drop_index("ix_quality_event_building")

    op.drop_table("quality_event")
    with op.batch_alter_table("delivery_point", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_point_building_id"))

    op.drop_table("delivery_point")
    with op.batch_alter_table("walk_round", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_walk_round_building_id"))

    op.drop_table("walk_round")
    op.drop_table("reading_window")
    op.drop_table("common_area")
    op.drop_table("servicer")
    op.drop_table("exchange_number")
    op.drop_table("exchange_area")
    op.drop_table("consumption_norm")
