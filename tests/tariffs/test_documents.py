import pytest

from kilokassa.core.errors import Invalid
from kilokassa.core.zones import Zone
from tariffs.documents import LARGEST_BYTES, parse_tariff

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
        ("[23:00-07:00]", "[23:00-06:00]", "no zone holds 06:00 to 07:00"),
        ("07:00-10:00", "07:00-11:00", "two zones hold 10:00 to 11:00"),
        ("07:00-10:00", "07:00", "no window such as"),
        ("07:00-10:00", "7-10", "no time of the day"),
        ("07:00-10:00", "07:00-25:00", "no time of the day"),
        ("from: 2022-12-01\n    ", "", "prices.1.from"),
        ("from: 2022-12-01", "from: 2022-07-01", "dated rates ascend"),
        ("- from: 2022-07-01", "- from: 2022-08-01", "no rate holds on 2022-07-01"),
        ("6.11", "6.1111111", "at most six decimals"),
        ("6.11", "-6.11", "is not a rate"),
        ("6.11", "NaN", "is not a rate"),
        ("6.11", "six", "is not a number"),
        ("peak: 6.11, ", "", "differ in: peak"),
        ("night: [", "noon: [", "zones"),
        ("currency: RUB", "currency: USD", "currency"),
        ("currency: RUB", "currency: RUB\ncurrency: RUB", "line 5: the key 'currency' comes twice"),
        ("currency: RUB", "colour: red\ncurrency: RUB", "colour"),
        ("source:", "a: &x b\nc: *x\nsource:", "line 16: aliases are not allowed"),
        ("{ru: Три", "[ru: Три", "line 2"),
        ("confidence: high", "confidence: sure", "confidence"),
        ("confidence: high", "ranges: {borders_kwh: [100]}", "ranges.order"),
        (
            "confidence: high",
            "confidence: high\nranges: {order: time, borders_kwh: [100]}",
            "2 ranges need 2 rows",
        ),
    ],
)
def test_a_bad_document_is_refused_by_line_or_field(was, becomes, says):
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
