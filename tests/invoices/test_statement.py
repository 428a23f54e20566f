import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoices.statement import Balance, Movement, MovementKind, Statement

KOPECKS = st.integers(-10_000_000_00, 10_000_000_00)
MOVEMENTS = st.lists(st.builds(Movement, st.sampled_from(MovementKind), KOPECKS)).map(tuple)


@given(opening=KOPECKS, movements=MOVEMENTS, error=KOPECKS)
def test_a_statement_exists_exactly_when_it_adds_up(opening, movements, error):
    closing = opening + sum(movement.amount_minor for movement in movements)

    statement = Statement(Balance.of(opening), movements, Balance.of(closing))

    assert statement.received_minor - statement.charged_minor == closing - opening
    if error:
        with pytest.raises(ValueError, match="add up"):
            Statement(Balance.of(opening), movements, Balance.of(closing + error))


@given(net=KOPECKS)
def test_a_balance_is_a_debt_or_an_advance_and_never_both(net):
    balance = Balance.of(net)

    assert balance.net_minor == net
    assert min(balance.debt_minor, balance.advance_minor) == 0


@pytest.mark.parametrize(("debt", "advance"), [(-1, 0), (0, -1), (5, 5)])
def test_a_balance_that_is_neither_cannot_be_built(debt, advance):
    with pytest.raises(ValueError, match="balance"):
        Balance(debt, advance)


def test_corrections_count_as_charged_and_payments_as_received():
    movements = (
        Movement(MovementKind.CHARGE, -500_00),
        Movement(MovementKind.CORRECTION, 36_84),
        Movement(MovementKind.TOP_UP, 300_00),
        Movement(MovementKind.EXPIRY, -10_00),
    )

    statement = Statement(Balance(), movements, Balance(debt_minor=173_16))

    assert statement.charged_minor == 463_16
    assert statement.received_minor == 290_00
