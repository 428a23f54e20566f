"""The picture of a tariff as SVG text: a day in its zones, a year of days, the ladder of ranges.

Colours never stand alone: zones are named where they stand and differ in height, types of day have
a pattern each, and every picture says in its description what it shows.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Final

from babel.dates import get_month_names

from kilokassa.core.money import rate_from_scaled
from kilokassa.core.text import Language, date_text, gettext, mark, number_text
from kilokassa.core.zones import clock_text
from tariffs.day_types import DayType
from tariffs.picture import DayPicture, DayWindow, Rung, YearDay, minutes_share
from tariffs.zone_look import COLOURS, ZONE_WORDS

DAY_TYPE_WORDS: Final = {
    DayType.WORKING: mark("Working day"),
    DayType.WEEKEND: mark("Weekend"),
    DayType.HOLIDAY: mark("Holiday"),
}

_DAY_FILLS: Final = {
    DayType.WORKING: "#8fb8bc",
    DayType.WEEKEND: "#e9dcc0",
    DayType.HOLIDAY: "#c8553d",
}

_WIDTH: Final = 720
_LEFT: Final = 8
_SPAN: Final = _WIDTH - 2 * _LEFT
_BARS: Final = 132
"""Height of the highest rate."""
_TOP: Final = 26
_LAST_TOLD: Final = 22 * 60
"""A window that opens later leaves no place for midnight beside its hour."""
_FONT: Final = 'font-family="PT Sans, system-ui, sans-serif"'
_SEASONS_TOLD: Final = 8


def day_svg(picture: DayPicture, language: Language, *, highest_scaled: int = 0) -> str:
    """Return a day: each window as high as its rate, its zone and rate written into it.

    `highest_scaled` is the rate that fills the height, so that several days compare.
    """
    top = max(highest_scaled, picture.highest_scaled, 1)
    base = _TOP + _BARS
    parts = [_head(_WIDTH, base + 30, _day_words(picture, language))]
    for window in picture.windows:
        left = _LEFT + minutes_share(window.opens_minute, _SPAN)
        right = _LEFT + minutes_share(window.closes_minute, _SPAN)
        height = max(3, window.rate_scaled * _BARS // top)
        parts.append(
            f'<rect x="{left}" y="{base - height}" width="{max(1, right - left - 1)}" '
            f'height="{height}" fill="{COLOURS[window.zone]}"/>'
        )
        parts += _window_words(window, left, right, base - height, language)
    parts.append(
        f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH - _LEFT}" y2="{base}" '
        'stroke="currentColor" stroke-opacity=".5"/>'
    )
    hours = {0, *(window.opens_minute for window in picture.windows)}
    if max(hours) <= _LAST_TOLD:
        hours.add(24 * 60)
    parts += [
        f'<text x="{_LEFT + minutes_share(minute, _SPAN)}" y="{base + 18}" '
        f'text-anchor="{_anchor(minute)}" font-size="13" fill="currentColor">'
        f"{clock_text(minute)}</text>"
        for minute in sorted(hours)
    ]
    return "".join([*parts, "</svg>"])


def _window_words(
    window: DayWindow, left: int, right: int, top: int, language: Language
) -> list[str]:
    """Return the zone and rate above a window, as far as they fit."""
    middle = (left + right) // 2
    rate = rate_text(window.rate_scaled, language)
    name = gettext(ZONE_WORDS[window.zone], language)
    shown = rate if right - left < 9 * (len(name) + len(rate)) // 2 + 24 else f"{name} {rate}"
    if right - left < 7 * len(rate):
        return []
    place = f'x="{middle}" y="{top - 6}" text-anchor="middle" font-size="13"'
    return [f'<text {place} fill="currentColor">{escape(shown)}</text>']


def _anchor(minute: int) -> str:
    return {0: "start", 24 * 60: "end"}.get(minute, "middle")


def _day_words(picture: DayPicture, language: Language) -> str:
    windows = "; ".join(
        f"{clock_text(w.opens_minute)}–{clock_text(w.closes_minute)} "
        f"{gettext(ZONE_WORDS[w.zone], language)} {rate_text(w.rate_scaled, language)}"
        for w in picture.windows
    )
    return f"{day_title(picture, language)}: {windows}"


def day_title(picture: DayPicture, language: Language) -> str:
    """Return which days a picture is of: their types and season, or that all are alike."""
    words = [gettext(DAY_TYPE_WORDS[one], language) for one in picture.day_types]
    title = ", ".join(words) if 0 < len(words) < len(DayType) else ""
    title = title or gettext(mark("Every day"), language)
    return f"{title} · {picture.season}" if picture.season else title


_DAY_WIDTH: Final = 2
_DAY_HEIGHT: Final = 96
_HOURS_LEFT: Final = 44


def zones_of_year_svg(months: Sequence[Sequence[YearDay]], language: Language) -> str:
    """Return a year in its zones: days from left to right, hours from top to bottom."""
    days = [one for month in months for one in month]
    width = _HOURS_LEFT + len(days) * _DAY_WIDTH + 8
    parts = [_head(width, _DAY_HEIGHT + 34, _year_words(months, language))]
    parts.append('<g shape-rendering="crispEdges">')
    place = 0
    for zones, alike in groupby(days, key=lambda one: one.zones):
        count = len(list(alike))
        left, wide = _HOURS_LEFT + place * _DAY_WIDTH, count * _DAY_WIDTH
        place += count
        for window in zones.windows if zones is not None else ():
            top = 6 + minutes_share(window.opens_minute, _DAY_HEIGHT)
            foot = 6 + minutes_share(window.closes_minute, _DAY_HEIGHT)
            parts.append(
                f'<rect x="{left}" y="{top}" width="{wide}" height="{foot - top}" '
                f'fill="{COLOURS[window.zone]}"/>'
            )
    parts.append("</g>")
    parts += [
        f'<text x="{_HOURS_LEFT - 6}" y="{10 + minutes_share(hour * 60, _DAY_HEIGHT)}" '
        f'text-anchor="end" font-size="11" fill="currentColor">{clock_text(hour * 60)}</text>'
        for hour in (0, 6, 12, 18, 24)
    ]
    names = get_month_names("abbreviated", "stand-alone", locale=str(language))
    place = 0
    for month in months:
        x = _HOURS_LEFT + place * _DAY_WIDTH
        place += len(month)
        parts.append(
            f'<line x1="{x}" y1="6" x2="{x}" y2="{_DAY_HEIGHT + 12}" stroke="currentColor" '
            'stroke-opacity=".35"/>'
            f'<text x="{x + 31}" y="{_DAY_HEIGHT + 24}" text-anchor="middle" font-size="11" '
            f'fill="currentColor">{escape(names[month[0].day.month].rstrip("."))}</text>'
        )
    return "".join([*parts, "</svg>"])


_CELL: Final = 21
_MONTH_LEFT: Final = 48


def year_svg(months: Sequence[Sequence[YearDay]], language: Language) -> str:
    """Return a year: a row a month, a cell a day, coloured by its type; new prices are marked."""
    width = _MONTH_LEFT + 31 * _CELL + 8
    height = 22 + 12 * _CELL + 6
    parts = [_head(width, height, _year_words(months, language))]
    names = get_month_names("abbreviated", "stand-alone", locale=str(language))
    parts += [
        f'<text x="{_MONTH_LEFT + (n - 1) * _CELL + _CELL // 2}" y="13" text-anchor="middle" '
        f'font-size="11" fill="currentColor">{n}</text>'
        for n in (1, 5, 10, 15, 20, 25, 31)
    ]
    seasons = sorted({one.season for month in months for one in month})
    for row, month in enumerate(months):
        top = 20 + row * _CELL
        name = names[month[0].day.month].rstrip(".")
        parts.append(
            f'<text x="{_MONTH_LEFT - 8}" y="{top + 15}" text-anchor="end" font-size="12" '
            f'fill="currentColor">{escape(name)}</text>'
        )
        for one in month:
            parts.append(_cell(one, top, seasons, language))
    return "".join([*parts, "</svg>"])


def _cell(one: YearDay, top: int, seasons: Sequence[str], language: Language) -> str:
    left = _MONTH_LEFT + (one.day.day - 1) * _CELL
    size = _CELL - 2
    fill = _DAY_FILLS[one.day_type] if one.known else "none"
    edge = "" if one.known else ' stroke="currentColor" stroke-opacity=".25"'
    words = f"{date_text(one.day, language)}: {gettext(DAY_TYPE_WORDS[one.day_type], language)}"
    if one.season:
        words += f", {one.season}"
    drawn = (
        f'<g><title>{escape(words)}</title><rect x="{left}" y="{top}" width="{size}" '
        f'height="{size}" rx="3" fill="{fill}"{edge}/>'
    )
    if one.known and len(seasons) > 1:
        # A stripe at the foot tells the season, its length which one.
        share = (seasons.index(one.season) + 1) * size // len(seasons)
        drawn += (
            f'<rect x="{left}" y="{top + size - 4}" width="{share}" height="4" fill="#22343a"/>'
        )
    if one.day_type is DayType.HOLIDAY and one.known:
        drawn += f'<circle cx="{left + size // 2}" cy="{top + 7}" r="3" fill="#fff"/>'
    if one.new_prices:
        drawn += (
            f'<rect x="{left + 1}" y="{top + 1}" width="{size - 2}" height="{size - 2}" rx="2" '
            'fill="none" stroke="#22343a" stroke-width="2.5"/>'
        )
    return f"{drawn}</g>"


def _year_words(months: Sequence[Sequence[YearDay]], language: Language) -> str:
    days = [one for month in months for one in month if one.known]
    parts = [str(months[0][0].day.year)]
    for day_type in DayType:
        count = sum(one.day_type is day_type for one in days)
        parts.append(f"{gettext(DAY_TYPE_WORDS[day_type], language)}: {count}")
    changes = [date_text(one.day, language) for one in days if one.new_prices]
    if changes:
        words = gettext(mark("new prices from %(days)s"), language)
        parts.append(words % {"days": ", ".join(changes)})
    return "; ".join(parts)


def seasons_of(months: Sequence[Sequence[YearDay]]) -> tuple[tuple[str, date, date], ...]:
    """Return the stretches of a year by season: its name, first and last day."""
    found: list[tuple[str, date, date]] = []
    for one in (one for month in months for one in month):
        if found and found[-1][0] == one.season and found[-1][2] + timedelta(days=1) == one.day:
            found[-1] = (one.season, found[-1][1], one.day)
        else:
            found.append((one.season, one.day, one.day))
    return tuple(found[:_SEASONS_TOLD]) if any(name for name, _, _ in found) else ()


def ladder_svg(rungs: Sequence[Rung], language: Language) -> str:
    """Return the ladder: a group of bars a range, one a zone, as high as its rate."""
    top = max(rate for rung in rungs for _, rate in rung.rates) or 1
    group = _SPAN // len(rungs)
    base = _TOP + _BARS
    words = "; ".join(
        f"{rung_text(rung, language)}: "
        + ", ".join(
            f"{gettext(ZONE_WORDS[zone], language)} {rate_text(rate, language)}"
            for zone, rate in rung.rates
        )
        for rung in rungs
    )
    parts = [_head(_WIDTH, base + 30, words)]
    for place, rung in enumerate(rungs):
        left = _LEFT + place * group
        bar = min(70, (group - 24) // len(rung.rates))
        first = left + (group - bar * len(rung.rates)) // 2
        for number, (zone, rate) in enumerate(rung.rates):
            height = max(3, rate * _BARS // top)
            x = first + number * bar
            parts.append(
                f'<rect x="{x}" y="{base - height}" width="{max(2, bar - 4)}" height="{height}" '
                f'fill="{COLOURS[zone]}"/>'
                f'<text x="{x + bar // 2 - 2}" y="{base - height - 6}" text-anchor="middle" '
                f'font-size="12" fill="currentColor">{rate_text(rate, language)}</text>'
            )
        parts.append(
            f'<text x="{left + group // 2}" y="{base + 18}" text-anchor="middle" font-size="13" '
            f'fill="currentColor">{escape(rung_text(rung, language))}</text>'
        )
    parts.append(
        f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH - _LEFT}" y2="{base}" '
        'stroke="currentColor" stroke-opacity=".5"/>'
    )
    return "".join([*parts, "</svg>"])


def rung_text(rung: Rung, language: Language) -> str:
    """Return the border of a range in words."""
    if rung.percent is not None:
        words = gettext(mark("up to %(percent)s %% of the norm"), language)
        return words % {"percent": rung.percent}
    if rung.up_to_wh is not None:
        words = gettext(mark("up to %(border)s kWh"), language)
        return words % {"border": number_text(Decimal(rung.up_to_wh) / 1000, language)}
    if rung.above_wh:
        words = gettext(mark("above %(border)s kWh"), language)
        return words % {"border": number_text(Decimal(rung.above_wh) / 1000, language)}
    return gettext(mark("above the norm"), language)


def rate_text(rate_scaled: int, language: Language) -> str:
    """Return a rate with at least two decimals."""
    rate = rate_from_scaled(rate_scaled)
    exponent = rate.as_tuple().exponent
    decimals = max(2, -exponent) if isinstance(exponent, int) else 2
    return number_text(rate, language, decimals=decimals)


def _head(width: int, height: int, words: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(words)}" {_FONT}>'
    )


_SIZE: Final = re.compile(r'viewBox="0 0 (\d+) (\d+)"')
_TITLE_HEIGHT: Final = 30
_SHEET_LEFT: Final = 16


def sheet_svg(title: str, parts: Sequence[tuple[str, str]]) -> str:
    """Return pictures one below the other, each under its title: a file that stands alone."""
    top, width, drawn = _TITLE_HEIGHT + 10, 0, []
    for name, svg in parts:
        found = _SIZE.search(svg)
        assert found is not None, "every picture begins with its size"
        wide, high = int(found[1]), int(found[2])
        drawn.append(
            f'<text x="{_SHEET_LEFT}" y="{top + 18}" font-size="15" font-weight="600">'
            f"{escape(name)}</text>"
            f'<svg x="{_SHEET_LEFT}" y="{top + _TITLE_HEIGHT}"{svg[len("<svg") :]}'
        )
        top += _TITLE_HEIGHT + high + 14
        width = max(width, wide + 2 * _SHEET_LEFT)
    head = (
        f"{_head(width, top, title)}"
        f'<rect width="{width}" height="{top}" fill="#fff"/>'
        f'<text x="{_SHEET_LEFT}" y="26" font-size="19" font-weight="600">{escape(title)}</text>'
    )
    return "".join([head, *drawn, "</svg>"])
