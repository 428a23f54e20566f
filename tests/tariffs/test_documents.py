import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilokassa.core.errors import Invalid
from kilokassa.core.text import Language, gettext, sentence
from kilokassa.core.zones import Zone
from tariffs.documents import parse_tariff
from tariffs.yaml_fields import LARGEST_BYTES

ROOT = Path(__file__).parents[2]

GOOD = """\
plan: three_zone
name: {ru: Три зоны, en: Three zones}
valid_from: 2022-07-01
currency: RUB
vat: included
zones:
  peak: [07:00-10:00, 17:00-21:00]
  semi_peak: [10:00-17:00, 21:00-23:00]
  night: [23:00-07:00]
prices:
  - from: 2022-07-01
    per_kwh: {peak: 6.11, semi_peak: 5.09, night: 1.67}
  - from: 2022-12-01
    per_kwh: {peak: 7.75, semi_peak: 5.54, night: 2.07}
source: "S1: ДЭК, Хабаровский край"
confidence: high
"""


def test_a_good_document_becomes_a_version():
    version = parse_tariff(GOOD)

    assert version.zones == (Zone.PEAK, Zone.SEMI_PEAK, Zone.NIGHT)
    assert version.rates[1].rates_scaled == ((7_750_000, 5_540_000, 2_070_000),)


def test_comments_and_order_do_not_change_the_digest():
    other = "# a comment\n" + GOOD.replace("currency: RUB\n", "") + "currency: RUB\n"

    assert parse_tariff(other).digest == parse_tariff(GOOD).digest


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("[23:00-07:00]", "[23:00-06:00]", "line 6, zones: no zone holds 06:00 to 07:00"),
        ("[23:00-07:00]", "[23:30-07:00]", "line 6, zones: no zone holds 23:00 to 23:30"),
        ("night: [23:00-", "night: [00:00-", "line 6, zones: no zone holds 23:00 to 24:00"),
        ("07:00-10:00", "07:00-11:00", "line 6, zones: two zones hold 10:00 to 11:00"),
        ("07:00-10:00", "07:00", "line 7, zones.peak.0: '07:00' is no window"),
        ("17:00-21:00", "17:00-17:00", "line 7, zones.peak.1: the window '17:00-17:00' is empty"),
        ("07:00-10:00", "7-10", "line 7, zones.peak.0: '7' is no time of the day"),
        ("07:00-10:00", "07:00-25:00", "line 7, zones.peak.0: '25:00' is no time of the day"),
        ("07:00-10:00, 17:00-21:00", "", "line 7, zones.peak: a zone has 1 to 24 windows"),
        ("night: [", "noon: [", "line 9, zones.noon: a zone is all, peak"),
        ("from: 2022-12-01\n    ", "", "line 13, prices.1.from: the field is missing"),
        ("from: 2022-12-01", "from: 2022-12-32", "line 13, prices.1.from: this is not a date"),
        ("from: 2022-12-01", "from: 2022-07-01", "line 13, prices.1.from: dated prices ascend"),
        ("- from: 2022-07-01", "- from: 2022-08-01", "line 11, prices.0.from: no price holds on"),
        ("6.11", "6.1111111", "line 12, prices.0.per_kwh.peak: a rate has at most six decimals"),
        ("6.11", "-6.11", "line 12, prices.0.per_kwh.peak: '-6.11' is not a rate"),
        ("6.11", "NaN", "'NaN' is not a rate"),
        ("6.11", "1e3", "'1e3' is not a rate"),
        ("6.11", "1_000", "'1_000' is not a rate"),
        ("6.11", "'6,11'", "'6,11' is not a rate"),
        ("6.11", "six", "'six' is not a rate"),
        ("6.11", "", "'' is not a rate"),
        ("6.11", "[6.11]", "['6.11'] is not a rate"),
        ("6.11", "1000001", "1000001 is above any rate"),
        ("peak: 6.11, ", "", "line 12, prices.0.per_kwh: the zones of the day and those of the"),
        ("{peak: 6.11, semi_peak: 5.09, night: 1.67}", "5.09", "line 12, prices.0.per_kwh: this"),
        ("plan: three_zone", "plan: Three", "line 1, plan: a code of a plan"),
        ("currency: RUB", "currency: USD", "line 4, currency: the currency is RUB"),
        ("currency: RUB", "currency: RUB\ncurrency: RUB", "line 5: the key 'currency' comes twice"),
        ("currency: RUB", "colour: red\ncurrency: RUB", "line 4, colour: there is no such field"),
        ("currency: RUB\n", "", "currency: the field is missing"),
        ("source:", "a: &x b\nc: *x\nsource:", "line 16: aliases are not allowed"),
        ("6.11", "!!float 6.11", "line 12: tags are not allowed"),
        ("valid_from:", "<<: {plan: x}\nvalid_from:", "line 3, <<: there is no such field"),
        ("valid_from:", "? [a, b]\n: c\nvalid_from:", "the name of a field is one word"),
        ("confidence: high", f"x: {'[' * 50}{']' * 50}", "line 16: the fields are nested too deep"),
        ("{ru: Три", "[ru: Три", "line 2: this is no YAML"),
        ("confidence: high", "confidence: sure", "line 16, confidence: a confidence is high"),
        ("confidence: high", "ranges: {borders_kwh: [1]}", "line 16, ranges.order: the field is"),
        (
            "confidence: high",
            "ranges: {order: any, borders_kwh: [1]}",
            "line 16, ranges.order: an order is proportional or time",
        ),
        (
            "confidence: high",
            "confidence: high\nranges: {order: time, borders_kwh: [100]}",
            "line 12, prices.0.per_kwh: 2 ranges need as many rows of rates, not 1",
        ),
        (
            "confidence: high",
            "confidence: high\nranges: {order: time, borders_kwh: [100, 100]}",
            "line 17, ranges.borders_kwh.1: borders of ranges ascend",
        ),
        (
            "confidence: high",
            "confidence: high\nranges: {order: time, borders_kwh: [0.5]}",
            "line 17, ranges.borders_kwh.0: '0.5' is no whole number of kWh",
        ),
    ],
)
def test_a_bad_document_is_refused_by_line_and_field(was, becomes, says):
    assert was in GOOD

    with pytest.raises(Invalid) as refusal:
        parse_tariff(GOOD.replace(was, becomes, 1))

    assert says in str(refusal.value)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b\n", "\x00"])
def test_what_is_no_tariff_at_all_is_refused(text):
    with pytest.raises(Invalid):
        parse_tariff(text)


def test_a_huge_document_is_refused_before_it_is_read():
    with pytest.raises(Invalid, match="larger"):
        parse_tariff("#" * (LARGEST_BYTES + 1))


def test_a_ladder_has_a_row_of_rates_for_each_range():
    text = GOOD.split("zones:")[0] + (
        "prices:\n  - from: 2022-07-01\n    per_kwh: ['4.93', '8.27', '9.47']\n"
        "ranges: {order: proportional, borders_kwh: [3900, 6000]}\nsource: S4\nconfidence: medium\n"
    )

    version = parse_tariff(text)

    assert version.range_borders_wh == (3_900_000, 6_000_000)
    assert version.rates[0].rates_scaled == ((4_930_000,), (8_270_000,), (9_470_000,))


def test_a_refusal_speaks_the_language_of_its_reader():
    with pytest.raises(Invalid) as refusal:
        parse_tariff(GOOD.replace("07:00-10:00", "07:00-11:00"), where="tariff")

    assert sentence(refusal.value, Language.RUSSIAN) == (
        "тариф, строка 6, zones: на время с 10:00 до 11:00 приходятся две зоны"
    )


def test_every_refusal_of_tariffs_has_its_russian_words():
    source = "".join(
        file.read_text(encoding="utf-8")
        for file in [*(ROOT / "tariffs").glob("*.py"), ROOT / "kilokassa/app/rate_files.py"]
    )
    marked = re.findall(r'mark\(\s*"([^"]+)"', source)
    templates = re.findall(r'template = (?:\(\s*)?"([^"]+)"', source)

    assert len(marked) > 30
    assert [m for m in [*marked, *templates] if gettext(m, Language.RUSSIAN) == m] == []


def test_a_mark_of_the_byte_order_changes_nothing():
    assert parse_tariff("\ufeff" + GOOD) == parse_tariff(GOOD)


@given(
    place=st.integers(0, len(GOOD)),
    length=st.integers(0, 12),
    junk=st.text(max_size=8) | st.sampled_from(["*a", "&a ", "!!int ", "{", "]", "%s", ": ", "- "]),
)
def test_a_document_with_any_damage_is_read_or_refused(place, length, junk):
    damaged = GOOD[:place] + junk + GOOD[place + length :]

    with suppress(Invalid):
        version = parse_tariff(damaged)
        assert min(rate for d in version.rates for row in d.rates_scaled for rate in row) >= 0


def test_the_documents_of_the_reference_page_are_tariffs():
    page = (ROOT / "docs/reference/tariff-yaml.md").read_text(encoding="utf-8")
    documents = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)

    assert [parse_tariff(text).plan_code for text in documents] == [
        "three_zone",
        "single_ranges",
        "everything",
    ]


def test_the_sentences_of_the_reference_page_are_the_ones_it_promises():
    page = (ROOT / "docs/reference/tariff-yaml.md").read_text(encoding="utf-8")
    faults = [
        ("[23:00-07:00]", "[23:00-06:00]"),
        ("07:00-10:00", "07:00-11:00"),
        ("from: 2022-12-01\n    ", ""),
        ("from: 2022-12-01", "from: 2022-07-01"),
        ("night: [", "noon: ["),
        ("peak: 6.11, ", ""),
        ("6.11", "-6.11"),
        ("6.11", "6.1111111"),
        ("confidence: high", "confidence: high\nranges: {order: time, borders_kwh: [100, 100]}"),
        ("currency: RUB", "colour: red\ncurrency: RUB"),
        ("currency: RUB", "currency: RUB\ncurrency: RUB"),
        ("source:", "a: &x b\nc: *x\nsource:"),
    ]

    for was, becomes in faults:
        with pytest.raises(Invalid) as refusal:
            parse_tariff(GOOD.replace(was, becomes, 1))
        assert f"`{refusal.value}`" in page


def test_a_ladder_beside_zones_that_does_not_say_its_basis_is_refused_as_the_page_says():
    page = (ROOT / "docs/reference/tariff-yaml.md").read_text(encoding="utf-8")
    text = re.sub(r"per_kwh: (\{.*\})", r"per_kwh: [\1, \1]", GOOD)

    with pytest.raises(Invalid) as refusal:
        parse_tariff(text + "ranges: {order: time, borders_kwh: [100]}\n")

    assert f"`{refusal.value}`" in page
    assert parse_tariff(text + "ranges: {basis: zone, order: time, borders_kwh: [100]}\n")
