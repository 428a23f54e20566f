from datetime import date
from zoneinfo import ZoneInfo

import pytest

from kilokassa.core.calendar import Month
from kilokassa.core.errors import Forbidden
from kilokassa.core.scope import Role, Scope, system_scope
from tariffs.service import PublishOrder, VersionExists, publish_version
from tariffs.store import plans, published_versions, versions_in_force

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


def test_an_operator_may_not_publish(database, clock):
    scope = Scope(role=Role.OPERATOR, actor="user:1", whole_retailer=True)

    with database.writing() as session, pytest.raises(Forbidden):
        publish_version(session, PublishOrder(scope, document()), clock)
