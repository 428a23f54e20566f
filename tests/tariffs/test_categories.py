"""Whom a plan is for, and whether it may still be chosen."""

from pathlib import Path

import pytest

from tariffs.documents import parse_tariff
from tariffs.yaml_fields import BadDocument

EXAMPLE = Path("examples/tariffs/khabarovsk-two-zone.yaml").read_text(encoding="utf-8")


def test_a_plan_says_whom_it_is_for_and_whether_it_may_be_chosen():
    version = parse_tariff(EXAMPLE + "category: urban_gas\nopen: no\n")

    assert (version.category, version.open) == ("urban_gas", False)


def test_a_plan_that_says_neither_is_as_it_was():
    plain = parse_tariff(EXAMPLE)

    assert (plain.category, plain.open) == ("", True)
    assert parse_tariff(EXAMPLE + "open: yes\n").digest == plain.digest
    assert parse_tariff(EXAMPLE + "open: no\n").digest != plain.digest


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("category: Город", "category: a category has small Latin letters"),
        ("open: maybe", "open: a plan is open: yes or no"),
    ],
)
def test_a_wrong_category_is_refused_at_its_line(field, sentence):
    with pytest.raises(BadDocument, match=sentence):
        parse_tariff(f"{EXAMPLE}{field}\n")
