import pytest

from invoices.words import amount_in_words
from kilokassa.core.text import Language


@pytest.mark.parametrize(
    ("minor", "words"),
    [
        (0, "Ноль рублей 00 копеек"),
        (1_01, "Один рубль 01 копейка"),
        (2_02, "Два рубля 02 копейки"),
        (11_11, "Одиннадцать рублей 11 копеек"),
        (21_21, "Двадцать один рубль 21 копейка"),
        (2_457_00, "Две тысячи четыреста пятьдесят семь рублей 00 копеек"),
        (1_000_000_05, "Один миллион рублей 05 копеек"),
    ],
)
def test_roubles_are_in_words_and_kopecks_in_digits(minor, words):
    assert amount_in_words(minor, Language.RUSSIAN) == words


def test_english_has_its_own_plurals():
    assert amount_in_words(1_02, Language.ENGLISH) == "One rouble 02 kopecks"
    assert amount_in_words(101_01, Language.ENGLISH) == "One hundred and one roubles 01 kopeck"


def test_a_negative_amount_has_no_words():
    with pytest.raises(ValueError, match="negative"):
        amount_in_words(-1, Language.RUSSIAN)
