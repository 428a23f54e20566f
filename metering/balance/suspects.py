"""Which flats a house's unexplained remainder points at, with the evidence of each.

A meter that counts only the share 1 - f of a flat's energy leaves f/(1-f) times what it shows in
the house's remainder, at the same times of day, from the day it began. So the remainder is
explained by the flats' own measured series, each from a day that is searched for. What else speaks
for or against a flat is weighed the same way: by how many times likelier the evidence is of a fault
than of honest use, in tenths of a power of ten (decibans; I. J. Good, "Probability and the Weighing
of Evidence", 1950), so that parts add up. `docs/algorithms/house-balance.md` has the formulas.

Floats estimate energy here; money never meets them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from kilokassa.core.calendar import intervals_in_day, local_midnight
from kilokassa.core.text import mark

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DAYS_MIN: Final = 14
"""Fewer days with a balance than this say nothing about a change."""
DAYS_BEFORE_MIN: Final = 7
DAYS_AFTER_MIN: Final = 5
MONTH_DAYS: Final = 30
"""What an energy a month is quoted for."""

MINUTES_A_DAY: Final = 1440
_BLOCKS_A_DAY: Final = 4
"""The remainder is compared within quarters of a day: slower waves are weather and season."""
_PASSES: Final = 3
_CHOSEN_MAX: Final = 8
_CHOSEN_FROM: Final = 5.0
"""A flat enters the joint estimate from this logarithm of likelihoods on."""
_OUTLIER: Final = 2.0
"""Deviations beyond so many standard deviations count less (P. J. Huber, 1964)."""
_METER_ERROR: Final = 0.02
"""A coefficient of this size is a meter within its class."""
_UNEVEN: Final = 0.15
"""How much the hidden share itself varies, in parts of its coefficient."""
_WIDER: Final = 1.2
"""Errors are taken so much wider than least squares say: the remainder's noise is not white."""
_OTHER_CAUSES: Final = 0.25
"""How often a flat's level changes for reasons of its own, and how far."""
_OTHER_CHANGE: Final = 0.6
_SHARES: Final = np.array(
    [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9]
)
_COEFFICIENTS: Final = _SHARES / (1 - _SHARES)
_DECIBANS: Final = float(10 / np.log(10))
_SILENT: Final = 3.0
"""A flat that fell to a third or less may be bypassed whole: nothing is left to compare."""
_SEASON: Final = 0.06
"""How far the level of an honest remainder moves with the season in a month."""
_UNKNOWN: Final = 9.0
"""The error of a drop that too few days tell of: it weighs nothing."""
_POINTS_MAX: Final = 200
"""More than this nobody needs to be told."""
_SILENCE_POINTS_MIN, _SILENCE_POINTS_MAX = -5, 10


class PartKind(StrEnum):
    """What speaks for or against a flat."""

    SHAPE = "shape"
    DROP = "drop"
    SILENCE = "silence"
    TAMPER = "tamper"
    PHASE = "phase"
    VERIFICATION = "verification"
    STUCK = "stuck"


TAMPER_POINTS: Final = 10
PHASE_POINTS: Final = 10
STUCK_POINTS: Final = 7
VERIFICATION_POINTS: Final = 3
"""Judgement: ten, ten, five and two times likelier."""

TEMPLATES: Mapping[PartKind, str] = {
    PartKind.SHAPE: mark(
        "Since %(since)s the remainder follows what this flat uses: "
        "%(coefficient)s %% of it, give or take %(error)s."
    ),
    PartKind.DROP: mark(
        "Against the house, the flat uses %(change)s %% of what it used before %(since)s; "
        "the hidden share would leave %(expected)s %%."
    ),
    PartKind.SILENCE: mark(
        "The flat fell from %(before)s to %(after)s kWh a day on %(since)s, "
        "and the remainder grew by %(growth)s kWh a day."
    ),
    PartKind.TAMPER: mark("Tampering that the meter told of: %(count)s, last on %(last)s."),
    PartKind.PHASE: mark("The meter told that a phase was lost, on %(since)s."),
    PartKind.VERIFICATION: mark("The meter's verification expired on %(expired)s."),
    PartKind.STUCK: mark("Findings of a value that stands still, or of zero: %(count)s."),
}

SHAPE_ALWAYS: Final = mark(
    "Over the whole window the remainder follows what this flat uses: "
    "%(coefficient)s %% of it, give or take %(error)s."
)
SHAPE_AGAINST: Final = mark(
    "The remainder does not follow what this flat uses: "
    "%(coefficient)s %% of it, give or take %(error)s."
)

Detail = Mapping[str, int | date]


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of evidence and its weight in decibans; `detail` fills its template."""

    kind: PartKind
    points: int
    detail: Detail = field(default_factory=dict)

    def sentence(
        self, translate: Callable[[str], str] = str, show: Callable[[int | date], str] = str
    ) -> str:
        """Return the part as a sentence; `show` turns its numbers and days into words."""
        return translate(self.template) % {k: show(v) for k, v in self.detail.items()}

    @property
    def template(self) -> str:
        """The message that the detail fills."""
        if self.kind is PartKind.SHAPE and self.points <= 0:
            return SHAPE_AGAINST
        if self.kind is PartKind.SHAPE and "since" not in self.detail:
            return SHAPE_ALWAYS
        return TEMPLATES[self.kind]


@dataclass(frozen=True, slots=True)
class FlatFacts:
    """What is known of a flat's meter besides its energy."""

    tamper_count: int = 0
    tamper_last_on: date | None = None
    phase_lost_on: date | None = None
    """When the meter told of a phase that was lost for a day or longer."""
    verification_expired_on: date | None = None
    stuck_count: int = 0


@dataclass(frozen=True, slots=True)
class Suspect:
    """A flat with what speaks for and against it."""

    flat: int
    """Its row among the flats."""
    since: date | None
    """The day it began; None where it holds for the whole window."""
    coefficient_ppm: int
    """Hidden energy in millionths of the measured, as estimated; never negative."""
    suspected_wh_month: int
    """Hidden energy in thirty days, as estimated."""
    parts: tuple[Part, ...]

    @property
    def points(self) -> int:
        """The weight of all the evidence, decibans: 10 is ten times likelier than not."""
        return sum(part.points for part in self.parts)

    @property
    def hidden_ppm(self) -> int:
        """The share of the flat's whole energy that is not measured, in millionths."""
        return self.coefficient_ppm * 1_000_000 // (1_000_000 + self.coefficient_ppm)


@dataclass(frozen=True, slots=True)
class Suspects:
    """The flats of a house, the most suspect first."""

    suspects: tuple[Suspect, ...]
    days_compared: int
    """Days of the window that have a balance."""
    intervals_compared: int

    @property
    def enough(self) -> bool:
        """Whether the balance covers enough days to compare shapes at all."""
        return self.days_compared >= DAYS_MIN


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where each interval of a window lies: its day and its place in the day."""

    days: tuple[date, ...]
    day_off: Bools
    """For each day, whether people are at home."""
    day: Ints
    """For each interval, its day's place in `days`."""
    slot: Ints
    """For each interval, its place in the day by the clock on the wall."""
    interval_min: int

    @property
    def slots(self) -> int:
        """How many intervals a usual day has."""
        return MINUTES_A_DAY // self.interval_min


def grid_of(days: Sequence[date], zone: ZoneInfo, interval_min: int) -> Grid:
    """Return the grid of successive local days; Saturdays and Sundays are days off."""
    lengths = [intervals_in_day(day, zone, interval_min) for day in days]
    slots = []
    for day, length in zip(days, lengths, strict=True):
        if length * interval_min == MINUTES_A_DAY:
            slots.append(np.arange(length, dtype=np.int64))
            continue
        midnight = local_midnight(day, zone).timestamp()
        offsets = [
            _clock_minute(midnight + 60 * interval_min * n, zone) // interval_min
            for n in range(length)
        ]
        slots.append(np.array(offsets, np.int64))
    return Grid(
        days=tuple(days),
        day_off=np.array([day.weekday() >= 5 for day in days]),
        day=np.repeat(np.arange(len(days)), lengths),
        slot=np.concatenate(slots) if slots else np.zeros(0, np.int64),
        interval_min=interval_min,
    )


def find_suspects(
    remainder_wh: Ints,
    complete: Bools,
    flats_wh: Ints,
    grid: Grid,
    facts: Sequence[FlatFacts] = (),
) -> Suspects:
    """Rank the flats of a house by the evidence that their meters show too little.

    `remainder_wh` and `complete` have the shape (intervals,), `flats_wh` (flats, intervals); only
    complete intervals are looked at. The day on which anything began is not given but found.
    """
    flats = len(flats_wh)
    facts = tuple(facts) or (FlatFacts(),) * flats
    known = np.flatnonzero(complete)
    days_compared = len(np.unique(grid.day[known]))
    if days_compared < DAYS_MIN or not flats:
        ranked = [Suspect(flat, None, 0, 0, _parts_of_facts(facts[flat])) for flat in range(flats)]
    else:
        # Several threads on matrices this small wait for each other: on a busy machine they took
        # eight seconds for what one does in a tenth.
        with _blas().limit(limits=1, user_api="blas"):
            levels = _Levels.of(remainder_wh, complete, flats_wh, grid)
            evidence = _weigh(remainder_wh, flats_wh, grid, known, levels)
        ranked = [_suspect(flat, evidence, levels, grid, facts[flat]) for flat in range(flats)]
    ranked.sort(key=lambda suspect: (-suspect.points, -suspect.suspected_wh_month, suspect.flat))
    return Suspects(tuple(ranked), days_compared, len(known))


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


# --- what a flat used before and after a day ---


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """The level of each flat before and after each day, by (day, flat)."""

    drop: Floats
    """Logarithm of before over after, the house's common movement removed."""
    error: Floats
    before_wh: Floats
    """Mean a day."""
    after_wh: Floats
    used: Ints
    """The days with at least half their intervals: what a level is taken over."""
    remainder_wh: Floats
    """Of those days."""
    energy_wh: Floats
    """Of each flat on those days, by (flat, day)."""

    @classmethod
    def of(cls, remainder_wh: Ints, complete: Bools, flats_wh: Ints, grid: Grid) -> "_Levels":
        days, flats = len(grid.days), len(flats_wh)
        count = np.bincount(grid.day[complete], minlength=days)
        # Of a day with half its intervals or more, the mean stands for the day.
        used = np.flatnonzero(count * 2 >= grid.slots)
        by_day = np.zeros((flats + 1, days))
        chosen = grid.day[complete]
        for row, values in enumerate((*flats_wh, remainder_wh)):
            by_day[row] = np.bincount(chosen, values[complete], days)
        by_day = by_day[:, used] * (grid.slots / count[used])
        energy, remainder = by_day[:-1], by_day[-1]
        mean = np.maximum(energy.mean(axis=1, keepdims=True), 1e-9)
        house = np.median(energy / mean, axis=0)
        relative = energy / mean / np.maximum(house, 1e-3)
        shape = (days, flats)
        drop, error = np.zeros(shape), np.full(shape, _UNKNOWN)
        before, after = np.zeros(shape), np.zeros(shape)
        for day in range(days):
            late = used >= day
            if (~late).sum() < DAYS_BEFORE_MIN or late.sum() < DAYS_AFTER_MIN:
                continue
            first, last = relative[:, ~late], relative[:, late]
            mean_first = np.maximum(first.mean(axis=1, keepdims=True), 1e-3)
            mean_last = np.maximum(last.mean(axis=1, keepdims=True), 1e-3)
            deviation = np.concatenate([first / mean_first - 1, last / mean_last - 1], axis=1)
            drop[day] = np.log(mean_first / mean_last)[:, 0]
            error[day] = np.sqrt(_variance(deviation, late) + 0.03**2)
            before[day], after[day] = energy[:, ~late].mean(axis=1), energy[:, late].mean(axis=1)
        return cls(drop, error, before, after, used, remainder, energy)

    def growth(self, day: int, evidence: "_Evidence", but: int) -> tuple[float, float]:
        """Return by how much the remainder of a day grew from `day` on, and the error of that.

        What the other flats explain of it is taken off first: faults often come together.
        """
        remainder = self.remainder_wh.copy()
        for flat in np.flatnonzero(evidence.joint >= _CHOSEN_FROM):
            if flat != but:
                since = self.used >= evidence.day[flat]
                hidden = evidence.coefficient[flat] * self.energy_wh[flat]
                remainder -= np.where(since, hidden, 0)
        late = self.used >= day
        before, after = remainder[~late], remainder[late]
        rest = np.concatenate([before - before.mean(), after - after.mean()])
        error = np.sqrt(_variance(rest[None], late)[0])
        season = _SEASON * abs(float(remainder.mean()))
        return float(after.mean() - before.mean()), float(np.hypot(error, season))


def _variance(deviation: Floats, late: Bools) -> Floats:
    """Return the variance of the difference of two means of a series whose days hang together."""
    total = np.maximum((deviation**2).sum(axis=1), 1e-9)
    alike = np.clip((deviation[:, 1:] * deviation[:, :-1]).sum(axis=1) / total, 0.1, 0.9)
    one = total / max(1, deviation.shape[1] - 2) * (1 + alike) / (1 - alike)
    variance: Floats = one * (1 / (~late).sum() + 1 / late.sum())
    return variance


# --- the remainder explained by the flats ---


@dataclass(frozen=True, slots=True, eq=False)
class _Evidence:
    """What the remainder says of each flat."""

    day: Ints
    """The place of the day it would have begun."""
    coefficient: Floats
    error: Floats
    """Infinite where the flat has no shape to compare."""
    shape: Floats
    """Logarithm of the ratio of likelihoods."""
    joint: Floats
    """The same with the flat's own drop."""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    evidence: _Evidence
    chosen: tuple[tuple[int, int], ...]
    """The flats that explain the remainder together, each with its day."""


def _weigh(
    remainder_wh: Ints, flats_wh: Ints, grid: Grid, known: Ints, levels: _Levels
) -> _Evidence:
    day, slot = grid.day[known], grid.slot[known]
    series = _Series(
        remainder=remainder_wh[known].astype(np.float64),
        flats=np.ascontiguousarray(flats_wh[:, known].T, np.float64),
        usual=_usual(flats_wh, grid, known),
        day=day,
        block=_blocks(day, slot, grid),
    )
    weight = np.ones(len(known))
    for _ in range(_PASSES - 1):
        found = _search(series.weighted(weight), len(grid.days), levels)
        rest = _rest(series.weighted(np.ones(len(known))), found.chosen)
        weight = _weights(rest, slot, grid.slots)
    return _search(series.weighted(weight), len(grid.days), levels).evidence


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """The remainder, the flats and what usually explains the remainder, by interval."""

    remainder: Floats
    flats: Floats
    usual: Floats
    day: Ints
    block: Ints

    def weighted(self, weight: Floats) -> "_Series":
        """Return the series less their weighted means within each block, times the weights."""
        edges = np.flatnonzero(np.diff(self.block, prepend=-1))
        mass = np.add.reduceat(weight**2, edges)
        place = np.cumsum(np.diff(self.block, prepend=self.block[:1]) != 0)

        def less_means(values: Floats) -> Floats:
            sums = np.add.reduceat(values * (weight**2)[:, None], edges, axis=0)
            less: Floats = (values - (sums / mass[:, None])[place]) * weight[:, None]
            return less

        return _Series(
            less_means(self.remainder[:, None])[:, 0],
            less_means(self.flats),
            less_means(self.usual),
            self.day,
            self.block,
        )


def _usual(flats_wh: Ints, grid: Grid, known: Ints) -> Floats:
    """Return what explains a remainder without any fault: the hour, losses by load and by square.

    The hour stands apart on working days and on days off; losses follow the whole house, so that
    they, the house meter's own error and what the house uses in common point at nobody.
    """
    kind = grid.slot[known] + grid.slots * grid.day_off[grid.day[known]]
    hours = np.zeros((len(known), 2 * grid.slots))
    hours[np.arange(len(known)), kind] = 1
    load = flats_wh[:, known].sum(axis=0).astype(np.float64)
    load /= max(1.0, load.mean())
    return np.hstack([hours, load[:, None], load[:, None] ** 2])


def _blocks(day: Ints, slot: Ints, grid: Grid) -> Ints:
    quarter = slot * _BLOCKS_A_DAY // grid.slots
    blocks: Ints = day * _BLOCKS_A_DAY + quarter
    return np.maximum.accumulate(blocks)


def _search(series: _Series, days: int, levels: _Levels) -> _Found:
    """Choose flats one by one, each with the day that explains most, and weigh them all.

    Orthogonal least squares (S. Chen, S. A. Billings, W. Luo, 1989) over steps of every flat on
    every day; sums from a day on make one pass of all of them.
    """
    flats = series.flats.shape[1]
    basis = _basis(series.usual)
    starts = np.searchsorted(series.day, np.arange(days + 1))
    norm = _from_day_on(series.flats**2, starts)
    inner = _from_day_on(series.flats * series.remainder[:, None], starts)
    along = basis.T @ series.remainder
    across = np.zeros((days, basis.shape[1], flats))
    for day in range(days):
        place = slice(starts[day], starts[day + 1])
        across[day] = basis[place].T @ series.flats[place]
    across = np.cumsum(across[::-1], axis=0)[::-1]
    whole = np.maximum(norm[0], 1e-9)
    norm = norm - (across**2).sum(axis=1)
    inner = inner - np.einsum("q,dqf->df", along, across)
    left = float(series.remainder @ series.remainder - along @ along)
    freedom = max(1, len(series.remainder) - basis.shape[1] - len(np.unique(series.block)) - flats)
    possible = (norm > 1e-3 * whole) & (np.arange(days) <= days - DAYS_AFTER_MIN)[:, None]
    possible[1:DAYS_BEFORE_MIN] = False
    steps = np.zeros((len(series.day), 0))
    chosen: list[tuple[int, int]] = []
    while True:
        size = np.where(possible, norm, 1.0)
        coefficient = np.where(possible, inner / size, 0.0)
        gained = np.where(coefficient > 0, coefficient * inner, 0.0)
        error = np.sqrt(np.maximum(left - gained, 1.0) / freedom / size)
        shape, joint = _likelihoods(coefficient, error, levels.drop, levels.error)
        joint = np.where(possible, joint, -np.inf)
        open_now = joint.copy()
        open_now[:, [flat for flat, _ in chosen]] = -np.inf
        day, flat = (int(n) for n in np.unravel_index(open_now.argmax(), joint.shape))
        if not open_now[day, flat] >= _CHOSEN_FROM or len(chosen) == _CHOSEN_MAX:
            break
        step = series.flats[:, flat] * (series.day >= day)
        for _ in range(2):
            step = step - basis @ (basis.T @ step) - steps @ (steps.T @ step)
        step /= np.linalg.norm(step)
        steps = np.hstack([steps, step[:, None]])
        chosen.append((flat, day))
        along_step = float(step @ series.remainder)
        across_step = _from_day_on(series.flats * step[:, None], starts)
        norm = norm - across_step**2
        inner = inner - along_step * across_step
        possible &= norm > 1e-3 * whole
        left -= along_step**2
    best = joint.argmax(axis=0)
    of = best, np.arange(flats)
    # A flat that always uses the same has no shape of its own: nothing can be said by it.
    compared = np.isfinite(joint[of])
    evidence = _Evidence(
        best.astype(np.int64),
        coefficient[of],
        np.where(compared, error[of], np.inf),
        np.where(compared, shape[of], 0.0),
        np.where(compared, joint[of], 0.0),
    )
    if chosen:
        _estimate_together(evidence, series, basis, chosen, left / freedom, levels)
    return _Found(evidence, tuple(chosen))


def _estimate_together(
    evidence: _Evidence,
    series: _Series,
    basis: Floats,
    chosen: Sequence[tuple[int, int]],
    variance: float,
    levels: _Levels,
) -> None:
    steps = np.stack([series.flats[:, flat] * (series.day >= day) for flat, day in chosen], axis=1)
    steps -= basis @ (basis.T @ steps)
    inverse = np.linalg.pinv(steps.T @ steps)
    coefficients = inverse @ (steps.T @ series.remainder)
    errors = np.sqrt(np.maximum(np.diag(inverse), 0) * max(variance, 1e-9))
    of = np.array([day for _, day in chosen]), np.array([flat for flat, _ in chosen])
    shape, joint = _likelihoods(coefficients, errors, levels.drop[of], levels.error[of])
    evidence.day[of[1]] = of[0]
    evidence.coefficient[of[1]] = coefficients
    evidence.error[of[1]] = errors
    evidence.shape[of[1]] = shape
    evidence.joint[of[1]] = joint


def _likelihoods(
    coefficient: Floats, error: Floats, drop: Floats, drop_error: Floats
) -> tuple[Floats, Floats]:
    """Return how much likelier a hidden share is than none: by shape, and with the flat's drop.

    Both are natural logarithms. The share is not known, so all of `_SHARES` are weighed alike. A
    flat's level also changes for reasons of its own, which bounds what a drop can say.
    """
    error = _WIDER * error
    honest = _normal(coefficient, np.hypot(error, _METER_ERROR))
    hidden = _normal(
        coefficient[..., None] - _COEFFICIENTS, np.hypot(error[..., None], _UNEVEN * _COEFFICIENTS)
    )
    other = _OTHER_CAUSES * _normal(drop, np.float64(_OTHER_CHANGE))
    usual = (1 - _OTHER_CAUSES) * _normal(drop, drop_error) + other
    expected = -np.log(1 - _SHARES)
    dropped = (1 - _OTHER_CAUSES) * _normal(
        drop[..., None] - expected, drop_error[..., None]
    ) + other[..., None]
    tiny = 1e-300
    shape = np.log(hidden.mean(axis=-1) + tiny) - np.log(honest + tiny)
    joint = np.log((hidden * dropped).mean(axis=-1) + tiny) - np.log(honest * usual + tiny)
    return shape, joint


def _normal(deviation: Floats, spread: Floats | np.float64) -> Floats:
    density: Floats = np.exp(-0.5 * (deviation / spread) ** 2) / spread
    return density


def _basis(columns: Floats) -> Floats:
    """Return orthonormal columns that span the same."""
    basis, triangle = np.linalg.qr(columns)
    size = np.abs(np.diag(triangle))
    kept: Floats = basis[:, size > 1e-8 * size.max(initial=1e-30)]
    return kept


def _from_day_on(values: Floats, starts: Ints) -> Floats:
    """Return the sums of `values` from each day to the end, of shape (days, columns)."""
    running = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    sums: Floats = running[-1] - running[starts[:-1]]
    return sums


def _rest(series: _Series, chosen: Sequence[tuple[int, int]]) -> Floats:
    """Return what of the remainder neither the usual nor the chosen flats explain."""
    steps = [series.flats[:, flat] * (series.day >= day) for flat, day in chosen]
    basis = _basis(np.column_stack([series.usual, *steps]))
    rest: Floats = series.remainder - basis @ (basis.T @ series.remainder)
    return rest


def _weights(rest: Floats, slot: Ints, slots: int) -> Floats:
    """Return weights by how noisy an hour is, and less for what stands far out."""
    squares = rest**2
    spread = np.ones(slots)
    for place in range(slots):
        own = squares[slot == place]
        if len(own):
            middle = np.median(own)
            spread[place] = np.minimum(own, 9 * middle + 1).mean()
    smooth = (np.roll(spread, 1) + spread + np.roll(spread, -1)) / 3
    weight = 1 / np.sqrt(np.maximum(smooth, 1e-6))[slot]
    far = np.abs(rest) * weight
    weights: Floats = weight * np.sqrt(np.minimum(1, _OUTLIER / np.maximum(far, 1e-9)))
    return weights


# --- evidence in words ---


def _suspect(
    flat: int, evidence: _Evidence, levels: _Levels, grid: Grid, facts: FlatFacts
) -> Suspect:
    place = int(evidence.day[flat])
    since = grid.days[place]
    coefficient = max(0.0, float(evidence.coefficient[flat]))
    parts = []
    if np.isfinite(evidence.error[flat]):
        detail: dict[str, int | date] = {"since": since} if place else {}
        detail["coefficient"] = round(100 * float(evidence.coefficient[flat]))
        detail["error"] = round(100 * float(evidence.error[flat]))
        parts.append(Part(PartKind.SHAPE, _points(float(evidence.shape[flat])), detail))
    if parts and levels.error[place, flat] < _UNKNOWN:
        of_drop: Detail = {
            "since": since,
            "change": round(100 * float(np.exp(-levels.drop[place, flat]))),
            "expected": round(100 / (1 + coefficient)),
        }
        weight = float(evidence.joint[flat] - evidence.shape[flat])
        parts.append(Part(PartKind.DROP, _points(weight), of_drop))
    silence, fell_on = _silence(flat, evidence, levels, grid)
    if silence is not None:
        parts.append(silence)
    daily = float(levels.after_wh[place, flat]) if place else _mean_a_day(levels, flat)
    suspected = coefficient * daily
    if silence is not None and silence.points > 0:
        lost = float(levels.before_wh[fell_on, flat] - levels.after_wh[fell_on, flat])
        if lost > suspected:
            # Too little is left of the flat to measure by: what it used before is what is missing.
            place, suspected = fell_on, lost
            coefficient = lost / max(1.0, float(levels.after_wh[fell_on, flat]))
    return Suspect(
        flat=flat,
        since=grid.days[place] if place else None,
        coefficient_ppm=round(coefficient * 1_000_000),
        suspected_wh_month=round(suspected * MONTH_DAYS),
        parts=(*parts, *_parts_of_facts(facts)),
    )


def _points(likelihood: float) -> int:
    return max(-_POINTS_MAX, min(_POINTS_MAX, round(likelihood * _DECIBANS)))


def _mean_a_day(levels: _Levels, flat: int) -> float:
    known = np.flatnonzero(levels.error[:, flat] < _UNKNOWN)
    if not len(known):
        return 0.0
    middle = known[len(known) // 2]
    return float(levels.before_wh[middle, flat] + levels.after_wh[middle, flat]) / 2


def _silence(
    flat: int, evidence: _Evidence, levels: _Levels, grid: Grid
) -> tuple[Part | None, int]:
    """Return what the remainder says of a flat that all but ceased to use anything.

    A family that went away leaves the remainder as it was; a meter that is bypassed leaves in it
    all that the flat used.
    """
    known = levels.error[:, flat] < _UNKNOWN
    drop = np.where(known, levels.drop[:, flat], -np.inf)
    if drop.max() < np.log(_SILENT):
        return None, 0
    day = int(drop.argmax())
    before, after = float(levels.before_wh[day, flat]), float(levels.after_wh[day, flat])
    lost = before - after
    if lost <= 0:
        return None, 0
    growth, error = levels.growth(day, evidence, flat)
    error = float(np.hypot(error, 0.25 * lost))
    # A remainder that grew by more than the flat lost grew for other reasons as well.
    told = min(max(growth, 0.0), lost)
    weight = ((told / error) ** 2 - ((lost - told) / error) ** 2) / 2
    points = min(_SILENCE_POINTS_MAX, max(_SILENCE_POINTS_MIN, round(weight * _DECIBANS)))
    detail: dict[str, Any] = {
        "since": grid.days[day],
        "before": round(before / 1000),
        "after": round(after / 1000),
        "growth": round(growth / 1000),
    }
    return Part(PartKind.SILENCE, points, detail), day


def _parts_of_facts(facts: FlatFacts) -> tuple[Part, ...]:
    parts = []
    if facts.tamper_count and facts.tamper_last_on is not None:
        detail: Detail = {"count": facts.tamper_count, "last": facts.tamper_last_on}
        parts.append(Part(PartKind.TAMPER, TAMPER_POINTS, detail))
    if facts.phase_lost_on is not None:
        lost: Detail = {"since": facts.phase_lost_on}
        parts.append(Part(PartKind.PHASE, PHASE_POINTS, lost))
    if facts.verification_expired_on is not None:
        expired: Detail = {"expired": facts.verification_expired_on}
        parts.append(Part(PartKind.VERIFICATION, VERIFICATION_POINTS, expired))
    if facts.stuck_count:
        parts.append(Part(PartKind.STUCK, STUCK_POINTS, {"count": facts.stuck_count}))
    return tuple(parts)


def _clock_minute(instant_s: float, zone: ZoneInfo) -> int:
    local = datetime.fromtimestamp(instant_s, zone)
    return local.hour * 60 + local.minute


# --- evidence as a chart ---


class EvidenceSeries(StrEnum):
    """What the chart of a suspect shows."""

    HIDDEN = "hidden"
    REST = "rest"
    GROWTH = "growth"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A suspect's figures for a chart, whole Wh: days of the window, then the hours of a day."""

    days: tuple[date, ...]
    explained_by_day_wh: tuple[int, ...]
    """What the flat hides by the estimate, part of the remainder of its day."""
    rest_by_day_wh: tuple[int, ...]
    """The remainder less that; a day of which intervals are missing stands for its known ones."""
    slots: int
    growth_by_slot_wh: tuple[int, ...]
    """By how much the remainder of an interval grew, less what the other strong suspects explain.

    Of a suspect without a day: the remainder itself, as far as it exceeds its lowest interval.
    """
    shape_by_slot_wh: tuple[int, ...]
    """What the flat would have to hide at that time of day."""


STRONG_POINTS: Final = 20
"""A hundred times likelier than honest use."""
NOTEWORTHY_POINTS: Final = 10


def evidence_of(
    found: Suspects,
    suspect: Suspect,
    remainder_wh: Ints,
    complete: Bools,
    flats_wh: Ints,
    grid: Grid,
) -> Evidence:
    """Return what a suspect's chart shows, from the arrays that it was found in."""
    own = _hidden(suspect, flats_wh, grid)
    others = sum(
        (
            _hidden(other, flats_wh, grid)
            for other in found.suspects
            if other.flat != suspect.flat and other.points >= STRONG_POINTS
        ),
        np.zeros(len(grid.day)),
    )
    days, slots = len(grid.days), grid.slots
    remainder = remainder_wh.astype(np.float64)
    explained = np.bincount(grid.day[complete], own[complete], days)
    rest = np.bincount(grid.day[complete], (remainder - own)[complete], days)
    late = np.ones(len(grid.day), np.bool_)
    if suspect.since is not None:
        late = grid.day >= grid.days.index(suspect.since)
    unexplained = remainder - others
    after = _by_slot(unexplained, complete & late, grid)
    before = _by_slot(unexplained, complete & ~late, grid)
    growth = after - before if suspect.since is not None else after - after.min()
    return Evidence(
        days=grid.days,
        explained_by_day_wh=_whole(explained),
        rest_by_day_wh=_whole(rest),
        slots=slots,
        growth_by_slot_wh=_whole(growth),
        shape_by_slot_wh=_whole(_by_slot(own, complete & late, grid)),
    )


def _hidden(suspect: Suspect, flats_wh: Ints, grid: Grid) -> Floats:
    hidden: Floats = flats_wh[suspect.flat] * (suspect.coefficient_ppm / 1_000_000)
    if suspect.since is not None:
        hidden = np.where(grid.day >= grid.days.index(suspect.since), hidden, 0.0)
    return hidden


def _by_slot(values: Floats, chosen: Bools, grid: Grid) -> Floats:
    count = np.bincount(grid.slot[chosen], minlength=grid.slots)
    sums = np.bincount(grid.slot[chosen], values[chosen], grid.slots)
    means: Floats = sums / np.maximum(count, 1)
    return means


def _whole(values: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in np.rint(values))
