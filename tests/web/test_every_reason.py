"""Whatever moves a wallet has a place in the statement of its month, and a word on its pages."""

from kilokassa.app.closing import MOVEMENTS
from kilokassa.core.text import Language, gettext
from kilokassa.web.words import word
from wallet.ledger import Reason
from wallet.lots import SPEND_ORDER, LotKind


def test_every_reason_is_a_movement_of_the_statement():
    assert set(MOVEMENTS) == set(Reason)


def test_every_reason_and_every_kind_of_lot_has_a_word():
    for member in (*Reason, *LotKind):
        assert gettext(word(member), Language.RUSSIAN) != word(member)


def test_every_kind_of_lot_has_its_place_in_the_order_of_spending():
    assert set(SPEND_ORDER) == set(LotKind)
