"""The balance as a tuple: what there is to live on, whatever is owed from before."""

import pytest

from wallet.balance import Balance


@pytest.mark.parametrize(
    ("spendable", "new_debt", "opening_debt", "held", "rated", "estimated", "available"),
    [
        (1000_00, 0, 0, 0, 0, 0, 1000_00),
        (1000_00, 0, 0, 100_00, 20_00, 3_00, 877_00),
        (0, 50_00, 0, 0, 0, 7_00, -57_00),
        # 9000 from before, of which top-ups repay a share: what is left of them is there to use.
        (800_00, 0, 9000_00, 0, 0, 0, 800_00),
        (0, 20_00, 9000_00, 0, 0, 0, -20_00),
    ],
)
def test_available_is_what_there_is_to_live_on(
    spendable, new_debt, opening_debt, held, rated, estimated, available
):
    owed = new_debt + opening_debt
    balance = Balance(
        spendable - owed,
        held,
        spendable,
        owed,
        0,
        rated_minor=rated,
        estimated_minor=estimated,
        opening_debt_minor=opening_debt,
    )

    assert balance.available_minor == available
    assert balance.new_debt_minor == new_debt
