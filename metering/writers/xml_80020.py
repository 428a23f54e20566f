"""A day of half hours as 80020 XML (`docs/reference/80020.md`), point by point."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, Final
from xml.sax import saxutils
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import local_day
from kilokassa.core.quantity import WH_PER_KWH
from kilokassa.core.series import Quality
from metering.exchange.codes import CHANNEL_TEXTS, CHANNELS, MESSAGE_CLASS
from metering.writers.losses import measured

ENCODING: Final = "cp1251"
PERIOD_MIN: Final = 30
"""Shorter intervals are summed to half hours; an hour stays one, since nobody measured its half."""

CLOSING: Final = b"\t</area>\n</message>\n"
"""What stands after the points."""

_CODE_OF: Final = {ours: code for code, ours in CHANNELS.items()}
_HOUR: Final = timedelta(hours=1)
_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML may hold, however it is written."""

Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class MessageHead:
    """What stands before the points: who sends which day of which area, and its number."""

    number: int
    day: date
    made_at: datetime
    sender_inn: str
    sender_name: str
    area_inn: str
    area_name: str
    timezone: str
    """The number of the time zone; empty where times are those of each point's building."""
    zone: ZoneInfo
    """What `timezone` stands for, or the zone that the time stamp is written in."""


@dataclass(frozen=True, slots=True, eq=False)
class ChannelDay:
    """The whole kWh of a channel on a day, one a period; unknown ones have the quality MISSING."""

    code: str
    period_min: int
    kwh: Int64
    quality: UInt8


@dataclass(frozen=True, slots=True, eq=False)
class PointDay:
    """The channels of a point on a local day of its building's zone."""

    code: str
    name: str
    zone: ZoneInfo
    channels: Sequence[ChannelDay]


def to_periods(
    energy_wh: npt.NDArray[np.integer[Any]], quality: UInt8, interval_min: int
) -> tuple[int, Int64, UInt8]:
    """Sum intervals to half hours along the last axis; return their length, energy and quality.

    A half hour of which only a part is known is estimated, since it is less than what was used.

    >>> minutes, energy, quality = to_periods(np.array([1, 2, 3, 0]), np.array([1, 1, 1, 0]), 15)
    >>> minutes, energy.tolist(), quality.tolist()
    (30, [3, 3], [1, 2])
    """
    if interval_min >= PERIOD_MIN:
        return interval_min, energy_wh.astype(np.int64), quality.astype(np.uint8)
    parts = PERIOD_MIN // interval_min
    shape = (*energy_wh.shape[:-1], energy_wh.shape[-1] // parts, parts)
    qualities = quality.reshape(shape)
    same = (qualities == qualities[..., :1]).all(axis=-1)
    return (
        PERIOD_MIN,
        energy_wh.reshape(shape).sum(axis=-1, dtype=np.int64),
        np.where(same, qualities[..., 0], Quality.ESTIMATED).astype(np.uint8),
    )


def whole_kwh(
    energy_wh: Int64, before_wh: Int64, loss_ppm: npt.NDArray[np.integer[Any]] | None = None
) -> Int64:
    """Return whole kWh of successive periods, the rest of each carried to the next.

    `energy_wh` has the shape (channels, periods); `before_wh` is what each channel counted since
    the month began, both with the losses of `loss_ppm`, which are taken off. So the kWh of a month
    sum to the watt-hours measured in it, rounded down, whichever days were written, and in whatever
    order.

    >>> whole_kwh(np.array([[600, 600, 900]]), np.array([0])).tolist()
    [[0, 1, 1]]
    """
    reached = np.cumsum(np.concatenate([before_wh[:, None], energy_wh], axis=1), axis=1)
    if loss_ppm is not None:
        reached = measured(reached, loss_ppm[:, None])
    return np.diff(reached // WH_PER_KWH, axis=1)


def write_message(head: MessageHead, points: Iterable[PointDay]) -> Iterator[bytes]:
    """Yield the file of a day, a piece a point; what windows-1251 lacks is written as a number.

    A period of which nothing is known is left out: its absence is what the reader sees as a gap.
    """
    yield opening(head)
    for point in points:
        yield point_piece(point, head.day)
    yield CLOSING


def opening(head: MessageHead) -> bytes:
    """Return what stands before the points."""
    return _bytes(_opening(head))


def point_piece(point: PointDay, day: date) -> bytes:
    """Return one point with its channels."""
    return _bytes("".join(_point(point, day)))


def _opening(head: MessageHead) -> str:
    timezone = f" timezone={_quoted(head.timezone)}" if head.timezone else ""
    return (
        '<?xml version="1.0" encoding="windows-1251"?>\n'
        f'<message class="{MESSAGE_CLASS}" version="2" number="{head.number}">\n'
        "\t<datetime>\n"
        f"\t\t<timestamp>{head.made_at.astimezone(head.zone):%Y%m%d%H%M%S}</timestamp>\n"
        f"\t\t<daylightsavingtime>{_summer(head.day, head.zone)}</daylightsavingtime>\n"
        f"\t\t<day>{head.day:%Y%m%d}</day>\n"
        "\t</datetime>\n"
        "\t<sender>\n"
        f"\t\t<inn>{_text(head.sender_inn)}</inn>\n"
        f"\t\t<name>{_text(head.sender_name)}</name>\n"
        "\t</sender>\n"
        f"\t<area{timezone}>\n"
        f"\t\t<inn>{_text(head.area_inn)}</inn>\n"
        f"\t\t<name>{_text(head.area_name)}</name>\n"
    )


def _point(point: PointDay, day: date) -> Iterator[str]:
    yield f"\t\t<measuringpoint code={_quoted(point.code)} name={_quoted(point.name)}>\n"
    for channel in point.channels:
        code, text = _CODE_OF[channel.code], CHANNEL_TEXTS[channel.code]
        yield f'\t\t\t<measuringchannel code="{code}" desc="{text}">\n'
        yield _periods(channel, _clocks(day, point.zone, channel.period_min))
        yield "\t\t\t</measuringchannel>\n"
    yield "\t\t</measuringpoint>\n"


def _periods(channel: ChannelDay, clocks: tuple[tuple[str, str], ...]) -> str:
    if (channel.quality == Quality.ACTUAL).all():
        return _template(clocks) % tuple(channel.kwh.tolist())
    return "".join(
        _period(*clock, "" if quality == Quality.ACTUAL else ' status="1"') % kwh
        for clock, kwh, quality in zip(
            clocks, channel.kwh.tolist(), channel.quality.tolist(), strict=True
        )
        if quality != Quality.MISSING
    )


@cache
def _template(clocks: tuple[tuple[str, str], ...]) -> str:
    return "".join(_period(start, end, "") for start, end in clocks)


def _period(start: str, end: str, status: str) -> str:
    return (
        f'\t\t\t\t<period start="{start}" end="{end}">\n'
        f"\t\t\t\t\t<value{status}>%d</value>\n"
        "\t\t\t\t</period>\n"
    )


@cache
def _clocks(day: date, zone: ZoneInfo, period_min: int) -> tuple[tuple[str, str], ...]:
    """Return what the clock on the wall shows at both ends of each period of a local day."""
    whole = local_day(day, zone)
    step = timedelta(minutes=period_min)
    instants = [whole.start + step * n for n in range(whole.length // step + 1)]
    shown = [f"{instant.astimezone(zone):%H%M}" for instant in instants]
    return tuple(pairwise(shown))


def _summer(day: date, zone: ZoneInfo) -> int:
    """Return 0 in winter, 1 in summer, 2 on a day on which the clock changes (memory)."""
    whole = local_day(day, zone)
    if whole.length != 24 * _HOUR:
        return 2
    return int(bool(whole.start.astimezone(zone).dst()))


def _text(text: str) -> str:
    return saxutils.escape(_NOT_XML.sub("", text))


def _quoted(text: str) -> str:
    return saxutils.quoteattr(_NOT_XML.sub("", text))


def _bytes(text: str) -> bytes:
    return text.encode(ENCODING, "xmlcharrefreplace")
