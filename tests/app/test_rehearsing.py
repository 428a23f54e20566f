"""A rehearsal over a billed town: it equals the bills, posts nothing, and can be interrupted."""

import json
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from billing.models import ChargeLineRow, LineKind, RehearsalPartRow
from billing.rehearsal import store
from billing.rehearsal.order import Change, RehearsalOrder
from billing.store import account_by_number
from kilokassa.app import rehearsing
from kilokassa.app.rehearsal_report import load_report, report_csv, report_json, report_page
from kilokassa.core.calendar import Month
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.scope import Role, Scope
from kilokassa.core.text import Language
from kilokassa.db.base import Base
from tariffs.lines import ChargeKind
from tariffs.rehearsal import PriceBasis
from tests.web import seed

FIRST, LAST = Month(2022, 11), Month(2022, 12)
DEARER = """
plan: two_zone
name: {ru: Двухзонный, en: Two zones}
valid_from: 2023-03-01
currency: RUB
vat: included
zones: {day: [07:00-23:00], night: [23:00-07:00]}
prices:
  - {from: 2023-03-01, per_kwh: {day: 10, night: 1}}
source: test
confidence: memory
"""


@pytest.fixture
def town(database, tmp_path):
    return seed.build(tmp_path, database=database)


@pytest.fixture(scope="module")
def one_town(tmp_path_factory):
    """A town for what changes nothing but the list of rehearsals."""
    made = seed.build(tmp_path_factory.mktemp("town"))
    yield made
    made.database.dispose()


def order(*changes, **values):
    asked = changes or (Change("two_zone", document=DEARER),)
    return RehearsalOrder("test", asked, FIRST, LAST, **values)


def report_of(town, rehearsal_id):
    with town.database.reading() as session:
        return json.loads(store.rehearsal(session, seed.SCOPE, rehearsal_id).result)


def counts(town):
    with town.database.reading() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table))
            for table in Base.metadata.tables.values()
        }


def charged(town):
    """Return what electricity cost each account, kopecks, and its Wh by month and zone."""
    with town.database.reading() as session:
        rows = session.scalars(
            select(ChargeLineRow).where(
                ChargeLineRow.service == "electricity",
                ChargeLineRow.charge == ChargeKind.ENERGY,
                ChargeLineRow.charge_month.between(FIRST.ordinal, LAST.ordinal),
            )
        ).all()
        assert {row.kind for row in rows} == {LineKind.ORIGINAL}
        minor, energy = {}, {}
        for row in rows:
            minor[row.account_id] = minor.get(row.account_id, 0) + row.amount_minor
            key = row.account_id, row.charge_month, row.line_key.split("/")[0]
            energy[key] = energy.get(key, 0) + row.quantity
    return minor, energy


def test_a_rehearsal_is_the_sum_of_the_bills_and_posts_nothing(town):
    before = counts(town)
    minor, energy = charged(town)

    rehearsal_id = rehearsing.rehearse(town, order(prices=PriceBasis.OF_THE_TIME), scope=seed.SCOPE)

    report = report_of(town, rehearsal_id)
    figures = report["figures"]
    named = [one[0] for one in (*report["winners"], *report["losers"])]
    assert figures["accounts"] == len(named) == 4
    assert figures["old_minor"] == sum(minor[account_id] for account_id in named)
    by_hand = sum(
        int(Decimal(wh) * {"day": 10, "night": 1}[zone] / 10 + Decimal("0.5"))
        for (account_id, _, zone), wh in energy.items()
        if account_id in named
    )
    assert figures["new_minor"] == by_hand
    after = counts(town)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"rehearsal", "rehearsal_part"}


def test_today_s_prices_are_set_against_the_new_ones_over_all_months(town):
    _, energy = charged(town)

    rehearsal_id = rehearsing.rehearse(town, order(), scope=seed.SCOPE)

    figures = report_of(town, rehearsal_id)["figures"]
    with_two_zones = {account_id for account_id, _, zone in energy if zone == "day"}
    by_hand = sum(
        int(
            Decimal(wh) * {"day": Decimal("7.42"), "night": Decimal("2.07")}[zone] / 10
            + Decimal("0.5")
        )
        for (account_id, _, zone), wh in energy.items()
        if account_id in with_two_zones
    )
    assert figures["old_minor"] == by_hand


def test_an_interrupted_rehearsal_goes_on_and_repeats_nothing(town, monkeypatch):
    monkeypatch.setattr(rehearsing, "ACCOUNTS_A_PART", 3)
    asked = order(Change("two_zone", to_plan="single"), Change("single", to_plan="two_zone"))
    whole = rehearsing.rehearse(town, asked, scope=seed.SCOPE)

    def stop(done, _accounts):
        if done >= 6:
            raise KeyboardInterrupt

    cut = rehearsing.begin(town, asked, scope=seed.SCOPE)
    with pytest.raises(KeyboardInterrupt):
        rehearsing.go_on(town, cut, scope=seed.SCOPE, progress=stop)
    with town.database.reading() as session:
        written = {
            row.part: row.summary
            for row in session.scalars(
                select(RehearsalPartRow).where(RehearsalPartRow.rehearsal_id == cut)
            )
        }
        with pytest.raises(Invalid, match="not finished"):
            load_report(session, seed.SCOPE, cut)
    rehearsing.go_on(town, cut, scope=seed.SCOPE)
    rehearsing.go_on(town, cut, scope=seed.SCOPE)

    assert len(written) == 2
    assert report_of(town, cut) == report_of(town, whole)


def test_an_account_that_cannot_be_priced_is_named_with_its_reason(one_town):
    rehearsal_id = rehearsing.rehearse(
        one_town, order(Change("two_zone", to_plan="three_zone")), scope=seed.SCOPE
    )

    with one_town.database.reading() as session:
        report = report_json(load_report(session, seed.SCOPE, rehearsal_id))
    assert [(one["count"], one["accounts"]) for one in report["refused"]] == [(1, [seed.BY_HAND])]
    assert "no zone day" in report["refused"][0]["reason"]


def test_a_report_speaks_both_languages_and_lists_every_account(one_town):
    rehearsal_id = rehearsing.rehearse(one_town, order(), scope=seed.SCOPE)

    with one_town.database.reading() as session:
        report = load_report(session, seed.SCOPE, rehearsal_id)
        table = report_csv(session, seed.SCOPE, rehearsal_id, Language.RUSSIAN).decode("utf-8-sig")
    assert "Платят меньше" in report_page(report, Language.RUSSIAN)
    assert "Pay less" in report_page(report, Language.ENGLISH)
    assert "Двухзонный → " in report_page(report, Language.RUSSIAN), "what was tried on what"
    lines = table.splitlines()
    assert lines[0].startswith("Лицевой счёт;")
    assert len(lines) == 5


@pytest.mark.parametrize(
    "role", [role for role in Role if role not in {Role.ADMINISTRATOR, Role.ANALYST}]
)
def test_only_who_publishes_tariffs_for_the_whole_retailer_may_begin(one_town, role):
    with pytest.raises(Forbidden):
        rehearsing.begin(one_town, order(), scope=Scope(role, "somebody", whole_retailer=True))


def test_a_part_of_the_retailer_neither_begins_nor_looks(one_town):
    narrow = Scope(Role.ANALYST, "somebody", building_ids=frozenset({1}))

    with pytest.raises(Forbidden):
        rehearsing.begin(one_town, order(), scope=narrow)
    with one_town.database.reading() as session, pytest.raises(Forbidden):
        store.rehearsals(session, narrow)


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        (order(Change("nobody", to_plan="single")), NotFound),
        (order(Change("single", to_plan="nobody")), NotFound),
        (order(building_code="no such"), NotFound),
        (order(company_code="no such"), NotFound),
        (order(Change("single", document="plan: [")), Invalid),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_written(one_town, wrong, refusal):
    before = counts(one_town)

    with pytest.raises(refusal):
        rehearsing.begin(one_town, wrong, scope=seed.SCOPE)

    assert counts(one_town) == before


def test_only_the_accounts_of_a_building_are_priced(one_town):
    with one_town.database.reading() as session:
        row = account_by_number(session, seed.SCOPE, seed.PREPAID)
    whole = rehearsing.rehearse(one_town, order(), scope=seed.SCOPE)
    one = rehearsing.rehearse(one_town, order(building_code="KHB-A"), scope=seed.SCOPE)

    ids = [found[0] for side in ("winners", "losers") for found in report_of(one_town, one)[side]]
    assert row.id in ids
    assert (
        report_of(one_town, one)["figures"]["accounts"]
        < report_of(one_town, whole)["figures"]["accounts"]
    )
