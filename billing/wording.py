"""How an estimated quantity came about, in the words of a language: one sentence for all edges."""

from collections.abc import Sequence
from typing import Final

from billing.charges import UsedEstimate
from kilokassa.core.text import Language, gettext, mark
from metering.estimation.methods import EstimationMethod

METHODS: Final = {
    EstimationMethod.INTERPOLATION: mark("interpolated between known readings"),
    EstimationMethod.LIKE_DAY: mark("as on like days"),
    EstimationMethod.OWN_AVERAGE: mark("own monthly average"),
    EstimationMethod.HOUSE_MEAN: mark("mean of the measured flats of the house"),
    EstimationMethod.STANDARD_PROFILE: mark("measured total, spread by a standard profile"),
    EstimationMethod.NORM: mark("by the consumption norm"),
}
"""What a document calls each method."""

CLAUSE: Final = "п. "
"""How the article of a rule begins, as data writes it."""

NO_BREAK: Final = "\u00a0"

AVERAGE_OF_MONTHS: Final = mark("monthly average of %(months)s months")


def method_text(used: UsedEstimate, language: Language) -> str:
    r"""Return the words of one method, with the article that calls for it where there is one.

    >>> method_text(UsedEstimate(EstimationMethod.OWN_AVERAGE, 6, "п. 59"), Language.RUSSIAN)
    'среднемесячный расход за 6 мес., п.\xa059'
    """
    if used.months:
        text = gettext(AVERAGE_OF_MONTHS, language) % {"months": used.months}
    else:
        text = gettext(METHODS[used.method], language)
    return f"{text}, {_article_text(used.article, language)}" if used.article else text


def _article_text(article: str, language: Language) -> str:
    """Return an article in the words of a language; its number stays on the line of its word."""
    if article.startswith(CLAUSE):
        number = article.removeprefix(CLAUSE)
        article = gettext(mark("clause %(number)s"), language) % {"number": number}
    return article.replace(" ", NO_BREAK)


def estimate_text(used: Sequence[UsedEstimate], language: Language, *, part: str = "") -> str:
    """Return what a line says of its estimated quantity; `part` is how much of it, if not all.

    >>> estimate_text([UsedEstimate(EstimationMethod.LIKE_DAY)], Language.ENGLISH, part="4 kWh")
    'estimated 4 kWh: as on like days'
    """
    how = "; ".join(method_text(one, language) for one in used)
    if part:
        return gettext(mark("estimated %(part)s: %(how)s"), language) % {"part": part, "how": how}
    return gettext(mark("estimated: %(how)s"), language) % {"how": how}
