"""The payment string against strings that the world wrote.

Source: open-condo-software/condo, `receiptQRCodeUtils.spec.js` (MIT), there marked as got from a
real code (S19); field order and lengths from the tables of ГОСТ Р 56042-2014 as two open libraries
hold them (S20: if0ne/gost-56042-rs, aserdobintsev/GOST56042); the trailing separator from S21.
"""

import pytest

from invoices.payment_document import Requisites
from invoices.payment_qr import NotAPaymentString, Payment, payment_payload, read_payment
from kilokassa.core.calendar import Month

REAL = (
    "ST00011|Name=ООО «УК ЭкоГрад»|PersonalAcc=40902830202010056769|BankName=ПАО СБЕРБАНК"
    "|BIC=048073601|CorrespAcc=30102110300320000206|PayeeINN=0524967340|persAcc=5018435412"
    "|payerAddress=ул.Ивана Спатара, д.14, кв.32|lastName=Иванов|firstName=Иван"
    "|middleName=Иванович|Sum=12351"
)
CONSTRUCTED = (
    "ST00012|Name=ООО Энергосбыт|PersonalAcc=40702810000000000001|BankName=БАНК ТЕСТ"
    "|BIC=044525999|CorrespAcc=30101810845250000999|Sum=150099|PayeeINN=7700000000"
    "|PersAcc=1234567890|PaymPeriod=042026|CounterId=1|CounterVal=10542"
)


@pytest.mark.parametrize("encoding", ["windows-1251", "utf-8"])
def test_a_real_string_is_read_in_the_encoding_it_names_and_in_the_one_it_lies_about(encoding):
    fields = read_payment(REAL.encode(encoding))

    assert fields["Name"] == "ООО «УК ЭкоГрад»"
    assert fields["Sum"] == "12351"
    assert fields["PersAcc"] == "5018435412"
    assert fields["LastName"] == "Иванов"
    assert fields["PayerAddress"] == "ул.Ивана Спатара, д.14, кв.32"


def test_a_string_in_utf_8_is_read_with_a_trailing_separator():
    fields = read_payment((CONSTRUCTED + "|").encode())

    assert fields["BankName"] == "БАНК ТЕСТ"
    assert fields["PaymPeriod"] == "042026"
    assert fields["CounterVal"] == "10542"


def test_a_string_of_another_version_is_refused():
    with pytest.raises(NotAPaymentString):
        read_payment(b"ST0012|field1=Hello|Field2=world")


def test_the_requisites_of_the_real_string_are_written_as_it_writes_them():
    payee = Requisites(
        name="ООО «УК ЭкоГрад»",
        inn="0524967340",
        kpp="",
        bank_name="ПАО СБЕРБАНК",
        bic="048073601",
        bank_account="40902830202010056769",
        correspondent_account="30102110300320000206",
    )
    payment = Payment(
        payee, "5018435412", "", 12351, Month(2026, 4), "ул.Ивана Спатара, д.14, кв.32"
    )

    payload = payment_payload(payment)

    assert payload.decode("windows-1251") == (
        "ST00011|Name=ООО «УК ЭкоГрад»|PersonalAcc=40902830202010056769|BankName=ПАО СБЕРБАНК"
        "|BIC=048073601|CorrespAcc=30102110300320000206|Sum=12351|PayeeINN=0524967340"
        "|PayerAddress=ул.Ивана Спатара, д.14, кв.32|PersAcc=5018435412|PaymPeriod=042026"
    )
    assert (
        read_payment(REAL.encode("windows-1251")).items()
        >= {
            name: value for name, value in read_payment(payload).items() if name != "PaymPeriod"
        }.items()
    )
