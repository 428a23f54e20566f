import random
import struct
from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilokassa.core.errors import DomainError
from kilokassa.core.text import Language
from wallet.payments import reading
from wallet.payments.formats import read_payments
from wallet.payments.reading import (
    Control,
    ControlDiffers,
    FileFormat,
    problem_text,
    read_control,
)

TODAY = date(2026, 4, 20)
NONE = ";".join(["НЕТ"] * 12)


def tula(account="1234567890123", total="1500.99", transaction="15042600000000000000000001"):
    return f"{account};{total};{transaction};501;15.04.2026;{NONE}"


def read(text, name="reestr.txt", control=None, encoding="utf-8"):
    return read_payments(text.encode(encoding), name, TODAY, control)


STATEMENT = """1CClientBankExchange
ВерсияФормата=1.03
Кодировка=Windows
РасчСчет=40702810000000000001
СекцияРасчСчет
РасчСчет=40702810000000000001
ВсегоПоступило=1052.98
ВсегоСписано=10.00
КонецРасчСчет
СекцияДокумент=Платежное поручение
Номер=6032
Дата=15.04.2026
Сумма=1052.98
ПлательщикСчет=40817810000000000002
Плательщик1=Иванов Иван Иванович
ПолучательСчет=40702810000000000001
ДатаПоступило=15.04.2026
Код={code}
НазначениеПлатежа={purpose}
КонецДокумента
СекцияДокумент=Платежное поручение
Номер=17
Дата=15.04.2026
Сумма=10.00
ПлательщикСчет=40702810000000000001
ПолучательСчет=40802810000000000009
НазначениеПлатежа=Аренда
КонецДокумента
КонецФайла
"""


def test_a_registry_of_seventeen_fields_is_read_with_its_readings():
    readings = "1;10542;2;3310;" + ";".join(["НЕТ"] * 8)
    file = read(f"1234567890123;1500.99;15042600000000000000000001;501;15.04.2026;{readings}\r\n")

    (row,) = file.payments
    assert file.format is FileFormat.TULA
    assert (row.account_text, row.amount_minor, row.line) == ("1234567890123", 150099, 1)
    assert row.paid_on == date(2026, 4, 15)
    assert [(one.meter, one.value) for one in file.readings] == [("1", "10542"), ("2", "3310")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1251", "koi8-r", "cp866"])
def test_every_encoding_of_the_banks_is_recognized(encoding):
    heading = "лицевой счет;сумма;дата;операция;плательщик;назначение"
    rows = "2799000004;10.00;15.04.2026;a1;Ёлкина Жанна Щорсовна;За свет, ул. Южная, кв. 5"

    file = read(f"{heading}\n{rows}\n", encoding=encoding)

    assert file.payments[0].payer == "Ёлкина Жанна Щорсовна"
    assert read(tula(), encoding=encoding).refused == ()
    text = STATEMENT.format(code="2799000004", purpose="ЛС")
    assert read(text, encoding=encoding).payments[0].payer == "Иванов Иван Иванович"


@pytest.mark.parametrize(
    ("code", "purpose", "account"),
    [
        ("50133547364", "ЛС: 111111111", "50133547364"),
        ("", "ЛС: 50133547364", "50133547364"),
        ("0", "Оплата за свет л/с №2799000004 за май", "2799000004"),
        ("", "лиц.счет 2799000004", "2799000004"),
        ("", "лицевой счёт 2799000004; квартплата", "2799000004"),
        ("", "2799000004 Иванов", "2799000004"),
        ("", "договор 2799000004 от 01.02.2026", "2799000004"),
        ("", "2799000004 и 2799000005", ""),
        ("", "ЛС 2799000004, ЛС 2799000005", ""),
        ("", "за электроэнергию", ""),
    ],
)
def test_the_account_is_found_in_the_code_or_in_the_purpose(code, purpose, account):
    file = read(STATEMENT.format(code=code, purpose=purpose))

    (row,) = file.payments
    assert row.account_text == account
    assert row.transaction_id == "6032/15.04.2026/40817810000000000002"


def test_a_statement_whose_documents_do_not_come_to_what_it_says_is_refused():
    text = STATEMENT.format(code="", purpose="").replace(
        "ВсегоПоступило=1052.98", "ВсегоПоступило=9"
    )

    with pytest.raises(DomainError, match=r"the statement says 9\.00"):
        read(text)


def test_an_agents_registry_has_a_time_and_readings():
    meters = ";".join(["E-1;10.5"] + [";"] * 9)
    file = read(f"tx-1;00;15.04.2026;18:05:59;2799000004;Южная, 5;20,50;{meters}\n")

    (row,) = file.payments
    assert file.format is FileFormat.AGENT
    assert (row.paid_time, row.amount_minor) == (time(18, 5, 59), 2050)
    assert [one.value for one in row.readings] == ["10.5"]


def dbf(rows, page=0xC9, encoding="windows-1251"):
    columns = (("L_SH", 13), ("DATE_PAY", 8), ("SUM", 10), ("ADRESS", 20), ("ELEC_D", 8))
    length = 1 + sum(size for _, size in columns)
    header = 32 + 32 * len(columns) + 1
    made = bytes([3, 126, 4, 15]) + struct.pack("<IHH", len(rows), header, length)
    made = made.ljust(29, b"\0") + bytes([page]) + b"\0\0"
    for name, size in columns:
        made += name.encode().ljust(11, b"\0") + b"C" + b"\0" * 4 + bytes([size]) + b"\0" * 15
    made += b"\r"
    for mark, *cells in rows:
        made += mark
        for text, (_, size) in zip(cells, columns, strict=True):
            made += text.encode(encoding).ljust(size)
    return made + b"\x1a"


def test_a_dbf_is_read_and_what_was_deleted_in_it_is_passed_over():
    rows = [
        (b" ", "2799000004", "20260415", "1500.99", "ул. Южная, 5", "120.5"),
        (b"*", "2799000005", "20260415", "1.00", "", ""),
        (b" ", "wrong", "20261515", "0", "", ""),
    ]
    for page, encoding in ((0xC9, "windows-1251"), (0x65, "cp866"), (0, "cp866")):
        data = dbf(rows, page, encoding)
        file = read_payments(data, "27_40702_1_5_D15042026.dbf", TODAY)

        (row,) = file.payments
        assert (row.account_text, row.amount_minor) == ("2799000004", 150099)
        assert row.purpose == "ул. Южная, 5"
        assert row.transaction_id == "27_40702_1_5_D15042026/1"
        assert [(one.meter, one.value) for one in row.readings] == [("ELEC_D", "120.5")]
        assert [one.line for one in file.refused] == [3]


def test_all_that_is_wrong_with_a_row_is_said_in_one_message_with_its_line():
    file = read(f"{tula()}\nAB;-5;99999900000000000000000001;x;15.04.2026;{NONE}\n")

    (refused,) = file.refused
    assert refused.line == 2
    text = problem_text(refused.problem, Language.ENGLISH)
    for part in ("account «AB»", "sum «-5»", "day of payment «999999»", "payment order «x»"):
        assert part in text


@pytest.mark.parametrize(
    ("day", "taken"), [("15.04.2027", True), ("15.04.2028", False), ("31.12.1999", False)]
)
def test_a_day_before_2000_or_more_than_a_year_ahead_is_refused(day, taken):
    file = read(f"account;sum;date;transaction\n1;1.00;{day};a\n")

    assert (len(file.payments), len(file.refused)) == ((1, 0) if taken else (0, 1))


def test_the_number_of_fields_is_looked_at_first():
    file = read(f"{tula()}\n1;2;3\n")

    assert "3 fields instead of 17" in problem_text(file.refused[0].problem, Language.ENGLISH)


def test_a_file_that_differs_from_its_control_is_refused_whole():
    control = read_control(b"reestr.txt;1;1500.99\n")

    assert read(tula(), control=control).control == control
    for wrong in (Control(2, 150099), Control(1, 150098)):
        with pytest.raises(ControlDiffers):
            read(tula(), control=wrong)
    with pytest.raises(DomainError, match=r"for the file reestr.txt, not for other.txt"):
        read(tula(), name="other.txt", control=control)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        b"hello",
        b"1CClientBankExchange\n",
        "1CClientBankExchange\nСекцияДокумент=a\nСекцияДокумент=b\n".encode(),
        b"a" * 5000 + b";;;;;;;;;;;;;;;;\n",
        bytes([3, 126, 4, 15]) + b"\xff" * 60,
        dbf([(b" ", "1", "20260415", "1.00", "", "")])[:-30],
        b"account;sum;date\n1;1;1\n",
    ],
)
def test_what_is_no_file_of_payments_is_refused_in_one_sentence(data):
    with pytest.raises(DomainError) as refused:
        read_payments(data, "x.txt", TODAY)

    assert len(str(refused.value)) < 300


def test_too_many_rows_and_too_many_wrong_ones_are_refused(monkeypatch):
    monkeypatch.setattr(reading, "MOST_ROWS", 2_000)
    with pytest.raises(DomainError, match="more than 2000 rows"):
        read("\n".join([tula()] * 2_001))
    with pytest.raises(DomainError, match="more than 1000 of its rows"):
        read("\n".join([tula(), *["=1+1;;;"] * 1_001]))


@given(st.binary(max_size=400), st.sampled_from(["", "1CClientBankExchange\n", "\x03\x7e\x04\x0f"]))
@settings(max_examples=200, deadline=None)
def test_no_bytes_end_in_anything_but_rows_or_a_refusal(data, start):
    try:
        file = read_payments(start.encode() + data, "x", TODAY)
    except DomainError:
        return
    assert file.total_minor >= file.refused_minor >= 0


def test_a_damaged_file_never_ends_in_another_sum_unnoticed():
    """Of a file with a control, whatever damage is taken, the total is that of the control."""
    good = "\n".join(
        tula(f"27990000{place:02d}", f"{place}.50", f"150426{place:020d}") for place in range(1, 20)
    ).encode()
    control = Control(19, sum(place * 100 + 50 for place in range(1, 20)))
    draw = random.Random(7)

    for _ in range(300):
        damaged = bytearray(good)
        damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            file = read_payments(bytes(damaged), "x", TODAY, control)
        except DomainError:
            continue
        assert (file.rows, file.total_minor) == (19, control.total_minor)


def test_the_constructed_samples_are_read():
    folder = Path(__file__).parent / "samples"

    registry = read_payments((folder / "registry_17.txt").read_bytes(), "registry_17.txt", TODAY)
    statement = read_payments((folder / "statement.txt").read_bytes(), "statement.txt", TODAY)

    assert (registry.rows, registry.total_minor, registry.refused) == (2, 2320_99, ())
    assert (statement.rows, statement.total_minor) == (1, 1052_98)
    assert statement.payments[0].account_text == "50133547364"
