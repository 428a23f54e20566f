"""Commands about drafts, differences and pictures of tariffs."""

from xml.etree import ElementTree as ET

import pytest

from tests.frozen_town import tariff_documents


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "three.yaml"
    made.write_text(next(d for d in tariff_documents() if "plan: three_zone\n" in d), "utf-8")
    return made


def test_the_command_line_writes_a_draft_and_cannot_publish_it(installed, file):
    begun = installed("tariff", "draft", "new", file, "--json")
    number = begun.json["id"]
    assert installed("tariff", "draft", "submit", number).code == 0

    refused = installed("tariff", "draft", "publish", number, "--revision", 2)

    assert refused.code == 1
    assert "second person" in refused.err
    (listed,) = installed("tariff", "draft", "list", "--json").json
    assert (listed["state"], listed["authors"]) == ("submitted", ["cli"])
    assert installed("tariff", "list", "--json").json == []
    shown = installed("tariff", "draft", "show", number, "--document")
    assert shown.out == file.read_text("utf-8")


def test_a_draft_is_published_as_it_was_read_or_not_at_all(installed, file):
    number = installed("tariff", "draft", "new", file, "--json").json["id"]
    installed("tariff", "draft", "submit", number)
    assert "revision 2" in installed("tariff", "draft", "show", number).out

    blind = installed("tariff", "draft", "publish", number)
    stale = installed("tariff", "draft", "publish", number, "--revision", 1)

    assert "--revision" in blind.err
    assert "revision 2" in stale.err
    assert installed("tariff", "list", "--json").json == []


def test_a_draft_is_returned_with_a_note(installed, file):
    number = installed("tariff", "draft", "new", file, "--json").json["id"]
    installed("tariff", "draft", "submit", number)

    back = installed("tariff", "draft", "return", number, "--note", "the source?")

    assert back.code == 0
    assert "the source?" in installed("tariff", "draft", "show", number).out
    assert installed("tariff", "draft", "show", 99).code == 1


def test_a_file_is_compared_with_the_published_version(installed, file):
    installed("tariff", "publish", file)
    same = installed("tariff", "diff", file)
    file.write_text(file.read_text("utf-8").replace("7.75", "8.14"), "utf-8")

    changed = installed("tariff", "diff", file)

    assert "Both say the same." in same.out
    assert "7.75 → 8.14  (+5.0 %)" in changed.out
    (one,) = installed("tariff", "diff", file, "--json").json
    assert one["change_ppm"] == 50_322


def test_a_picture_needs_no_database(run, file, tmp_path):
    out = tmp_path / "day.svg"

    ended = run("tariff", "picture", file, "-o", out)

    assert ended.code == 0
    assert ET.fromstring(out.read_text("utf-8")).get("role") == "img"
