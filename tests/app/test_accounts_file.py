import ast
import contextlib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Measurement, Settlement
from kilokassa.app import accounts_file, accounts_import
from kilokassa.app.accounts_file import (
    COLUMNS,
    ControlTotalsDiffer,
    parse_accounts,
)
from kilokassa.app.clerk_files import RefusedLine, decode_text
from kilokassa.core.errors import DomainError, Invalid
from kilokassa.core.text import Language, gettext, sentence
from kilokassa.core.zones import Zone
from metering.registry.places import Commodity

HEADING = (
    "account;payer;building;address;premises;area_m2;persons;commodity;point;meter_serial;"
    "interval;plan;settlement;opened_on;opening_debt;opening_advance;reading_at;readings"
)
LINE = {
    "account": "2799000001",
    "payer": "Авдеев Пётр Ильич",
    "building": "KHB-A",
    "address": "ул. Опытная, д. 1",
    "premises": "1",
    "area_m2": "31,2",
    "persons": "2",
    "commodity": "",
    "point": "KHB-A-1",
    "meter_serial": "E-1",
    "interval": "30",
    "plan": "two_zone",
    "settlement": "postpaid",
    "opened_on": "2026-11-01",
    "opening_debt": "",
    "opening_advance": "",
    "reading_at": "",
    "readings": "",
}


def line(**changes: str) -> str:
    return ";".join((LINE | changes).values())


def parse(*lines: str, heading: str = HEADING, encoding: str = "utf-8"):
    data = "\n".join((heading, *lines)).encode(encoding)
    return parse_accounts(data, default_zone="Asia/Vladivostok", default_language="ru")


def test_a_line_becomes_an_account_with_its_place():
    (account,) = parse(
        line(
            interval="registers",
            opening_debt="1250,40",
            reading_at="2026-10-24T12:00",
            readings="day=6000.5|ночь=4000",
        )
    ).accounts

    assert account.number == "2799000001"
    assert account.measurement is Measurement.REGISTERS
    assert account.settlement is Settlement.POSTPAID
    assert account.opened_on == date(2026, 11, 1)
    assert (account.opening_debt_minor, account.opening_advance_minor) == (1250_40, 0)
    assert account.place.area_dm2 == 31_20
    assert account.place.zone == "Asia/Vladivostok"
    assert account.place.readings is not None
    assert account.place.readings.taken_at == datetime(2026, 10, 24, 2, tzinfo=UTC)
    assert dict(account.place.readings.values) == {Zone.DAY: 6_000_500, Zone.NIGHT: 4_000_000}


def test_a_date_alone_means_its_first_midnight():
    (account,) = parse(line(reading_at="01.11.2026", readings="all=10000")).accounts

    assert account.place.readings is not None
    assert account.place.readings.taken_at == datetime(2026, 10, 31, 14, tzinfo=UTC)


def test_a_line_without_account_and_premises_is_a_house_heat_meter():
    found = parse(
        line(),
        line(
            account="",
            payer="",
            premises="",
            area_m2="",
            persons="",
            commodity="heat",
            point="KHB-A-HEAT",
            interval="registers",
            plan="",
            settlement="",
            reading_at="2026-11-01",
            readings="all=1200.000001",
        ),
    )

    (meter,) = found.house_meters
    assert found.refused == ()
    assert meter.commodity is Commodity.HEAT
    assert meter.readings is not None
    assert meter.readings.values == ((Zone.ALL, 1_200_000_001),)


def test_windows_1251_with_russian_headings_and_commas_is_read_too():
    heading = ",".join(COLUMNS[name] for name in HEADING.split(";"))

    found = parse(line(area_m2="31.2").replace(";", ","), heading=heading, encoding="cp1251")

    # The address holds a comma, so its line has one field more and is refused by name.
    assert [refused.values["field"] for refused in found.refused] == ["#"]


def test_windows_1251_keeps_names():
    (account,) = parse(line(), encoding="cp1251").accounts

    assert account.payer_name == "Авдеев Пётр Ильич"


@pytest.mark.parametrize("encoding", ["koi8-r", "cp866", "utf-16", "utf-16-le"])
def test_another_encoding_is_refused_whole(encoding):
    with pytest.raises(Invalid, match=r"neither in UTF-8 nor in windows-1251"):
        parse(line(), line(account="2", point="b", payer="Бородина Анна"), encoding=encoding)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account": "счёт 1"}, "account"),
        ({"payer": ""}, "payer"),
        ({"area_m2": "0"}, "area_m2"),
        ({"area_m2": "31.234"}, "area_m2"),
        ({"area_m2": "-5"}, "area_m2"),
        ({"persons": "two"}, "persons"),
        ({"interval": "7"}, "interval"),
        ({"interval": "registers"}, "readings"),
        ({"interval": "registers", "settlement": "prepaid"}, "settlement"),
        ({"settlement": "sometimes"}, "settlement"),
        ({"plan": ""}, "plan"),
        ({"opened_on": "2026-02-30"}, "opened_on"),
        ({"opened_on": "20261101"}, "opened_on"),
        ({"opening_debt": "-1"}, "opening_debt"),
        ({"opening_debt": "10.005"}, "opening_debt"),
        ({"opening_debt": "1", "opening_advance": "1"}, "opening_advance"),
        ({"reading_at": "2026-11-01"}, "readings"),
        ({"readings": "all=1"}, "reading_at"),
        ({"reading_at": "2026-11-01", "readings": "evening=1"}, "readings"),
        ({"reading_at": "2026-11-01", "readings": "day=1|day=2"}, "readings"),
        ({"reading_at": "2026-11-01", "readings": "all=1|day=2"}, "readings"),
        ({"reading_at": "2026-11-01", "readings": "all=1.0001"}, "readings"),
        ({"reading_at": "2026-11-01", "readings": "all=1234567"}, "readings"),
        ({"reading_at": "2026-11-01T12:00+03:00", "readings": "all=1"}, "reading_at"),
        ({"commodity": "heat"}, "commodity"),
        ({"meter_serial": "ab\x07"}, "meter_serial"),
    ],
)
def test_a_bad_field_is_refused_by_its_line_and_name(changes, field):
    found = parse(line(account="1", point="other"), line(**changes))

    (refused,) = found.refused
    assert (refused.values["line"], refused.values["field"]) == (3, field)
    assert str(refused).startswith(f"Line 3, field {field}: ")


def test_every_bad_line_is_named_at_once():
    found = parse(line(persons="x"), line(account="2", point="b", area_m2=""), line(account="3"))

    assert [refused.values["line"] for refused in found.refused] == [2, 3]
    assert [account.number for account in found.accounts] == ["3"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"point": "b"}, "account"),
        ({"account": "2"}, "point"),
        ({"account": "2", "point": "b", "address": "elsewhere"}, "address"),
        ({"account": "2", "point": "b", "area_m2": "40"}, "area_m2"),
    ],
)
def test_lines_that_contradict_each_other_are_refused(changes, field):
    found = parse(line(), line(**changes))

    (refused,) = found.refused
    assert refused.values["field"] == field
    assert "line 2" in str(refused)


def test_a_refusal_speaks_russian_too():
    (refused,) = parse(line(persons="x")).refused

    assert sentence(refused, Language.RUSSIAN).startswith("Строка 2, поле persons: ")


def test_the_control_line_must_agree():
    lines = (line(opening_debt="10.50"), line(account="2", point="b", opening_advance="3"))

    found = parse(*lines, "#TOTAL;2;10.50;3")

    assert found.totals_stated
    assert (found.totals.count, found.totals.debt_minor, found.totals.advance_minor) == (
        2,
        1050,
        300,
    )


@pytest.mark.parametrize("control", ["#TOTAL;1;10.50;3", "#TOTAL;2;10.51;3", "#TOTAL;2;10.50;0"])
def test_a_control_line_that_differs_refuses_the_file(control):
    lines = (line(opening_debt="10.50"), line(account="2", point="b", opening_advance="3"))

    with pytest.raises(ControlTotalsDiffer, match="nothing was loaded"):
        parse(*lines, control)


@pytest.mark.parametrize(
    ("lines", "heading", "said"),
    [
        ((), "", "empty"),
        ((line(),), HEADING.replace("plan;", ""), "lacks the columns plan"),
        ((line(),), HEADING + ";colour", "no column 'colour'"),
        ((line(),), HEADING + ";plan", "the column plan comes twice"),
        ((line(), "#TOTAL;1;0;0", line(account="2")), HEADING, "line 4 follows the control line"),
        ((line(), "#TOTAL;1"), HEADING, "line 3 is no control line"),
        ((line(payer='"open'),), HEADING, "cannot be read"),
    ],
)
def test_a_file_that_is_no_accounts_file_is_refused_whole(lines, heading, said):
    with pytest.raises(Invalid, match=said):
        parse(*lines, heading=heading)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_but_never_break(data):
    with contextlib.suppress(DomainError):
        parse_accounts(data, default_zone="UTC", default_language="ru")


@given(st.lists(st.text(max_size=12), min_size=len(LINE), max_size=len(LINE)))
def test_any_line_is_read_or_refused_but_never_breaks(cells):
    text = ";".join(cell.replace(";", " ").replace('"', " ") for cell in cells)
    try:
        found = parse(" ".join(text.splitlines()))
    except DomainError:
        return

    assert all(isinstance(refused, RefusedLine) for refused in found.refused)


def test_ukrainian_letters_in_few_names_do_not_make_a_file_foreign():
    text = "Іваненко Ї. и ещё много обычных русских слов в том же файле, чтобы доля была мала" * 3

    assert decode_text(text.encode("cp1251"), "accounts file") == text


@pytest.mark.parametrize("module", [accounts_file, accounts_import])
def test_every_refusal_has_its_russian_words(module):
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    messages = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "mark":
            messages.add(ast.literal_eval(node.args[0]))
        elif isinstance(node, ast.keyword) and node.arg == "problem":
            if isinstance(node.value, ast.Constant):
                messages.add(node.value.value)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "template":
            messages.add(ast.literal_eval(node.value))

    untranslated = {m for m in messages if gettext(m, Language.RUSSIAN) == m}

    assert messages
    assert untranslated == set()
