"""The document of the difference: old lines beside new, and the difference of each."""

import json
from dataclasses import replace
from datetime import date

import pytest

from billing.models import CorrectionReason, LineKind, Service
from invoices.numbering import DocumentKind
from invoices.payment_document import DocumentLine, Payer, Requisites
from invoices.recalculation import (
    REASONS,
    DifferenceRow,
    MonthDifference,
    RecalculationDocument,
    paired,
)
from invoices.recalculation_page import recalculation_page
from invoices.render import render_document
from kilokassa.core.calendar import Month
from kilokassa.core.text import Language

JANUARY = Month(2026, 1)


def line(amount_minor, *, kind=LineKind.CORRECTION, zone="day", **more):
    return DocumentLine(
        service=Service.ELECTRICITY,
        quantity=more.pop("quantity", amount_minor),
        rate_scaled=more.pop("rate_scaled", 5_000_000),
        amount_minor=amount_minor,
        zone=zone,
        kind=kind,
        month=JANUARY,
        reason=CorrectionReason.TARIFF,
        **more,
    )


def document(*months):
    return RecalculationDocument(
        retailer=Requisites("Энергосбыт", "1", "", "БАНК", "2", "3", "4", phone="+7 000"),
        payer=Payer("Иванова Анна", "ул. Опытная, 1, кв. 1", "100"),
        issued_on=date(2026, 4, 8),
        shown_in=Month(2026, 4),
        months=months,
        number="D-2026-000001",
    )


def month(*rows, number=1):
    return MonthDifference(Month(2026, number), CorrectionReason.TARIFF, rows, "a" * 64, "b" * 64)


def test_what_is_taken_back_stands_beside_what_takes_its_place():
    (row,) = paired([("day/-/x", line(-500, kind=LineKind.REVERSAL)), ("day/-/x", line(600))])

    assert (row.before.amount_minor, row.after.amount_minor) == (500, 600)
    assert row.difference_minor == 100


def test_the_same_days_at_another_price_are_one_row():
    rows = paired(
        [
            ("day/-/2025-07-01", line(-500, kind=LineKind.REVERSAL)),
            ("night/-/2025-07-01", line(-100, kind=LineKind.REVERSAL, zone="night")),
            ("day/-/2026-01-01", line(600)),
            ("night/-/2026-01-01", line(90, zone="night")),
        ]
    )

    assert [(r.before.amount_minor, r.after.amount_minor) for r in rows] == [(500, 600), (100, 90)]


def test_lines_that_only_came_or_went_stand_alone():
    rows = paired(
        [("day/-/x", line(-500, kind=LineKind.REVERSAL)), ("night/-/x", line(7, zone="night"))]
    )

    assert [r.difference_minor for r in rows] == [-500, 7]
    assert (rows[0].after, rows[1].before) == (None, None)


def test_months_come_to_the_difference_of_the_document():
    shown = document(
        month(DifferenceRow(line(500), line(600))),
        month(DifferenceRow(line(900), None), number=2),
    )

    assert shown.difference_minor == -800
    page = recalculation_page(shown, Language.ENGLISH)
    assert (page.outcome, page.amount) == ("Given back to the account", "₽8.00")
    assert [one.difference for one in page.months] == ["1.00", "−9.00"]


def test_a_snapshot_is_read_back_whole():
    shown = document(month(DifferenceRow(line(500), line(600)), DifferenceRow(None, line(1))))

    kept = json.loads(json.dumps(shown.to_snapshot()))

    assert RecalculationDocument.from_snapshot(kept, shown.number) == shown
    assert replace(shown, number="").digest == shown.digest


def test_a_document_about_nothing_is_refused():
    with pytest.raises(ValueError, match="about a month"):
        document()
    with pytest.raises(ValueError, match="something"):
        DifferenceRow(None, None)


def test_every_reason_has_words():
    assert set(REASONS) == set(CorrectionReason)


@pytest.mark.parametrize("language", list(Language))
def test_the_same_document_is_the_same_file(language):
    shown = document(month(DifferenceRow(line(500), line(600))))
    snapshot = shown.to_snapshot() | {"number": shown.number, "digest": "d" * 64}

    pdf = render_document(DocumentKind.RECALCULATION, snapshot, language)

    assert pdf.startswith(b"%PDF")
    assert pdf == render_document(DocumentKind.RECALCULATION, snapshot, language)
