"""Whatever people read exists in Russian, or this test names it."""

import ast
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import jinja2.ext
import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
CODE = ("kilokassa", "metering", "tariffs", "wallet", "heating", "notices", "billing", "invoices")
MARKING = {"gettext", "mark", "_"}
CATALOGUES = sorted((ROOT / "kilokassa" / "locale" / "ru").glob("*.po"))
PLACES = re.compile(r"%\(\w+\)s|%%|%\(\w+\)[^s]")


def test_every_message_of_the_code_has_a_russian_form():
    known = _catalogue()

    missing = sorted({f"{where}: {text!r}" for text, where in _messages() if text not in known})

    assert not missing, "add to kilokassa/locale/ru/*.po:\n" + "\n".join(missing)


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: file.name)
def test_a_russian_form_fills_in_nothing_that_the_message_does_not_have(file: Path):
    wrong = []
    for message in read_po(BytesIO(file.read_bytes()), locale="ru"):
        texts = message.id if isinstance(message.id, tuple) else (message.id,)
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        places = {place for text in texts for place in PLACES.findall(text)}
        wrong += [text for text in forms if message.id and not set(PLACES.findall(text)) <= places]

    assert wrong == []


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: file.name)
def test_no_russian_form_is_empty_or_fuzzy(file: Path):
    messages = [m for m in read_po(BytesIO(file.read_bytes()), locale="ru") if m.id]

    forms = [form for m in messages for form in (m.string if m.pluralizable else (m.string,))]
    assert all(forms)
    assert not [m.id for m in messages if m.fuzzy]
    assert not [m.id for m in messages if m.pluralizable and len(m.string) != 3]


def _catalogue() -> set[str]:
    found: set[str] = set()
    for file in CATALOGUES:
        for message in read_po(BytesIO(file.read_bytes()), locale="ru"):
            found.add(message.id[0] if isinstance(message.id, tuple) else message.id)
    return found


def _messages() -> Iterator[tuple[str, str]]:
    """Yield every message for people with the place it stands in."""
    for package in CODE:
        for file in sorted((ROOT / package).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(file.read_text())):
                for text, line in _of_node(node):
                    if re.search(r"[A-Za-z]", re.sub(PLACES, "", text)):
                        yield text, f"{name}:{line}"
        for file in sorted((ROOT / package).rglob("*.html")):
            name = file.relative_to(ROOT).as_posix()
            with file.open("rb") as handle:
                options = {"silent": "false", "trimmed": "true"}
                for line, _, message, _ in jinja2.ext.babel_extract(
                    handle, ["_", "gettext", "ngettext"], [], options
                ):
                    text = message[0] if isinstance(message, tuple) else message
                    if text:
                        yield text, f"{name}:{line}"


def _of_node(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Call):
        called = node.func
        name = getattr(called, "id", getattr(called, "attr", ""))
        if name in MARKING | {"ngettext"} and node.args:
            yield from _literal(node.args[0])
        if name.endswith(("Invalid", "Fault", "RefusedLine", "UnreadableFile")):
            for keyword in node.keywords:
                if keyword.arg == "problem":
                    yield from _literal(keyword.value)
    elif isinstance(node, ast.ClassDef):
        for statement in node.body:
            if (
                isinstance(statement, ast.Assign)
                and getattr(statement.targets[0], "id", "") == "template"
            ):
                yield from _literal(statement.value)


def _literal(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value, node.lineno
    elif isinstance(node, ast.IfExp):
        yield from _literal(node.body)
        yield from _literal(node.orelse)
