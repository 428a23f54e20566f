"""Every sentence of metering exists in Russian, with the same places to fill."""

import ast
import re
from pathlib import Path

import pytest

import kilokassa.app.readings_import
import metering
from kilokassa.core.text import Language, gettext, sentence
from metering.imports import UnreadableFile

FILES = [
    *sorted(Path(metering.__file__).parent.rglob("*.py")),
    Path(kilokassa.app.readings_import.__file__),
]


def marked(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "mark":
            yield ast.literal_eval(node.args[0])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_sentence_has_its_russian_one_with_the_same_places(path):
    for message in marked(path):
        russian = gettext(message, Language.RUSSIAN)

        assert re.search("[а-яё]", russian), message
        assert sorted(re.findall(r"%\(\w+\)s", russian)) == sorted(
            re.findall(r"%\(\w+\)s", message)
        )


def test_a_refused_file_is_explained_in_both_languages():
    refusal = UnreadableFile(line=7, problem="%(text)s is not a number", text="'x'")

    assert sentence(refusal, Language.ENGLISH) == "Line 7: 'x' is not a number"
    assert sentence(refusal, Language.RUSSIAN) == "Строка 7: 'x' — не число"
