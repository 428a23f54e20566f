"""Invented people and their habits: names, sizes of flats, how a household uses electricity."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kilokassa.demo.profiles import ProfileKind

SEED: Final = 20_270_101
"""The one seed of the town; every draw is keyed by it, by what is drawn and by whose it is."""


def draws(*key: int) -> np.random.Generator:
    """Return the random numbers of `key`: the same for ever, whatever else was drawn before."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([SEED, *key])))


@dataclass(frozen=True, slots=True)
class Habits:
    """How a household spends its energy; the series of every day follows from it."""

    kind: ProfileKind
    month_kwh: int
    """Energy of an average month."""
    later_half_hours: int
    """How much later than the standard profile its day runs; negative for early risers."""
    evening_percent: int
    """Use from 17:00 to 23:00 against the profile, in percent."""
    night_percent: int
    """Use from 23:00 to 07:00 against the profile: those with a night price run machines then."""
    empty_weekends: bool
    """Away on weekends from May to September (дача)."""
    holiday_starts: int
    """Day of the year on which two weeks away begin; 0 for none."""


_SURNAMES: Final = (
    "Абрамов", "Алексеев", "Андреев", "Антонов", "Афанасьев", "Белов", "Беляев", "Богданов",
    "Борисов", "Васильев", "Виноградов", "Власов", "Волков", "Воробьёв", "Гаврилов", "Герасимов",
    "Голубев", "Григорьев", "Гусев", "Давыдов", "Данилов", "Денисов", "Дмитриев", "Егоров",
    "Ершов", "Ефимов", "Жуков", "Зайцев", "Захаров", "Иванов", "Ильин", "Казаков", "Калинин",
    "Карпов", "Киселёв", "Ковалёв", "Козлов", "Комаров", "Королёв", "Крылов", "Кудрявцев",
    "Кузнецов", "Куликов", "Лебедев", "Макаров", "Максимов", "Мартынов", "Медведев", "Мельников",
    "Миронов", "Морозов", "Назаров", "Никитин", "Новиков", "Орлов", "Осипов", "Павлов", "Петров",
    "Поляков", "Романов", "Савельев", "Семёнов", "Сергеев", "Сидоров", "Смирнов", "Соболев",
    "Соловьёв", "Сорокин", "Степанов", "Сухов", "Тарасов", "Тимофеев", "Тихонов", "Титов",
    "Фёдоров", "Филиппов", "Фролов", "Цветков", "Чернов", "Шестаков", "Щербаков", "Яковлев",
)  # fmt: skip
_MEN: Final = (
    "Александр", "Алексей", "Андрей", "Артём", "Борис", "Вадим", "Василий", "Виктор", "Владимир",
    "Геннадий", "Денис", "Дмитрий", "Евгений", "Иван", "Игорь", "Кирилл", "Константин", "Максим",
    "Михаил", "Николай", "Олег", "Павел", "Пётр", "Роман", "Сергей", "Степан", "Юрий",
)  # fmt: skip
_WOMEN: Final = (
    "Александра", "Алина", "Анастасия", "Анна", "Валентина", "Вера", "Виктория", "Галина", "Дарья",
    "Екатерина", "Елена", "Зинаида", "Ирина", "Ксения", "Лариса", "Людмила", "Марина", "Мария",
    "Надежда", "Наталья", "Нина", "Ольга", "Полина", "Раиса", "Светлана", "Татьяна", "Юлия",
)  # fmt: skip
_FATHERS: Final = (
    "Александров", "Алексеев", "Андреев", "Борисов", "Викторов", "Владимиров", "Дмитриев",
    "Евгеньев", "Иванов", "Игорев", "Константинов", "Леонидов", "Михайлов", "Николаев", "Олегов",
    "Павлов", "Петров", "Романов", "Сергеев", "Степанов", "Фёдоров", "Юрьев",
)  # fmt: skip


def person(rng: np.random.Generator) -> str:
    """Return an invented person: surname, name, patronymic."""
    surname = _SURNAMES[int(rng.integers(len(_SURNAMES)))]
    father = _FATHERS[int(rng.integers(len(_FATHERS)))]
    if rng.random() < 0.6:
        return f"{surname}а {_WOMEN[int(rng.integers(len(_WOMEN)))]} {father}на"
    return f"{surname} {_MEN[int(rng.integers(len(_MEN)))]} {father}ич"


def persons_in(area_dm2: int, rng: np.random.Generator) -> int:
    """Return how many people are registered in a flat of `area_dm2`: one to five."""
    most = 2 if area_dm2 < 38_00 else 4 if area_dm2 < 58_00 else 5
    return 1 + int(rng.integers(most))


def habits_of(persons: int, rng: np.random.Generator, *, night_price: bool) -> Habits:
    """Return how a household of so many people lives: 100 to 450 kWh a month."""
    month_kwh = min(450, max(100, 80 + 55 * persons + int(rng.integers(-30, 91))))
    later = int(rng.integers(-2, 4))
    evening = 95 + int(rng.integers(0, 41))
    night = (130 + int(rng.integers(0, 61))) if night_price else (80 + int(rng.integers(0, 31)))
    empty_weekends = rng.random() < 0.18
    holiday = 120 + int(rng.integers(0, 140)) if rng.random() < 0.55 else 0
    return Habits(
        kind=ProfileKind.HOUSEHOLD,
        month_kwh=month_kwh,
        later_half_hours=later,
        evening_percent=evening,
        night_percent=night,
        empty_weekends=empty_weekends,
        holiday_starts=holiday,
    )
