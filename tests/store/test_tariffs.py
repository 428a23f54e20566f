from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilokassa.core.calendar import Month
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.period import Period
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.series import EnergySeries
from tariffs.rating import rate_energy
from tariffs.service import PublishOrder, VersionExists, publish_version
from tariffs.store import plan_by_code, plans, published_versions, versions_in_force

STAFF = system_scope("test")
KHABAROVSK = ZoneInfo("Asia/Vladivostok")


def document(valid_from="2022-07-01", rate="5.09"):
    return (
        f"plan: single\nname: {{ru: Один, en: Single}}\nvalid_from: {valid_from}\ncurrency: RUB\n"
        f"vat: included\nprices:\n  - from: {valid_from}\n    per_kwh: {rate}\n"
        "source: S1\nconfidence: high\n"
    )


def test_publishing_the_same_document_again_changes_nothing(database, clock):
    with database.writing() as session:
        first = publish_version(session, PublishOrder(STAFF, document()), clock)
        again = publish_version(session, PublishOrder(STAFF, document()), clock)

    assert first.new
    assert not again.new
    assert again.version_id == first.version_id


def test_another_document_for_the_same_date_must_say_that_it_replaces(database, clock):
    with database.writing() as session:
        first = publish_version(session, PublishOrder(STAFF, document()), clock)
        other = document(rate="5.10")

        with pytest.raises(VersionExists):
            publish_version(session, PublishOrder(STAFF, other), clock)
        publish_version(session, PublishOrder(STAFF, other, replaces=True), clock)

        known = published_versions(session, first.plan_id)
    assert [(v.revision, v.version.rates[0].rates_scaled) for v in known] == [
        (2, ((5_100_000,),)),
        (1, ((5_090_000,),)),
    ]


def test_a_version_holds_until_the_next_one(database, clock):
    with database.writing() as session:
        plan_id = publish_version(session, PublishOrder(STAFF, document()), clock).plan_id
        publish_version(session, PublishOrder(STAFF, document("2022-11-15", "6")), clock)

    with database.reading() as session:
        period = Month(2022, 11).period(KHABAROVSK)
        found = versions_in_force(session, [plan_id], period, KHABAROVSK)[plan_id]
        listed = plans(session)

    assert [version.valid_from for _, version in found] == [date(2022, 7, 1), date(2022, 11, 15)]
    assert found[0][0].end == found[1][0].start
    assert [plan.code for plan in listed] == ["single"]


def test_a_replaced_version_holds_no_longer_and_can_still_be_read(database, clock):
    with database.writing() as session:
        plan_id = publish_version(session, PublishOrder(STAFF, document()), clock).plan_id
        later = PublishOrder(STAFF, document(rate="5.10") + "# corrected\n", replaces=True)
        right = publish_version(session, later, clock)

    with database.reading() as session:
        period = Month(2022, 11).period(KHABAROVSK)
        (in_force,) = versions_in_force(session, [plan_id], period, KHABAROVSK)[plan_id]
        known = published_versions(session, plan_id)

    assert in_force == (period, replace(right.version, id=right.version_id))
    assert [v.document for v in known] == [document(rate="5.10") + "# corrected\n", document()]
    assert {(v.published_by, v.published_at) for v in known} == {("test", clock.now())}


def test_before_its_first_version_a_plan_prices_nothing(database, clock):
    with database.writing() as session:
        plan_id = publish_version(session, PublishOrder(STAFF, document()), clock).plan_id

    with database.reading() as session:
        early = versions_in_force(session, [plan_id], Month(2022, 6).period(KHABAROVSK), KHABAROVSK)
        partly = Period(
            Month(2022, 6).period(KHABAROVSK).start, Month(2022, 7).period(KHABAROVSK).end
        )
        half = versions_in_force(session, [plan_id], partly, KHABAROVSK)

    assert early == {plan_id: ()}
    assert [period for period, _ in half[plan_id]] == [Month(2022, 7).period(KHABAROVSK)]


def test_two_versions_of_one_month_are_rated_as_they_were_published(database, clock):
    month = Month(2022, 11).period(KHABAROVSK)
    with database.writing() as session:
        plan_id = publish_version(session, PublishOrder(STAFF, document()), clock).plan_id
        publish_version(session, PublishOrder(STAFF, document("2022-11-16", "6")), clock)

    with database.reading() as session:
        versions = versions_in_force(session, [plan_id], month, KHABAROVSK)[plan_id]
    lines = rate_energy(
        EnergySeries(month.start, 60, np.full(720, 1000, np.int32)), versions, KHABAROVSK
    )

    assert [(n.spec.key, n.amount_minor) for n in lines] == [
        ("all/-/2022-07-01", 1832_40),
        ("all/-/2022-11-16", 2160_00),
    ]
    assert len({n.spec.version_id for n in lines}) == 2


def test_a_plan_is_found_by_its_code_or_named_as_unknown(database, clock):
    with database.writing() as session:
        publish_version(session, PublishOrder(STAFF, document()), clock)

    with database.reading() as session:
        assert plan_by_code(session, "single").name_en == "Single"
        with pytest.raises(NotFound, match="tariff plan double"):
            plan_by_code(session, "double")


def test_a_bad_document_publishes_nothing(database, clock):
    with database.writing() as session:
        with pytest.raises(Invalid, match=r"prices\.0\.per_kwh"):
            publish_version(session, PublishOrder(STAFF, document(rate="-1")), clock)
        listed = plans(session)

    assert listed == ()


def test_an_operator_may_not_publish(database, clock):
    scope = Scope(role=Role.OPERATOR, actor="user:1", whole_retailer=True)

    with database.writing() as session, pytest.raises(Forbidden):
        publish_version(session, PublishOrder(scope, document()), clock)
