"""What a charge line keeps in its detail is told in the order in which it was computed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from billing.charges import NewLine, UsedEstimate, estimates_detail
from billing.explanation.details import HOUSE_WORKINGS, ORIGIN, OWN_WORKINGS, WAY, steps_of_detail
from billing.explanation.wording import NAMES, step_said
from billing.models import LineUnit, Service
from kilokassa.core.digest import canonical_json
from kilokassa.core.text import Language
from metering.estimation.methods import EstimationMethod
from tariffs.lines import ChargeKind

ZONE = ZoneInfo("Asia/Vladivostok")
START = datetime(2022, 11, 30, 14, tzinfo=UTC)
END = datetime(2022, 12, 31, 14, tzinfo=UTC)


def line(detail, **more):
    fields = {
        "service": Service.COMMON_ELECTRICITY,
        "key": "service:common/-/2022-12-01",
        "quantity": 4_289,
        "rate_scaled": 5_090_000,
        "amount_minor": 21_83,
        "period_start": START,
        "period_end": END,
        "input_digest": "d",
        "charge": ChargeKind.SERVICE,
        "unit": LineUnit.WH,
        "detail": detail if isinstance(detail, str) else canonical_json(detail),
    }
    return NewLine(**(fields | more))


def said(detail, **more):
    steps = steps_of_detail(line(detail, **more))
    told = [step_said(step, Language.ENGLISH, ZONE) for step in steps]
    return [(one.text, one.value.replace("\u00a0", " ")) for one in told]


def test_a_share_of_the_common_area_is_told_from_the_house_to_the_flat():
    service = {
        "method": "actual",
        "settled_by": "norm",
        "house_wh": 19_056_023,
        "flats_wh": 18_236_762,
        "actual_wh": 819_261,
        "carried_in_wh": 0,
        "charged_wh": 275_840,
        "carried_out_wh": 0,
        "norm_wh": 275_840,
        "area_dm2": 5856,
        "house_area_dm2": 376_658,
        "share_wh": 4_289,
        "source": "S1",
        "confidence": "memory",
    }

    assert said({"service": service}) == [
        ("Way of charging", "by the actual volume"),
        ("The month was settled by", "by the norm"),
        ("The house's meters took", "19,056.023 kWh"),
        ("Flats and other premises used", "18,236.762 kWh"),
        ("Left for the common property", "819.261 kWh"),
        ("Norm of the common property", "275.840 kWh"),
        ("Shared over the house", "275.840 kWh"),
        ("Area of all premises of the house", "3,766.58 m²"),
        ("Area of this premises", "58.56 m²"),
        ("Share of this premises, by area", "4.289 kWh"),
        ("Source", "S1"),
        ("Confidence", "from memory, not checked"),
    ]


def test_what_was_carried_over_below_zero_is_told():
    told = said({"service": {"carried_in_wh": -2_500, "carried_out_wh": -1_000}})

    assert told == [
        ("Carried over from months before", "−2.500 kWh"),
        ("Carried over to months to come", "−1.000 kWh"),
    ]


def test_a_deduction_is_told_by_the_hours_beyond_what_is_allowed():
    deduction = {
        "records": [7],
        "item": "9",
        "lasted_min": 1800,
        "counted_min": 360,
        "step_min": 60,
        "an_hour_ppm": 1500,
        "share_ppm": 9000,
        "charged_minor": 1_000_00,
        "source": "ПП 354",
        "confidence": "high",
    }

    assert said({"deduction": deduction}) == [
        ("Item of the rules", "9"),
        ("The service fell short for", "30 h 0 min"),
        ("Of it beyond what is allowed", "6 h 0 min"),
        ("Counted by", "1 h 0 min"),
        ("Taken off for each hour", "0.15 %"),
        ("Taken off together", "0.9 %"),
        ("Charged for the service in the month", "₽1,000.00"),
        ("Source", "ПП 354"),
        ("Confidence", "checked"),
    ]


def test_all_ways_of_estimating_stand_in_one_step():
    used = [UsedEstimate(EstimationMethod.INTERPOLATION), UsedEstimate(EstimationMethod.LIKE_DAY)]

    told = said(estimates_detail(used), estimated=2_707)

    assert told == [
        (
            "Of it not measured: interpolated between known readings; as on like days",
            "2.707 kWh",
        )
    ]


def test_a_line_without_a_detail_tells_nothing():
    assert said("") == []


def test_everything_a_detail_may_tell_has_a_name():
    assert {*HOUSE_WORKINGS, *OWN_WORKINGS, *WAY, *ORIGIN} <= set(NAMES)
