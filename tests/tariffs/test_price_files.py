"""Files of prices: what is read, by which clock, and what is refused by its line."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from kilokassa.core.errors import Invalid
from tariffs.prices.files import read_peak_hours, read_prices

KHABAROVSK, BERLIN = ZoneInfo("Asia/Vladivostok"), ZoneInfo("Europe/Berlin")


def numbered(day: str, count: int, lowest: int = 1) -> str:
    return "\n".join(f"{day};{lowest + n};{n + 1},5" for n in range(count))


def read(text: str, zone: ZoneInfo = KHABAROVSK, interval_min: int = 60):
    return read_prices(text.encode(), zone, interval_min, where="prices.csv")


def refusal(text: str, zone: ZoneInfo = KHABAROVSK, interval_min: int = 60) -> str:
    with pytest.raises(Invalid) as caught:
        read(text, zone, interval_min)
    return str(caught.value)


def test_a_day_of_numbered_hours_is_read_with_commas_per_kwh():
    (day,) = read("date;hour;price_per_kwh\n" + numbered("2026-10-01", 24))
    assert day.day == date(2026, 10, 1)
    assert day.prices_scaled.tolist() == [(n + 1) * 1_000_000 + 500_000 for n in range(24)]


def test_hours_may_be_numbered_from_nought_and_lines_stand_in_any_order():
    lines = numbered("01.10.2026", 24, lowest=0).splitlines()
    turned = "\n".join(reversed(lines))
    (day,) = read("Дата;Час;Цена_за_кВтч\n" + turned)
    assert day.prices_scaled[0] == 1_500_000
    assert day.prices_scaled[23] == 24_500_000


def test_a_price_per_mwh_goes_to_millionths_a_kwh_and_may_be_negative():
    hours = "\n".join(f"2026-10-01 {h:02d}:00,{p}" for h, p in enumerate(["-120.005"] + ["1"] * 23))
    (day,) = read("timestamp,price_per_mwh\n" + hours)
    assert day.prices_scaled[:2].tolist() == [-120_005, 1000]


def test_cp1251_a_mark_of_utf8_and_grouped_digits_are_read():
    text = "дата;час;цена_за_мвтч\n" + "\n".join(f"01.10.2026;{n};2 541,37" for n in range(24))
    for encoding in ("cp1251", "utf-8-sig"):
        (day,) = read_prices(text.encode(encoding), KHABAROVSK, 60)
        assert day.prices_scaled[0] == 2_541_370


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-24", 24)]
)
def test_a_day_has_as_many_hours_as_the_clock_gives_it(day, hours):
    (read_day,) = read("date;hour;price_per_kwh\n" + numbered(day, hours), BERLIN)
    assert len(read_day.prices_scaled) == hours
    assert "which has" in refusal("date;hour;price_per_kwh\n" + numbered(day, hours + 1), BERLIN)


def test_by_the_local_clock_the_hour_lived_twice_comes_twice_in_its_order():
    hours = ["00", "01", "02", "02", *[f"{n:02d}" for n in range(3, 24)]]
    text = "date,time,price_per_kwh\n" + "\n".join(
        f"2026-10-25,{hour}:00,{number}" for number, hour in enumerate(hours)
    )
    (day,) = read(text, BERLIN)
    assert day.prices_scaled.tolist() == [n * 1_000_000 for n in range(25)]


def test_an_offset_names_the_instant_whatever_the_clock():
    hours = [f"2026-10-24T{h:02d}:00:00Z" for h in (22, 23)]
    hours += [f"2026-10-25T{h:02d}:00:00+00:00" for h in range(23)]
    text = "start,price_per_kwh\n" + "\n".join(f"{hour},{n}" for n, hour in enumerate(hours))
    (day,) = read(text, BERLIN)
    assert day.day == date(2026, 10, 25)
    assert day.prices_scaled.tolist() == [n * 1_000_000 for n in range(25)]


def test_quarters_of_an_hour_are_read():
    text = "date;hour;price_per_kwh\n" + numbered("2026-10-01", 96)
    (day,) = read(text, interval_min=15)
    assert len(day.prices_scaled) == 96


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: the heading with the names of the columns is missing"),
        ("date;hour;price_per_kwh\n", "the file has no lines"),
        ("date;hour\n1;2", "line 1: one column is price_per_kwh or price_per_mwh"),
        ("date;hour;price_per_kwh;price_per_mwh\n1;2;3;4", "line 1: one column is price_per_kwh"),
        ("date;price_per_kwh\n2026-10-01;2", "line 1: a column is start, or two are date"),
        ("date;hour;hour;price_per_kwh\n1;1;1;1", "line 1: two columns say the same"),
        ("start;date;price_per_kwh\n1;1;1", "line 1: a file has start, or date with time or hour"),
        ("date;hour;price_per_kwh\n2026-10-01;1", "line 2: there are 2 values, and 3 columns"),
        ("date;hour;price_per_kwh\n2026-02-30;1;2", "line 2: '2026-02-30' is not a day such as"),
        ("date;hour;price_per_kwh\n1026-10-01;1;2", "line 2: 1026-10-01 is too far from today"),
        ("date;hour;price_per_kwh\n2026-10-01;25;2", "line 2: '25' is not an interval of 2026"),
        ("date;hour;price_per_kwh\n2026-10-01;١;2", "line 2: '١' is not an interval of 2026-10-01"),
        ("date;time;price_per_kwh\n2026-10-01;24:00;2", "line 2: '24:00' is not a time such as"),
        ("start;price_per_kwh\n2026-10-01;2", "line 2: '2026-10-01' is not a time such as"),
        ("start;price_per_kwh\n2026-10-01T00:10;2", "line 2: its time is not on the grid of 60"),
        ("date;hour;price_per_kwh\n2026-10-01;1;NaN", "line 2: 'NaN' is not a price such as"),
        ("date;hour;price_per_kwh\n2026-10-01;1;1e3", "line 2: '1e3' is not a price such as"),
        ("date;hour;price_per_kwh\n2026-10-01;1;", "line 2: '' is not a price such as"),
        (
            "date;hour;price_per_kwh\n2026-10-01;1;1.1234567",
            "line 2: a price has at most 6 decimals here, and 1.1234567 has more",
        ),
        (
            "date;hour;price_per_mwh\n2026-10-01;1;1,1234",
            "line 2: a price has at most 3 decimals here, and 1,1234 has more",
        ),
        ("date;hour;price_per_kwh\n2026-10-01;1;999999999", "line 2: a price of 999999999 is abo"),
        (
            "date;hour;price_per_kwh\n2026-10-01;1;2\n2026-10-01;1;3",
            "line 3: its time is that of line 2 too",
        ),
        ('date;hour;price_per_kwh\n"2026-10-01;1;2', "line 2: its quotation marks do not match"),
        (
            "date;hour;price_per_kwh\n2026-10-01;1;2\n2026-10-01;3;2",
            "prices.csv: 2026-10-01 is not whole: 22 of 24 prices lack, first that of 01:00",
        ),
        ("a\0b", "this is no text"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(text, sentence):
    found = refusal(text)
    assert found.startswith("prices.csv")
    assert sentence in found


def test_a_time_that_the_clock_skips_is_refused():
    text = "date;time;price_per_kwh\n2026-03-29;02:00;1"
    assert refusal(text, BERLIN) == (
        "prices.csv, line 2: 2026-03-29 02:00 does not exist in Europe/Berlin: the clock skips it"
    )


def test_a_file_too_large_is_refused_before_it_is_read():
    assert "larger than" in refusal("x" * (8 * 1024 * 1024 + 1))


def test_peak_hours_are_instants_and_come_once():
    text = "date;hour\n2026-10-01;10\n2026-10-02;19\n"
    hours = read_peak_hours(text.encode(), KHABAROVSK)
    assert hours == (
        datetime(2026, 9, 30, 23, tzinfo=UTC),
        datetime(2026, 10, 2, 8, tzinfo=UTC),
    )
    with pytest.raises(Invalid, match="line 3: its time is that of line 2 too"):
        read_peak_hours(b"date;hour\n2026-10-01;10\n2026-10-01;10\n", KHABAROVSK)
