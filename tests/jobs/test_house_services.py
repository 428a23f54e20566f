"""The commands about services of houses, as a person at a terminal lives them."""

from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples/services"


def test_prices_are_checked_published_listed_and_shown(run, installed):
    file = EXAMPLES / "hot-water.yaml"

    assert run("service", "check", file).out.endswith(
        "is right: service hot_water from 2022-07-01, by meter.\n"
    )
    assert run("service", "publish", file).out == (
        "Published: service hot_water from 2022-07-01.\n"
    )
    assert "nothing changed" in run("service", "publish", file).out
    assert run("service", "list").out == "hot_water  Hot water\n"
    assert "2288.38 / Gcal" in run("service", "show", "hot_water").out
    assert run("service", "show", "hot_water", "--document").out == file.read_text("utf-8")
    assert run("service", "show", "gas").code == 1


def test_a_wrong_document_is_refused_in_one_sentence(run, tmp_path):
    file = tmp_path / "gas.yaml"
    file.write_text("service: gas\n", encoding="utf-8")

    refused = run("service", "check", file)

    assert refused.code == 1
    assert "gas.yaml, line 1, service: a service is cold_water" in refused.err
