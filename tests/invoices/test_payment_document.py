import json
from dataclasses import replace

import pytest

from invoices.payment_document import PaymentDocument
from invoices.receipt import MoneyReceipt
from kilokassa.core.digest import canonical_json
from tests.invoices import samples

DOCUMENTS = {
    "debtor": samples.debtor(),
    "prepaid": samples.prepaid(demo=True),
    "long": samples.long_document(),
    "nothing": samples.document((), meters=(), history=(), plan_name="", plan_name_en=""),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_snapshot_gives_back_the_document(document):
    text = canonical_json(document.to_snapshot())

    again = PaymentDocument.from_snapshot(json.loads(text), number=document.number)

    assert again == document
    assert again.digest == document.digest


def test_the_number_is_no_part_of_the_snapshot():
    document = samples.debtor()

    assert document.numbered("2026-000999").to_snapshot() == document.to_snapshot()


def test_documents_of_one_retailer_do_not_share_what_they_write_by_accident():
    first = samples.debtor().to_snapshot()

    assert samples.prepaid().to_snapshot()["retailer"] == first["retailer"]
    assert "address" in first["retailer"]


def test_lines_that_do_not_come_to_what_was_charged_are_refused():
    document = samples.debtor()

    with pytest.raises(ValueError, match="270104000147"):
        replace(document, lines=document.lines[1:])


def test_only_a_debt_is_asked_for():
    assert samples.debtor().to_pay_minor == 4_795_26
    assert samples.prepaid().to_pay_minor == 0


@pytest.mark.parametrize(
    ("opening", "paid", "to_pay"),
    [
        (0, 0, 1_571_42),
        (-100_00, 0, 1_671_42),
        (0, 1_571_42, 0),
        (0, 1_571_41, 1),
        (2_000_00, 0, 0),
    ],
)
def test_what_is_to_pay_is_the_charge_and_the_old_debt_less_what_came(opening, paid, to_pay):
    payments = ((paid, None),) if paid else ()

    document = samples.document(opening=opening, paid=payments)

    assert document.total_minor == 1_571_42
    assert document.to_pay_minor == to_pay


@pytest.mark.parametrize(("percent", "vat"), [(22, 283_37), (20, 261_90)])
def test_the_vat_within_the_total_is_rounded_half_up(percent, vat):
    assert samples.document(vat_percent=percent).vat_minor == vat


def test_a_receipt_of_money_survives_its_snapshot():
    receipt = samples.receipt(demo=True)

    text = canonical_json(receipt.to_snapshot())

    assert MoneyReceipt.from_snapshot(json.loads(text), number=receipt.number) == receipt


@pytest.mark.parametrize("amount", [0, -1])
def test_a_receipt_for_no_money_cannot_be_built(amount):
    with pytest.raises(ValueError, match="money that came"):
        samples.receipt(amount_minor=amount)
