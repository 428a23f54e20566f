"""The terms of an offer in words, for pages, letters and the terminal."""

from decimal import Decimal
from typing import Final

from kilokassa.core.text import Language, date_text, mark, number_text
from wallet.reserves.reserve import DayCount, Offer, PaidWhen, RateHolds

PAID_WORDS: Final = {
    PaidWhen.MONTHLY: mark("on the first of each month and at the end"),
    PaidWhen.AT_END: mark("once, at the end"),
}
HOLDS_WORDS: Final = {
    RateHolds.AS_SIGNED: mark("the rate of the day of signing, to the end"),
    RateHolds.AS_DATED: mark("each rate from its day on, also for those who have signed"),
}
DAY_WORDS: Final = {
    DayCount.ALWAYS_365: mark("a day is 1/365 of a year"),
    DayCount.REAL_YEAR: mark("a day is 1/365 of a year, in a leap year 1/366"),
}


def percent_text(ppm: int, language: Language) -> str:
    """Return millionths as per cent, with as many decimals as there are.

    >>> percent_text(125_000, Language.ENGLISH), percent_text(100_000, Language.ENGLISH)
    ('12.5%', '10%')
    """
    decimals = len(f"{ppm % 10_000:04}".rstrip("0"))
    gap = "\u00a0" if language == Language.RUSSIAN else ""
    return f"{number_text(Decimal(ppm).scaleb(-4), language, decimals=decimals)}{gap}%"


def rates_text(offer: Offer, language: Language) -> str:
    """Return the rates of an offer: the one, or each with its first day."""
    rates = offer.rates.rates
    if len(rates) == 1:
        return percent_text(rates[0].rate_ppm, language)
    return ", ".join(
        f"{percent_text(rate.rate_ppm, language)} ({date_text(rate.valid_from, language)})"
        for rate in rates
    )
