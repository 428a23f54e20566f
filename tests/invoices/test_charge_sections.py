"""How lines beside energy are printed: by service, in their own units, with VAT."""

from io import BytesIO

import pytest
from pypdf import PdfReader

from billing.charges import NewLine
from billing.models import LineUnit, Service
from invoices import render
from invoices.line_words import label_of, share_of
from invoices.page import document_page
from invoices.payment_document import PaymentDocument
from kilokassa.core.money import half_up_ratio
from kilokassa.core.text import Language
from tariffs.lines import ChargeKind
from tests.invoices import samples

EN, RU = Language.ENGLISH, Language.RUSSIAN
SAMPLES = {"digital": samples.digital(), "shop": samples.shop(), "house": samples.house()}


def rows_of(document, language=EN):
    page = document_page(document, language)
    return {row.label: row for section in page.charges for row in section.rows}


@pytest.mark.parametrize("document", SAMPLES.values(), ids=SAMPLES)
def test_a_document_with_every_kind_of_line_is_read_back_as_it_was(document):
    assert PaymentDocument.from_snapshot(document.to_snapshot(), document.number) == document


def test_documents_of_energy_and_heat_stand_as_they_always_did():
    page = document_page(samples.debtor(), RU)

    (section,) = page.charges
    assert (section.title, page.sectioned) == ("", False)
    assert [row.label for row in section.rows][:2] == [
        "Электроэнергия, пиковая зона",
        "Электроэнергия, полупиковая зона",
    ]
    assert not {"code", "share"} & set().union(*samples.debtor().to_snapshot()["lines"])


def test_services_stand_in_sections_with_a_total_where_there_are_several_lines():
    page = document_page(samples.house(), EN)

    assert [(section.title, section.total) for section in page.charges if section.title] == [
        ("Electricity", "1,571.42"),
        ("Hot water", "587.76"),
        ("Upkeep of the house", "1,713.56"),
    ]
    alone = [section.rows[0].label for section in page.charges if not section.title]
    assert alone == ["Heating", "Common areas: electricity", "Cold water", "Drainage"]


@pytest.mark.parametrize(
    ("document", "label", "quantity", "unit", "rate", "amount"),
    [
        ("shop", "Energy by the hour", "8,412.5", "kWh", "", "31,407.18"),
        ("shop", "Capacity", "7", "kW", "812.50", "5,687.50"),
        ("shop", "Metering service", "1", "month", "450.00", "450.00"),
        ("shop", "Given to the network", "−40", "kWh", "3.00", "−120.00"),
        ("shop", "VAT", "37,424.68", "₽", "22 %", "8,233.43"),
        ("house", "Cold water", "5.25", "m³", "38.12", "200.13"),
        ("house", "Hot water: its heat", "0.1841", "Gcal", "2,288.38", "421.29"),
        ("house", "Temperature of hot water", "596.71", "₽", "1.5 %", "−8.95"),
        ("house", "Upkeep of the house", "54.3", "m²", "27.35", "1,485.11"),
        ("house", "Waste", "3", "persons", "112.40", "228.45"),
        ("digital", "Discount of the digital tariff", "−1,571.42", "₽", "3 %", "−47.14"),
        ("digital", "Guarantee: never dearer than “Single rate”", "", "", "", "−123.45"),
    ],
)
def test_each_kind_of_line_has_its_quantity_unit_and_rate(
    document, label, quantity, unit, rate, amount
):
    row = rows_of(SAMPLES[document])[label]

    assert (row.quantity, row.unit, row.rate, row.amount) == (quantity, unit, rate, amount)


def test_a_part_of_a_month_and_a_mean_price_are_told_beside_the_line():
    assert rows_of(samples.house())["Waste"].detail == "× 21/31 of the month"
    hourly = rows_of(samples.shop())["Energy by the hour"]
    assert hourly.detail == "each hour at its own price, on average ₽3.73"


def test_vat_on_top_is_the_vat_of_its_lines_and_the_rest_contains_its_own():
    shop = samples.shop()

    assert shop.vat_on_top
    assert shop.vat_minor == 8_233_43
    house = samples.house()
    assert not house.vat_on_top
    assert house.vat_minor == half_up_ratio(house.total_minor * 22, 122)


def test_alternatives_say_how_much_more_or_less_each_would_have_cost():
    rows = document_page(samples.digital(), EN).alternatives

    assert [(row.plan, row.note, row.cost, row.difference) for row in rows] == [
        ("Digital", "your plan", "1,571.43", ""),
        ("Single rate", "your plan never costs more than this", "1,447.98", "−123.45"),
        ("Two zones", "", "1,602.10", "+30.67"),
    ]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("document", SAMPLES.values(), ids=SAMPLES)
def test_such_a_document_takes_two_pages_at_most(document, language):
    snapshot = document.to_snapshot() | {"number": document.number, "digest": "5a" * 32}
    pages = PdfReader(BytesIO(render.render_payment_document(snapshot, language))).pages

    assert len(pages) <= 2


@pytest.mark.parametrize(
    ("unit", "factor", "divisor", "share"),
    [
        (LineUnit.WH, 1, 10_000_000, (1, 1)),
        (LineUnit.WH, 0, 10_000_000, (1, 1)),
        (LineUnit.DAY, 1, 10_000 * 31, (1, 31)),
        (LineUnit.DM2, 15, 10_000 * 100 * 31, (15, 31)),
        (LineUnit.W, 31, 10_000 * 1000 * 31, (1, 1)),
        (LineUnit.PERSON, 15, 10_000 * 30, (1, 2)),
        (LineUnit.MINOR, -1, 1_000_000, (1, 1)),
        (LineUnit.MINOR, 1, 0, (1, 1)),
    ],
)
def test_the_share_of_a_line_follows_from_its_factor_and_divisor(unit, factor, divisor, share):
    start = samples.OCTOBER.first_day
    line = NewLine(
        Service.ELECTRICITY,
        "fixed:x/-/2026-10-01",
        1,
        1,
        1,
        start,
        start,
        "",
        unit=unit,
        factor=factor,
        divisor=divisor,
    )

    assert share_of(line) == share


def test_a_line_without_a_name_is_called_by_its_kind():
    for charge in ChargeKind:
        told = label_of(charge, name="", zone="", range_number=0, language=RU)
        assert bool(told) == (charge not in (ChargeKind.ENERGY, ChargeKind.SERVICE))
