from datetime import UTC, datetime

from kilokassa.core.period import Period
from kilokassa.core.text import Language, gettext, number_text
from metering.findings.finding import Finding, FindingKind

HALF_HOUR = Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 1, 0, 30, tzinfo=UTC))


def test_numbers_of_a_finding_are_written_as_the_reader_writes_them():
    found = Finding(FindingKind.SPIKE, "P-1", 1, HALF_HOUR, {"value": "1234.5", "usual": "0.738"})

    russian = found.sentence(
        lambda message: gettext(message, Language.RUSSIAN),
        lambda value: number_text(value, Language.RUSSIAN),
    )

    assert "1\u00a0234,5 кВт·ч" in russian
    assert "0,738 кВт·ч" in russian


def test_a_serial_number_that_looks_like_a_number_stays_as_it_is():
    detail = {"meter": "45.10", "register": "10.5", "intervals": "12"}
    found = Finding(FindingKind.REGISTER_DIFFERS, "P-1", 1, HALF_HOUR, detail)

    russian = found.sentence(str, lambda value: number_text(value, Language.RUSSIAN))

    assert "meter 45.10:" in russian
    assert "10,5 kWh" in russian
