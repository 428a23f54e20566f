"""Do the faults of a house stand among the first three that are ranked?

`docs/algorithms/house-balance.md` says what the houses contain. Every figure is a share of planted
faults; the ranking never learns on which day they began.
"""

import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilokassa.core.calendar import local_midnight
from metering.balance.house import HouseFlows, Losses, balance_by_interval
from metering.balance.suspects import Grid, find_suspects, grid_of

HOUSES: Final = 100
FLATS: Final = 60
DAYS: Final = 60
SLOTS: Final = 48
FAULT_DAY: Final = 30
"""Faults begin with the 31st day."""
FIRST_DAY: Final = date(2026, 9, 21)
ZONE: Final = ZoneInfo("Asia/Vladivostok")
SEED: Final = 20_260_921
CLOCK_S: Final = 20
"""The clock of a flat's meter is off by at most so many seconds."""
SILENT_SHARE: Final = 0.001
"""Share of a flat's days that never arrive."""
MEDIAN_KWH: Final = 200
"""What half of the flats use less than in a month, heaters not counted."""
KINDS: Final = ("thief_40", "slow_15", "lost_phase")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class House:
    """What the meters of one house show, and who of its flats is at fault."""

    flows: HouseFlows
    losses: Losses
    faults: dict[str, int]
    """The flat of each kind of fault."""


def run() -> dict[str, object]:
    """Return the shares for three faults a house and for one, and the time of one house."""
    found: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    drops: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    alone: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    alone_first: list[bool] = []
    alone_drops: list[bool] = []
    seconds: list[float] = []
    for number in range(HOUSES):
        house = make_house(number, KINDS)
        started = time.perf_counter()
        first_three = rank(house)[:3]
        seconds.append(time.perf_counter() - started)
        by_drop = rank_by_drop(house)[:3]
        for kind, flat in house.faults.items():
            found[kind].append(flat in first_three)
            drops[kind].append(flat in by_drop)
        for kind in KINDS:
            single = make_house(number, (kind,))
            ranked = rank(single)
            alone[kind].append(single.faults[kind] in ranked[:3])
            alone_first.append(single.faults[kind] == ranked[0])
            alone_drops.append(single.faults[kind] in rank_by_drop(single)[:3])
    return {
        "first_three_share": _share(found.values()),
        "largest_drop_share": _share(drops.values()),
        **{f"first_three_share_{kind}": _share([found[kind]]) for kind in KINDS},
        **{f"largest_drop_share_{kind}": _share([drops[kind]]) for kind in KINDS},
        "one_fault_first_three_share": _share(alone.values()),
        "one_fault_largest_drop_share": _share([alone_drops]),
        "one_fault_first_share": _share([alone_first]),
        **{f"one_fault_first_three_share_{kind}": _share([alone[kind]]) for kind in KINDS},
        "houses": HOUSES,
        "flats": FLATS,
        "days": DAYS,
        "house_ms": round(1000 * float(np.median(seconds)), 1),
    }


def rank(house: House) -> list[int]:
    """Return the flats, the most suspect first."""
    balance = balance_by_interval(house.flows, house.losses)
    found = find_suspects(balance.remainder_wh, balance.complete, house.flows.flats_wh, grid())
    return [suspect.flat for suspect in found.suspects]


def rank_by_drop(house: House) -> list[int]:
    """Return the flats by the drop of their mean from the first 30 days to the last 30."""
    split = FAULT_DAY * SLOTS
    known = house.flows.flats_known
    energy = np.where(known, house.flows.flats_wh, 0).astype(np.float64)
    before = energy[:, :split].sum(axis=1) / known[:, :split].sum(axis=1)
    after = energy[:, split:].sum(axis=1) / known[:, split:].sum(axis=1)
    return [int(flat) for flat in np.argsort(after / before, kind="stable")]


def grid() -> Grid:
    """Return the half hours of the window."""
    return grid_of([FIRST_DAY + timedelta(days=n) for n in range(DAYS)], ZONE, 60 * 24 // SLOTS)


def make_house(number: int, kinds: tuple[str, ...]) -> House:
    """Return the house of this number with these faults; but for them it is always the same."""
    rng = np.random.default_rng([SEED, number])
    temperature = _temperature(rng)
    mood = _mood(rng)
    used = np.stack([_flat(rng, temperature, mood) for _ in range(FLATS)])
    common = _common(rng, temperature, used)
    flats = [int(flat) for flat in rng.permutation(FLATS)[: len(KINDS)]]
    shares = _seen_shares(rng)
    faults = {kind: flats[KINDS.index(kind)] for kind in kinds}
    seen = used.copy()
    for kind, flat in faults.items():
        seen[flat, FAULT_DAY * SLOTS :] *= shares[kind]
    through = used.sum(axis=0) + common
    input_wh = _house_meter(rng, through + _losses(rng, through))
    flats_wh = np.stack([_flat_meter(rng, row) for row in seen])
    silent = rng.random((FLATS, DAYS)) < SILENT_SHARE
    known = ~np.repeat(silent, SLOTS, axis=1)
    flows = HouseFlows(
        start=local_midnight(FIRST_DAY, ZONE),
        interval_min=30,
        taken_wh=input_wh[None],
        given_wh=np.zeros_like(input_wh)[None],
        input_known=np.ones((1, DAYS * SLOTS), bool),
        flats_wh=np.where(known, flats_wh, 0),
        flats_known=known,
        common_wh=np.zeros((0, DAYS * SLOTS), np.int64),
        common_known=np.ones((0, DAYS * SLOTS), bool),
    )
    return House(flows, Losses(ppm=15_000, watts=100), faults)


def _temperature(rng: np.random.Generator) -> Floats:
    """Return °C by half hour: an autumn that gets colder, its fronts and its nights."""
    fronts = _wandering(rng, DAYS, 0.8, 3.0)
    daily = 12 - 0.35 * np.arange(DAYS) + fronts
    hour = np.arange(SLOTS) / 2
    swing = (2 + 2 * rng.random(DAYS))[:, None] * np.cos(2 * np.pi * (hour - 15) / 24)
    temperature: Floats = (daily[:, None] + swing).ravel()
    return temperature


def _mood(rng: np.random.Generator) -> Floats:
    """Return how much the whole house is up and about, about 1: weather, television, holidays."""
    by_day = np.repeat(_wandering(rng, DAYS, 0.6, 0.08), SLOTS)
    mood: Floats = np.exp(by_day + _wandering(rng, DAYS * SLOTS, 0.9, 0.06))
    return mood


def _flat(rng: np.random.Generator, temperature: Floats, mood: Floats) -> Floats:
    """Return what one flat uses, Wh by half hour: base, habits, appliances, heater, absences."""
    hour = np.arange(SLOTS) / 2
    weekday = (FIRST_DAY.weekday() + np.arange(DAYS)) % 7
    off = weekday >= 5
    shift_worker = rng.random() < 0.1
    morning = rng.normal(7.3, 0.9) + (0 if not shift_worker else rng.uniform(3, 8))
    evening = rng.normal(19.6, 1.1) - (0 if not shift_worker else rng.uniform(0, 5))
    home_by_day = rng.random() < 0.4
    shapes = []
    for day_off in (False, True):
        late = 1.5 * day_off
        active = (
            0.12
            + rng.uniform(0.5, 1.0) * np.exp(-(((hour - morning - late) / 1.2) ** 2))
            + rng.uniform(0.9, 1.5) * np.exp(-(((hour - evening) / 2.2) ** 2))
            + (0.55 if day_off or home_by_day else 0.12) * np.exp(-(((hour - 13) / 3.5) ** 4))
        )
        shapes.append(active / active.mean())
    shape = np.where(off[:, None], shapes[1], shapes[0])
    month_kwh = float(np.clip(rng.lognormal(np.log(MEDIAN_KWH), 0.45), 60, 600))
    mean_wh = month_kwh * 1000 / 30 / SLOTS
    base_wh = min(0.45 * mean_wh, rng.uniform(15, 45))
    fridge = base_wh * (1 + 0.35 * rng.choice([-1.0, 1.0], (DAYS, SLOTS)))
    level = np.exp(_wandering(rng, DAYS, 0.35, 0.3))
    rate = shape * level[:, None] * mood.reshape(DAYS, SLOTS)
    # Half of what is used by habit comes steadily, half as appliances that are on or not.
    steady = rate * rng.gamma(5.0, 0.2, rate.shape)
    size = rng.uniform(1.5, 5.0)
    switched = rng.poisson(rate / size) * size * rng.gamma(4.0, 0.25, rate.shape)
    habits = (mean_wh - base_wh) * (0.5 * steady + 0.5 * switched)
    present = np.ones(DAYS)
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(1, 3))):
            first = int(rng.integers(-5, DAYS))
            present[max(0, first) : max(0, first + int(rng.integers(2, 15)))] = 0.02
    if rng.random() < 0.12:
        present[off] = np.minimum(present[off], 0.05)
    if rng.random() < 0.08:
        # Somebody moved out, or in: an honest change for good.
        present[int(rng.integers(10, DAYS - 10)) :] *= rng.uniform(0.4, 1.5)
    used = fridge + habits * present[:, None]
    if rng.random() < 0.25:
        cold = np.clip(rng.uniform(6, 14) - temperature, 0, None).reshape(DAYS, SLOTS)
        power_wh = rng.uniform(300, 900)
        duty = np.clip(cold / 15, 0, 0.9) * (0.3 + 0.7 * (present[:, None] > 0.3))
        used = used + power_wh * rng.binomial(6, duty) / 6
    flat: Floats = used.ravel()
    return flat


def _common(rng: np.random.Generator, temperature: Floats, used: Floats) -> Floats:
    """Return what nobody measures: lifts, light by the dark, pumps, heating cables, works."""
    stirring = used.sum(axis=0)
    stirring = stirring / stirring.mean()
    lifts = 12 * rng.poisson(np.clip(18 * stirring, 0, None)) * rng.uniform(0.7, 1.3)
    hour = np.tile(np.arange(SLOTS) / 2, DAYS)
    day = np.repeat(np.arange(DAYS), SLOTS)
    sunset, sunrise = 18.6 - day / 35, 6.8 + day / 45
    dark = np.clip((hour - sunset) * 2, 0, 1) + np.clip((sunrise - hour) * 2, 0, 1)
    lights = rng.uniform(250, 500) * dark * np.exp(_wandering(rng, DAYS * SLOTS, 0.8, 0.05))
    pumps = rng.uniform(80, 200) * rng.binomial(3, 0.5 + 0.2 * (stirring > 1.1)) / 3
    cables = rng.uniform(0, 40) * np.clip(3 - temperature, 0, None)
    drift = rng.uniform(60, 160) * np.exp(_wandering(rng, DAYS * SLOTS, 0.97, 0.35))
    works = np.zeros(DAYS * SLOTS)
    for _ in range(int(rng.poisson(3))):
        first = int(rng.integers(DAYS)) * SLOTS + int(rng.integers(18, 28))
        works[first : first + int(rng.integers(4, 14))] += rng.uniform(300, 1200)
    steps = np.zeros(DAYS * SLOTS)
    if rng.random() < 0.3:
        # New lamps, or a router's cabinet: honest growth, or fall, of the remainder.
        steps[int(rng.integers(5, DAYS - 5)) * SLOTS :] = rng.uniform(-60, 150)
    common: Floats = np.clip(lifts + lights + pumps + cables + drift + works + steps, 0, None)
    return common


def _seen_shares(rng: np.random.Generator) -> dict[str, Floats]:
    """Return the share of its energy that a faulty meter still counts, from the fault's day on."""
    days = DAYS - FAULT_DAY
    size = days * SLOTS
    # What runs past the meter, or on the dead phase, is now more and now less.
    by_day = np.repeat(rng.normal(0, 0.04, (2, days)), SLOTS, axis=1)
    hidden, phase = by_day + rng.normal(0, 0.06, (2, size))
    return {
        "thief_40": 1 - np.clip(0.4 + hidden, 0, 0.95),
        "slow_15": np.full(size, 0.85),
        "lost_phase": 1 - np.clip(1 / 3 + phase, 0, 0.95),
    }


def _losses(rng: np.random.Generator, through: Floats) -> Floats:
    """Return the technical losses: by the square of the load, and a constant; not as declared."""
    mean = through.mean()
    copper = rng.uniform(0.006, 0.018) * through**2 / mean
    losses: Floats = copper + rng.uniform(20, 60)
    return losses


def _house_meter(rng: np.random.Generator, energy: Floats) -> npt.NDArray[np.int64]:
    """Return what the house meter shows: class 0.5S, transformers of 200/5, steps of 40 Wh."""
    gain = 1 + rng.normal(0, 0.0025) + 0.0015 * np.clip(energy / energy.mean() - 1, -1, 1)
    return _counted(rng, energy * gain * (1 + rng.normal(0, 0.001, len(energy))), 40)


def _flat_meter(rng: np.random.Generator, energy: Floats) -> npt.NDArray[np.int64]:
    """Return what a flat's meter shows: class 1, a clock some seconds off, whole Wh."""
    late = rng.uniform(-CLOCK_S, CLOCK_S) / 1800
    other = np.roll(energy, 1 if late > 0 else -1)
    shifted = (1 - abs(late)) * energy + abs(late) * other
    return _counted(rng, shifted * (1 + rng.normal(0, 0.004)), 1)


def _counted(rng: np.random.Generator, energy: Floats, step_wh: int) -> npt.NDArray[np.int64]:
    total = np.floor((rng.random() * step_wh + np.cumsum(energy)) / step_wh).astype(np.int64)
    return np.diff(total, prepend=0) * step_wh


def _wandering(rng: np.random.Generator, count: int, memory: float, spread: float) -> Floats:
    """Return an autoregressive series of mean 0 and standard deviation `spread`."""
    shocks = rng.normal(0, spread * np.sqrt(1 - memory**2), count)
    values = np.empty(count)
    last = rng.normal(0, spread)
    for place in range(count):
        last = memory * last + shocks[place]
        values[place] = last
    return values


def _share(hits) -> float:  # noqa: ANN001
    flat = [hit for row in hits for hit in row]
    return round(sum(flat) / len(flat), 4)
