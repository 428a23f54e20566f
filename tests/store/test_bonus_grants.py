"""Grants by published rules: once an occasion, never beyond a budget, gone with their top-up."""

import threading
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Role, Scope
from tests.wallet.builders import (
    STAFF,
    ZONE,
    accounts_with_wallets,
    at,
    balance,
    batch,
    charge,
    faults,
    lots,
    order,
)
from wallet.bonuses import store
from wallet.bonuses.rules import BillPaid, MonthEnded, TopUpPaid, Why
from wallet.bonuses.service import (
    CampaignExists,
    CampaignOrder,
    GrantOrder,
    Happened,
    RuleInThePast,
    RuleOutOfOrder,
    TakeBackOrder,
    begin_campaign,
    foresee,
    grant,
    publish_rule,
    take_back,
)
from wallet.service import ReverseOrder, charge_batch, reverse_top_up, top_up

DAY = date(2026, 10, 5)
EARLY = FixedClock(at((1, 1)))
SIZE = "terms: {threshold: 1000.00, percent: 5}"


def rule_text(code="five", kind="size_of_top_up", terms=SIZE, more="", begins="2026-01-01"):
    return (
        f"rule: {code}\nname: {code}\nkind: {kind}\nfrom: {begins}\n"
        f"expires_after_days: 30\n{more}\n{terms}\n"
    )


def publish(database, *texts, today=date(2026, 1, 1), scope=STAFF):
    with database.writing() as session:
        return [publish_rule(session, scope, t, "a.yaml", EARLY, today=today)[0] for t in texts]


def campaign(database, budget_minor, code="autumn", ends_on=date(2027, 1, 1), scope=STAFF):
    asked = CampaignOrder(code, "Осень", budget_minor, date(2026, 1, 1), ends_on)
    with database.writing() as session:
        return begin_campaign(session, scope, asked, EARLY)


def paid(amount_minor=1000_00, account_id=1, key="top_up:1", on=DAY):
    return Happened(TopUpPaid(AccountId(account_id), on, amount_minor), key, at((10, 5)))


def give(database, *happened, clock):
    with database.writing() as session:
        return grant(session, GrantOrder(happened, ZONE, "test"), clock)


def granted_of(database, code="autumn"):
    with database.reading() as session:
        return store.campaign_by_code(session, STAFF, code).granted_minor


def rows(database, account_id=1):
    with database.reading() as session:
        return store.grants_of(session, STAFF, AccountId(account_id))


@pytest.fixture
def accounts(database, clock):
    """Three accounts with open wallets."""
    return accounts_with_wallets(database, clock)


@pytest.fixture
def october():
    """A clock that shows the morning after the top-ups."""
    return FixedClock(at((10, 6)))


def test_a_bonus_comes_as_a_lot_that_names_its_rule_and_its_end(database, accounts, october):
    publish(database, rule_text())

    (granted,) = give(database, paid(), clock=october)

    assert (granted.rule, granted.amount_minor) == ("five", 50_00)
    # The clock shows the 6th, so its thirty days begin then: it lives on the 4th of November.
    assert granted.expires_on == date(2026, 11, 5)
    assert lots(database) == [("bonus", 50_00)]
    assert faults(database) == []


def test_asking_again_changes_nothing(database, accounts, october):
    publish(database, rule_text(), rule_text("month", terms=SIZE, more="group: other"))
    first = give(database, paid(), paid(2000_00, 2), clock=october)
    before = rows(database)

    again = give(database, paid(), paid(2000_00, 2), clock=FixedClock(at((12, 1))))

    assert len(first) == 4
    assert again == ()
    assert rows(database) == before


def test_a_rule_published_later_does_not_add_to_what_was_served(database, accounts, october):
    publish(database, rule_text())
    give(database, paid(), clock=october)
    publish(database, rule_text("ten", terms="terms: {threshold: 100.00, percent: 10}"))

    assert give(database, paid(), clock=october) == ()
    assert [one.amount_minor for one in rows(database)] == [50_00]


def test_a_budget_is_spent_to_the_kopeck_and_never_beyond(database, accounts, october):
    campaign(database, 80_01)
    publish(database, rule_text(more="campaign: autumn"))

    give(database, paid(), paid(account_id=2), paid(account_id=3), clock=october)

    given_minor = [rows(database, number)[0].amount_minor for number in (1, 2, 3)]
    assert given_minor == [50_00, 30_01, 0]
    assert rows(database, 2)[0].why is Why.BUDGET_SPENT
    assert rows(database, 3)[0].why is Why.BUDGET_SPENT
    assert granted_of(database) == 80_01


def test_who_found_the_budget_spent_is_not_served_when_some_of_it_comes_back(
    database, accounts, october
):
    campaign(database, 50_00)
    publish(database, rule_text(more="campaign: autumn"))
    give(database, paid(), paid(account_id=2), clock=october)
    with database.writing() as session:
        take_back(session, TakeBackOrder(AccountId(1), 1, "x", at((10, 7)), ZONE, "test"), october)

    assert granted_of(database) == 0
    assert give(database, paid(account_id=2), clock=october) == ()


def test_the_database_itself_refuses_a_grant_beyond_the_budget(database):
    campaign(database, 50_00)

    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(text("UPDATE campaign SET granted_minor = 5001"))


def test_two_at_once_share_one_budget(database, accounts, october):
    campaign(database, 333_33)
    publish(database, rule_text(more="campaign: autumn"))
    barrier = threading.Barrier(2)
    failed = []

    def run(account_id):
        barrier.wait()
        for number in range(6):
            try:
                give(database, paid(account_id=account_id, key=f"top_up:{number}"), clock=october)
            except Exception as error:  # noqa: BLE001 - told to the main thread
                failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    given_minor = sum(one.amount_minor for number in (1, 2) for one in rows(database, number))
    assert failed == []
    assert given_minor == granted_of(database) == 333_33
    assert faults(database) == []


def test_a_month_has_a_bound_and_the_next_one_has_its_own(database, accounts, october):
    publish(database, rule_text(more="most_a_month: 70.00"))

    give(database, paid(), paid(key="top_up:2"), paid(key="top_up:3"), clock=october)
    give(database, paid(key="top_up:4", on=date(2026, 11, 1)), clock=october)

    assert [one.amount_minor for one in rows(database)] == [50_00, 0, 20_00, 50_00]
    assert rows(database)[1].why is Why.MONTH_CAP


def test_a_voided_top_up_takes_its_bonus_along_and_the_budget_has_it_back(
    database, accounts, october
):
    campaign(database, 100_00)
    publish(database, rule_text(more="campaign: autumn"))
    with database.writing() as session:
        entry_id = top_up(session, order(), october).entry_id
    give(database, paid(key=f"top_up:{entry_id}"), clock=october)
    with database.writing() as session:
        charge_batch(session, batch(charge(1, 30_00)), october)

    back = TakeBackOrder(AccountId(1), entry_id, "slip", at((10, 8)), ZONE, "test")
    for times in range(2):
        with database.writing() as session:
            assert take_back(session, back, october) == (0 if times else 50_00)
    with database.writing() as session:
        asked = ReverseOrder(AccountId(1), entry_id, "slip", at((10, 8)), ZONE, "test", "v1")
        reverse_top_up(session, asked, october)

    assert granted_of(database) == 0
    assert sum(one.amount_minor for one in rows(database)) == 0
    assert balance(database, 1).posted_minor == -30_00
    assert faults(database) == []


def test_what_expired_of_a_bonus_is_not_taken_a_second_time(database, accounts, october):
    publish(database, rule_text())
    with database.writing() as session:
        entry_id = top_up(session, order(), october).entry_id
    give(database, paid(key=f"top_up:{entry_id}"), clock=october)
    late = FixedClock(at((12, 20)))

    with database.writing() as session:
        order_ = TakeBackOrder(AccountId(1), entry_id, "slip", at((12, 20)), ZONE, "test")
        assert take_back(session, order_, late) == 0

    assert balance(database, 1).posted_minor == 1000_00
    assert sum(one.amount_minor for one in rows(database)) == 0
    assert faults(database) == []


def test_the_bonus_of_a_bill_goes_with_the_top_up_that_paid_it(database, accounts, october):
    publish(
        database,
        rule_text("early", "early_payment", "terms: {days_before: 5, percent: 2}"),
    )
    with database.writing() as session:
        entry_id = top_up(session, order(), october).entry_id
    bill = BillPaid(AccountId(1), DAY, 1000_00, DAY + timedelta(days=10))
    give(database, Happened(bill, f"bill:2026-09:{entry_id}", at((10, 5))), clock=october)
    assert balance(database, 1, at((10, 7))).posted_minor == 1020_00

    with database.writing() as session:
        asked = TakeBackOrder(AccountId(1), entry_id, "slip", at((10, 8)), ZONE, "test")
        assert take_back(session, asked, october) == 20_00


def test_what_would_be_earned_is_what_is_earned(database, accounts, october):
    campaign(database, 80_00)
    publish(database, rule_text(more="campaign: autumn"))
    give(database, paid(), clock=october)

    with database.reading() as session:
        foreseen = foresee(session, [paid(account_id=2).occasion]).grants

    (granted,) = give(database, paid(account_id=2), clock=october)
    assert [one.amount_minor for one in foreseen] == [granted.amount_minor] == [30_00]


def test_the_report_of_a_campaign_tells_days_rules_and_accounts(database, accounts, october):
    campaign(database, 1000_00)
    publish(
        database,
        rule_text(more="campaign: autumn"),
        rule_text(
            "calm",
            "months_without_debt",
            "terms: {months: 1, amount: 7.00}",
            "campaign: autumn",
        ),
    )
    ended = MonthEnded(AccountId(1), date(2026, 10, 31), 1)
    give(
        database,
        paid(),
        paid(account_id=2),
        Happened(ended, "month:2026-10", at((11, 1))),
        clock=october,
    )

    with database.reading() as session:
        report = store.campaign_report(session, STAFF, "autumn")

    assert (report.campaign.granted_minor, report.campaign.left_minor) == (107_00, 893_00)
    assert report.accounts == 2
    assert report.by_rule == (("calm", 1, 7_00), ("five", 2, 100_00))
    assert [(one.on, one.accounts, one.amount_minor) for one in report.by_day] == [
        (date(2026, 10, 31), 1, 7_00),
        (DAY, 2, 100_00),
    ]


def test_a_text_is_one_version_however_often_it_is_published(database):
    (first,) = publish(database, rule_text())
    (again,) = publish(database, rule_text())
    (second,) = publish(database, rule_text(begins="2026-02-01"))

    assert (again.id, again.version, second.version) == (first.id, 1, 2)
    with database.reading() as session:
        assert [one.version for one in store.rules_in_force(session, date(2026, 1, 20))] == [1]
        assert [one.version for one in store.rules_in_force(session, date(2026, 2, 1))] == [2]


@pytest.mark.parametrize(
    ("text_", "refusal"),
    [
        (rule_text(begins="2025-12-31"), RuleInThePast),
        (rule_text(begins="2026-01-15"), RuleOutOfOrder),
        (rule_text("new", more="campaign: none"), NotFound),
        (rule_text("new", more="campaign: gone", begins="2026-03-01"), Invalid),
        (rule_text("new", more="campain: gone"), Invalid),
    ],
)
def test_what_cannot_be_promised_is_refused(database, text_, refusal):
    publish(database, rule_text(begins="2026-02-01"))
    campaign(database, 1_00, "gone", date(2026, 3, 1))

    with pytest.raises(refusal):
        publish(database, text_)


def test_a_campaign_stands_as_it_was_begun(database):
    first, new = campaign(database, 100_00)
    again, newer = campaign(database, 100_00)

    assert (new, newer) == (True, False)
    assert first == again
    with pytest.raises(CampaignExists):
        campaign(database, 100_01)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.RESIDENT, Role.COMPANY])
def test_only_who_publishes_tariffs_publishes_bonuses(database, role):
    scope = Scope(role, "someone", whole_retailer=True)

    with pytest.raises(Forbidden):
        publish(database, rule_text(), scope=scope)
    with pytest.raises(Forbidden):
        campaign(database, 1_00, scope=scope)


def test_grants_of_an_account_out_of_reach_are_not_shown(database, accounts, october):
    publish(database, rule_text())
    give(database, paid(), clock=october)
    other = Scope(Role.RESIDENT, "two", account_ids=frozenset({AccountId(2)}))

    with database.reading() as session:
        assert store.grants_of(session, other, AccountId(1)) == ()
        with pytest.raises(Forbidden):
            store.campaigns(session, other)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    budget_minor=st.integers(1, 200_00),
    asked=st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(0, 60)), max_size=12
    ),
)
def test_no_order_of_asking_grants_beyond_a_budget_or_twice(sqlite_database, budget_minor, asked):
    """The campaigns of earlier examples run on beside this one's: none may be overspent."""
    database = sqlite_database
    clock = FixedClock(at((10, 6)))
    with database.reading() as session:
        number = len(store.campaigns(session, STAFF))
    if not number:
        accounts_with_wallets(database, clock)
    code = f"c{number}"
    campaign(database, budget_minor, code)
    publish(database, rule_text(f"r{number}", more=f"campaign: {code}\ngroup: {code}"))
    happened = [
        paid(hundreds * 100_00, account_id, f"top_up:{code}:{key}")
        for account_id, key, hundreds in asked
    ]

    for one in happened:
        give(database, one, clock=clock)
    spent_minor = granted_of(database, code)
    give(database, *happened, clock=clock)

    with database.reading() as session:
        report = store.campaign_report(session, STAFF, code)
        every = store.campaigns(session, STAFF)
    assert spent_minor == report.campaign.granted_minor
    assert sum(minor for _, _, minor in report.by_rule) == spent_minor
    assert all(0 <= one.granted_minor <= one.budget_minor for one in every)


def test_the_table_of_the_page_is_what_is_granted(database, accounts, october):
    page = Path(__file__).resolve().parents[2] / "docs" / "algorithms" / "bonuses.md"
    table = page.read_text(encoding="utf-8").split("| Left of the campaign |")[1]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    campaign(database, 80_01)
    publish(database, rule_text(more="campaign: autumn\nmost_a_month: 70.00"))

    for number, row in enumerate(cells):
        account_id, paid_minor = int(row[0]), kopecks(row[1])
        give(database, paid(paid_minor, account_id, f"top_up:{number}"), clock=october)
        found = [o for o in rows(database, account_id) if o.occasion_key == f"top_up:{number}"]
        earned_minor = found[0].earned_minor if found else 0
        granted_minor = found[0].amount_minor if found else 0
        assert (earned_minor, granted_minor) == (kopecks(row[2]), kopecks(row[3])), row
        assert 80_01 - granted_of(database) == kopecks(row[4]), row
        assert str((found and found[0].why) or "") == row[5], row
    assert len(cells) == 6


def kopecks(text_):
    return int(text_.replace(".", ""))
