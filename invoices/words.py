"""An amount in words, as documents repeat it below the figure."""

from num2words import num2words

from kilokassa.core.text import Language, ngettext


def amount_in_words(amount_minor: int, language: Language) -> str:
    """Return roubles in words and kopecks in digits.

    >>> amount_in_words(2457_05, Language.ENGLISH)
    'Two thousand, four hundred and fifty-seven roubles 05 kopecks'
    """
    if amount_minor < 0:
        raise ValueError(f"an amount to pay is not negative: {amount_minor}")
    roubles, kopecks = divmod(amount_minor, 100)
    words = num2words(roubles, lang=str(language))
    return (
        f"{words[:1].upper()}{words[1:]} {ngettext('rouble', 'roubles', roubles, language)} "
        f"{kopecks:02d} {ngettext('kopeck', 'kopecks', kopecks, language)}"
    )
