import pickle
import re
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader

from invoices import render
from invoices.numbering import DocumentKind
from invoices.page import payment_of
from invoices.payment_qr import payment_payload
from kilokassa.core.text import Language
from tests.invoices import samples

DOCUMENTS = {"debtor": samples.debtor(), "prepaid": samples.prepaid(demo=True)}


def shown(document):
    return document.to_snapshot() | {"number": document.number, "digest": "5a" * 32}


def text_of(pdf):
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_the_code_on_the_printed_page_is_the_payment_string(document, language, tmp_path):
    rasterise = shutil.which("pdftoppm")
    if rasterise is None:
        pytest.skip("pdftoppm (poppler-utils) is not installed")
    file = tmp_path / "document.pdf"

    file.write_bytes(render.render_payment_document(shown(document), language))
    picture = tmp_path / "page"
    command = [rasterise, "-r", "150", "-gray", "-f", "1", "-l", "1", "-singlefile"]
    subprocess.run([*command, str(file), str(picture)], check=True)

    image = np.array(Image.open(picture.with_suffix(".pgm")))
    found = zxingcpp.read_barcodes(image)
    assert [code.bytes for code in found] == [payment_payload(payment_of(document))]


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_the_code_within_the_file_is_the_payment_string(document):
    pdf = render.render_payment_document(shown(document), Language.RUSSIAN)

    (picture,) = PdfReader(BytesIO(pdf)).pages[0].images
    image = np.array(Image.open(BytesIO(picture.data)).convert("L"))
    found = zxingcpp.read_barcodes(image)
    assert [code.bytes for code in found] == [payment_payload(payment_of(document))]


def test_the_same_snapshot_gives_the_same_bytes():
    document = shown(samples.debtor())

    first = render.render_payment_document(document, Language.RUSSIAN)
    render.render_receipt(shown(samples.receipt()), Language.RUSSIAN)

    assert render.render_payment_document(document, Language.RUSSIAN) == first


def test_a_debt_is_asked_for_in_figures_and_words():
    pdf = render.render_payment_document(shown(samples.debtor()), Language.RUSSIAN)

    text = text_of(pdf)
    assert "Платёжный документ 2026-000147" in text
    assert "4 795,26 ₽" in text
    assert "Четыре тысячи семьсот девяносто пять рублей 26 копеек" in text
    assert "К оплате до 15.11.2026" in text
    assert "в том числе НДС 22 % 707,22" in text
    assert "август 2026: сторно −88 кВт·ч 5,54 −487,52" in text
    assert "Отопление" in text
    assert "ДЕМО" not in text


def test_an_advance_is_said_and_nothing_is_asked_for():
    pdf = render.render_payment_document(shown(samples.prepaid(demo=True)), Language.ENGLISH)

    text = text_of(pdf)
    assert "Nothing to pay: the advance at the end of the month is ₽2,280.85" in text
    assert "₽75.00 of bonus is to be spent before 30 Nov 2026." in text
    assert "DEMO" in text


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_an_ordinary_document_is_one_page_of_a4(document, language):
    pages = PdfReader(BytesIO(render.render_payment_document(shown(document), language))).pages

    assert len(pages) == 1
    assert [round(float(side) * 25.4 / 72) for side in pages[0].mediabox[2:]] == [210, 297]


def test_a_long_document_goes_on_and_draws_its_chart_once():
    pdf = render.render_payment_document(shown(samples.long_document()), Language.ENGLISH)

    assert len(PdfReader(BytesIO(pdf)).pages) == 2
    assert text_of(pdf).count("Electricity by month") == 1


def test_only_the_two_faces_of_our_own_font_are_in_the_file():
    pdf = render.render_payment_document(shown(samples.debtor()), Language.RUSSIAN)

    fonts = PdfReader(BytesIO(pdf)).pages[0]["/Resources"]["/Font"]
    names = {font.get_object()["/BaseFont"].partition("+")[2] for font in fonts.values()}
    assert names == {"PT-Sans", "PT-Sans-Bold"}


def test_what_people_are_called_cannot_write_the_page():
    payer = replace(samples.PAYER, name='<img src="file:///etc/passwd"><b>Боб</b> & {{ page }}')
    document = samples.debtor(payer=payer)

    text = text_of(render.render_payment_document(shown(document), Language.RUSSIAN))

    assert "<b>Боб</b> & {{ page }}" in text


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        f"file://{Path(render.__file__)}",
        "https://example.org/a.png",
        "data:text/html,x",
        f"file://{render.FOLDER}/templates/../render.py",
    ],
)
def test_the_page_reaches_nothing_but_its_own_files(url):
    with pytest.raises(ValueError, match="own files"):
        render._engine().fetcher.fetch(url)


@pytest.mark.parametrize("language", Language)
def test_a_receipt_of_money_says_that_it_is_no_fiscal_one(language):
    pdf = render.render_document(DocumentKind.RECEIPT, shown(samples.receipt()), language)

    text = text_of(pdf)
    said = {
        Language.RUSSIAN: "Это не кассовый чек.",
        Language.ENGLISH: "This is not a fiscal receipt.",
    }
    assert said[language] in text
    assert "R-2026-000031" in text
    assert "19.10.2026 13:15" in text or "19 Oct 2026, 13:15" in text


def test_a_file_says_what_it_was_made_from_and_by_what():
    document = shown(samples.debtor())

    pdf = render.render_payment_document(document, Language.RUSSIAN)

    stamp = render.content_stamp(document, Language.RUSSIAN).encode()
    assert stamp in pdf[-2048:]
    assert stamp not in render.render_payment_document(document, Language.ENGLISH)
    assert re.match(r"weasyprint \d+", render.renderer_version())


def test_a_missing_library_is_one_sentence_with_the_command():
    refusal = render.RenderingLibrariesMissing(command=render.INSTALL_COMMAND)

    again = pickle.loads(pickle.dumps(refusal))

    assert again.code == "rendering_libraries_missing"
    assert str(again).endswith(
        "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
    )
