from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import zxingcpp
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from invoices.payment_qr import (
    RECOMMENDED_BYTES,
    SEPARATORS,
    Payment,
    payment_payload,
    qr_png,
    read_payment,
)
from kilokassa.core.errors import Invalid
from tests.invoices.samples import OCTOBER, PAYER, RETAILER


def payment(**fields):
    values = {
        "payee": RETAILER,
        "account_number": PAYER.account_number,
        "purpose": "Энергоснабжение, л/с 270104000147, октябрь 2026, документ 2026-000147",
        "sum_minor": 4_795_26,
        "month": OCTOBER,
        "payer_address": "г. Хабаровск, ул. Героев Амурской флотилии, д. 128, кв. 147",
    }
    return Payment(**(values | fields))


def test_the_five_mandatory_fields_come_first_and_in_their_order():
    text = payment_payload(payment()).decode("windows-1251")

    names = [pair.partition("=")[0] for pair in text.split("|")]
    assert names[:6] == ["ST00011", "Name", "PersonalAcc", "BankName", "BIC", "CorrespAcc"]


def test_the_sum_is_whole_kopecks_and_the_period_is_month_and_year():
    fields = read_payment(payment_payload(payment()))

    assert fields["Sum"] == "479526"
    assert fields["PaymPeriod"] == "102026"
    assert fields["PersAcc"] == "270104000147"


def test_a_top_up_asks_for_no_sum_and_names_no_period():
    fields = read_payment(payment_payload(payment(sum_minor=None, month=None)))

    assert "Sum" not in fields
    assert "PaymPeriod" not in fields


def test_a_character_beyond_windows_1251_makes_it_utf_8():
    payload = payment_payload(payment(purpose="Оплата в ₽"))

    assert payload.startswith(b"ST00012|")
    assert read_payment(payload)["Purpose"] == "Оплата в ₽"


def test_a_value_that_holds_the_separator_brings_another_one():
    payee = replace(RETAILER, name="АО «Свет|Тепло»")

    payload = payment_payload(payment(payee=payee))

    assert payload.startswith(b"ST00011~Name=")
    assert read_payment(payload)["Name"] == "АО «Свет|Тепло»"


def test_purpose_and_address_give_way_before_anything_else():
    long = payment(purpose="Оплата " * 30, payer_address="ул. Длинная, " * 20)

    payload = payment_payload(long)

    fields = read_payment(payload)
    assert len(payload) <= RECOMMENDED_BYTES
    assert fields["Purpose"].startswith("Оплата Оплата")
    assert fields["PersAcc"] == long.account_number
    assert fields["Name"] == RETAILER.name
    assert fields["Sum"] == "479526"


def test_requisites_that_alone_are_too_long_are_kept_whole():
    payee = replace(RETAILER, name="Ы" * 160, bank_name="₽" + "Б" * 44)

    payload = payment_payload(payment(payee=payee))

    fields = read_payment(payload)
    assert fields["Name"] == "Ы" * 160
    assert fields["PersAcc"] == PAYER.account_number
    assert fields["Purpose"] == "Энергоснабжение, л/с 270104000"
    assert "PayerAddress" not in fields


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("bic", "04081399", "BIC"),
        ("bank_account", "4070281000000000000А", "PersonalAcc"),
        ("correspondent_account", "", "CorrespAcc"),
        ("name", "", "Name"),
    ],
)
def test_requisites_that_no_bank_would_take_are_refused_by_name(field, value, named):
    with pytest.raises(Invalid, match=named):
        payment_payload(payment(payee=replace(RETAILER, **{field: value})))


def test_a_text_that_holds_every_separator_is_refused():
    with pytest.raises(Invalid, match="every separator"):
        payment_payload(payment(purpose="".join(SEPARATORS)))


@pytest.mark.parametrize("sum_minor", [0, -1])
def test_a_code_never_asks_for_nothing(sum_minor):
    with pytest.raises(ValueError, match="positive"):
        payment_payload(payment(sum_minor=sum_minor))


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=60)


@given(name=TEXT, purpose=TEXT, address=TEXT, account=st.from_regex(r"[0-9]{1,20}", fullmatch=True))
def test_what_is_written_is_read_back(name, purpose, address, account):
    # Text that holds every separator is refused by name, which another test says.
    assume(not all(separator in name + purpose + address for separator in SEPARATORS))
    order = payment(
        payee=replace(RETAILER, name=name),
        purpose=purpose,
        payer_address=address,
        account_number=account,
    )

    fields = read_payment(payment_payload(order))

    assert fields["Name"] == name
    assert fields["PersAcc"] == account
    assert purpose.startswith(fields.get("Purpose", ""))
    assert address.startswith(fields.get("PayerAddress", ""))


def test_the_code_is_read_back_byte_for_byte():
    payload = payment_payload(payment())

    image = np.array(Image.open(BytesIO(qr_png(payload))).convert("L"))

    assert [found.bytes for found in zxingcpp.read_barcodes(image)] == [payload]
