"""A move out with a reserve, an emergency credit, restricted bonus, an advance, money asked back.

The meter takes 100 Wh every hour at 5 roubles a kWh: a day costs 12.00.
"""

from datetime import date, timedelta

import pytest

from billing.moves.moves import Rest
from kilokassa.app import moving
from kilokassa.app.moving import move, preview_move
from kilokassa.app.refunds import ask_for_refund
from kilokassa.app.upkeep import settle_accounts
from tests.scenarios.by_hand_town import SCOPE, ZONE
from tests.scenarios.test_life_of_a_mover import Flat, gives_bonus, leaves
from tests.wallet.reserves_town import OFFER
from wallet.ledger import BONUS_EXPENSE, EMERGENCY_CREDITS, Reason, cash
from wallet.lots import LotKind
from wallet.payments.refunds import store as refund_store
from wallet.payments.refunds.refund import AskOrder, NotRefundable
from wallet.payments.refunds.service import PayOrder, pay_refund
from wallet.reserves import service as reserve_service
from wallet.reserves.reserve import NotOwnMoney
from wallet.service import PutOrder, put

NUMBER = "1000000001"
OUT = date(2026, 10, 11)
USED_MINOR = 10 * 12_00


@pytest.fixture
def flat(sqlite_database, tmp_path):
    return used(sqlite_database, tmp_path)


def used(database, folder, first=date(2026, 10, 1)):
    found = Flat(database, folder, first)
    found.uses(first, OUT, 100)
    return found


def puts(flat, kind, minor, *, on=date(2026, 10, 1), **more):
    clock = flat.at(on).clock
    reason, against = {
        LotKind.BONUS: (Reason.BONUS, BONUS_EXPENSE),
        LotKind.CREDIT: (Reason.EMERGENCY_CREDIT, EMERGENCY_CREDITS),
        LotKind.ADVANCE: (Reason.TOP_UP, cash("bank")),
    }[kind]
    order = PutOrder(
        account_id=flat.id_of(NUMBER),
        reason=reason,
        kind=kind,
        amount_minor=minor,
        against=against,
        valid_at=clock.now(),
        zone=ZONE,
        actor="test",
        idempotency_key=f"{kind}:{on}:{more}",
        **more,
    )
    with flat.database.writing() as session:
        put(session, order, clock)


def signs(flat, minor, on, text=OFFER):
    clock = flat.at(on).clock
    offer = reserve_service.OfferOrder(SCOPE, text, "offer.yaml")
    order = reserve_service.SignOrder(flat.id_of(NUMBER), "half_year", minor, ZONE, "sign")
    with flat.database.writing() as session:
        reserve_service.publish_offer(session, offer, clock)
        return reserve_service.sign(session, SCOPE, order, clock)


def asks_back(flat, minor, on, **more):
    clock = flat.at(on).clock
    order = AskOrder(flat.id_of(NUMBER), minor, "Иванов И. И.", "", f"ask:{on}:{more}", **more)
    with flat.database.writing() as session:
        return ask_for_refund(session, SCOPE, order, clock)


def pays_out_all(flat, on):
    clock = flat.at(on).clock
    with flat.database.writing() as session:
        for one in refund_store.refunds(session, SCOPE):
            if one.state == "asked":
                pay_refund(session, SCOPE, PayOrder(one.id, f"п/п {one.id}", ZONE), clock)


def adds_up(flat):
    """Say that the ledger is whole, and each reserve what its movements make of it."""
    assert flat.faults() == []
    with flat.database.reading() as session:
        assert list(reserve_service.verify(session)) == []
    return True


def leaves_with_refund(**more):
    return leaves(OUT, rest=Rest.REFUND, refund_to="Иванов И. И.", **more)


def test_a_reserve_comes_back_pays_what_was_used_and_the_rest_is_paid_out(flat):
    flat.pays(NUMBER, date(2026, 10, 1), 1000_00)
    signs(flat, 950_00, date(2026, 10, 2))
    shown = preview_move(flat.at(OUT), SCOPE, leaves_with_refund())
    done = move(flat.at(OUT), SCOPE, leaves_with_refund())

    assert done.ending == shown.ending
    assert done.ending.reserve_minor == 950_00
    assert done.ending.refund_minor >= 1000_00 - USED_MINOR
    pays_out_all(flat, OUT)
    assert flat.balance(NUMBER, OUT) == 0
    assert flat.final(done.document_number).refund_minor == done.ending.refund_minor
    assert adds_up(flat)


def test_a_reserve_whose_term_is_over_and_not_posted_yet_comes_back_too(database, tmp_path):
    flat = used(database, tmp_path, date(2026, 9, 1))
    flat.pays(NUMBER, date(2026, 9, 1), 9000_00)
    signs(flat, 5000_00, date(2026, 9, 2), OFFER.replace("term_months: 6", "term_months: 1"))
    done = move(flat.at(OUT), SCOPE, leaves_with_refund())

    days = (OUT - date(2026, 9, 1)).days
    assert (done.ending.reserve_minor, done.ending.clawed_back_minor) == (5000_00, 0)
    # The bonus that it earned comes after the charges, and ends with the account.
    assert done.ending.refund_minor == 9000_00 - days * 12_00
    assert done.ending.bonus_lost_minor > 0
    pays_out_all(flat, OUT)
    assert flat.balance(NUMBER, OUT) == 0
    assert adds_up(flat)


def test_an_emergency_credit_is_taken_back_whole_and_what_was_used_of_it_is_paid(flat):
    flat.pays(NUMBER, date(2026, 10, 1), 300_00)
    puts(flat, LotKind.CREDIT, 200_00)
    done = move(flat.at(OUT), SCOPE, leaves_with_refund())

    assert done.ending.credit_withdrawn_minor == 200_00
    assert done.ending.refund_minor == 300_00 - USED_MINOR
    pays_out_all(flat, OUT)
    assert flat.balance(NUMBER, OUT) == 0
    assert adds_up(flat)


def test_a_credit_that_paid_leaves_a_debt(flat):
    flat.pays(NUMBER, date(2026, 10, 1), 20_00)
    puts(flat, LotKind.CREDIT, 200_00)
    done = move(flat.at(OUT), SCOPE, leaves_with_refund())

    assert (done.ending.after_minor, done.ending.refund_minor) == (20_00 - USED_MINOR, 0)
    assert flat.final(done.document_number).debt_minor == USED_MINOR - 20_00
    assert adds_up(flat)


def test_a_bonus_for_one_service_ends_with_the_account(flat):
    flat.pays(NUMBER, date(2026, 10, 1), 500_00)
    puts(flat, LotKind.BONUS, 70_00, service="cold_water", rule="water")
    gives_bonus(flat, NUMBER, date(2026, 10, 1), 150_00)
    done = move(flat.at(OUT), SCOPE, leaves_with_refund())

    assert done.ending.bonus_lost_minor == 70_00 + 150_00 - USED_MINOR
    assert done.ending.refund_minor == 500_00
    pays_out_all(flat, OUT)
    assert flat.balance(NUMBER, OUT) == 0
    assert adds_up(flat)


def test_own_money_and_an_advance_are_paid_out_whichever_is_first(database, tmp_path):
    flat = used(database, tmp_path)
    flat.pays(NUMBER, date(2026, 10, 1), 500_00)
    puts(flat, LotKind.ADVANCE, 300_00, payer="ООО «Сосед»")
    puts(flat, LotKind.ADVANCE, 40_00, payer="Фонд", service="cold_water")
    done = move(flat.at(OUT), SCOPE, leaves_with_refund())

    assert done.ending.refund_minor == 840_00 - USED_MINOR
    pays_out_all(flat, OUT)
    assert flat.balance(NUMBER, OUT) == 0
    assert adds_up(flat)


def test_what_was_asked_back_before_and_used_since_is_not_promised_any_more(flat):
    flat.pays(NUMBER, date(2026, 10, 1), 300_00)
    asks_back(flat, 290_00, date(2026, 10, 1))
    done = move(flat.at(OUT), SCOPE, leaves_with_refund())

    assert done.ending.refund_minor == 300_00 - USED_MINOR
    pays_out_all(flat, OUT)
    assert flat.balance(NUMBER, OUT) == 0
    assert flat.final(done.document_number).refund_minor == 300_00 - USED_MINOR
    assert adds_up(flat)


def test_money_that_is_asked_back_is_not_set_aside(flat):
    flat.pays(NUMBER, date(2026, 10, 1), 300_00)
    asks_back(flat, 150_00, date(2026, 10, 1))
    with pytest.raises(NotOwnMoney):
        signs(flat, 200_00, date(2026, 10, 1))
    signs(flat, 150_00, date(2026, 10, 1))


def test_the_daily_job_settles_who_waited(flat):
    late = date(2026, 10, 13)
    done = move(flat.at(late), SCOPE, leaves(late))
    assert done.waits
    assert settle_accounts(flat.at(late), late)["waiting"] == 1
    flat.uses(OUT, late, 100)
    after = flat.at(late + timedelta(days=1))
    assert settle_accounts(after, late) == {"settled": 1, "waiting": 0}
    assert settle_accounts(after, late) == {"settled": 0, "waiting": 0}


def test_a_settlement_that_was_cut_off_goes_on_with_money_that_came_since(flat, monkeypatch):
    flat.pays(NUMBER, date(2026, 10, 1), 300_00)
    with monkeypatch.context() as broken:
        broken.setattr(moving, "issue_final_statement", cut_off)
        with pytest.raises(InterruptedError):
            move(flat.at(OUT), SCOPE, leaves_with_refund())
    flat.pays(NUMBER, OUT, 25_00)
    assert settle_accounts(flat.at(OUT, hours=20), OUT) == {"settled": 1, "waiting": 0}

    pays_out_all(flat, OUT)
    assert flat.balance(NUMBER, OUT) == 0
    assert adds_up(flat)


def cut_off(*_):
    raise InterruptedError


def test_a_credit_does_not_let_money_go_that_was_used(flat):
    flat.pays(NUMBER, date(2026, 10, 1), 100_00)
    puts(flat, LotKind.CREDIT, 200_00)
    with pytest.raises(NotRefundable):
        asks_back(flat, 50_00, OUT)
