import ast
import re
from pathlib import Path

import pytest

import invoices
from billing.models import LineKind, LineUnit, Service
from invoices.line_words import SERVICES, UNITS, ZONES
from invoices.page import KINDS, MOVEMENTS
from invoices.statement import MovementKind
from kilokassa.core.text import Language, gettext, ngettext
from kilokassa.core.zones import Zone

FOLDER = Path(invoices.__file__).parent


def messages_of_templates():
    for file in sorted((FOLDER / "templates").glob("*.html")):
        yield from re.findall(r'_\("((?:[^"\\]|\\.)+)"\)', file.read_text(encoding="utf-8"))


def messages_of_code():
    for file in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "mark":
                yield ast.literal_eval(node.args[0])


MESSAGES = sorted({*messages_of_templates(), *messages_of_code()})


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_has_russian_words_with_the_same_places(message):
    russian = gettext(message, Language.RUSSIAN)

    assert russian != message
    assert re.search("[а-яё]", russian, re.IGNORECASE)
    assert sorted(re.findall(r"%\(\w+\)s", russian)) == sorted(re.findall(r"%\(\w+\)s", message))


def test_the_catalogue_holds_no_word_that_nothing_says():
    catalogue = Path(invoices.__file__).parents[1] / "kilokassa" / "locale" / "ru" / "invoices.po"
    said = re.findall(r'^msgid "(.+)"$', catalogue.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(said) - set(MESSAGES) == {"rouble", "kopeck"}


def test_money_has_three_plural_forms():
    forms = [ngettext("rouble", "roubles", count, Language.RUSSIAN) for count in (1, 2, 5)]

    assert forms == ["рубль", "рубля", "рублей"]


def test_every_kind_of_thing_has_a_name():
    assert set(SERVICES) == set(Service)
    assert set(UNITS) == set(LineUnit)
    assert set(MOVEMENTS) == set(MovementKind)
    assert set(ZONES) == {str(zone) for zone in Zone}
    assert set(KINDS) == set(LineKind) - {LineKind.ORIGINAL}
