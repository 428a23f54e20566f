"""What becomes of a photograph that somebody sends."""

from io import BytesIO

import pytest
from PIL import Image

from metering.by_hand.photos import SIDE_MAX, THUMBNAIL_SIDE, UnreadablePhoto, remade, thumbnail

ORIENTATION, MAKE = 0x0112, 0x010F


def picture(kind: str = "JPEG", size: tuple[int, int] = (900, 600), **more) -> bytes:
    made = BytesIO()
    Image.new(more.pop("mode", "RGB"), size, more.pop("colour", "navy")).save(made, kind, **more)
    return made.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_kind_that_is_taken_becomes_a_jpeg(kind):
    kept = remade(picture(kind))

    assert opened(kept.content).format == "JPEG"
    assert kept.media_type == "image/jpeg"
    assert opened(kept.content).size == (900, 600)


def test_metadata_stays_out_and_the_picture_is_turned_upright():
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Telephone of Ivan"

    kept = remade(picture(exif=exif, comment=b"at home"))

    assert opened(kept.content).size == (600, 900)
    assert not opened(kept.content).getexif()
    assert b"Ivan" not in kept.content
    assert b"at home" not in kept.content


def test_a_large_picture_is_made_smaller_and_keeps_its_shape():
    kept = remade(picture(size=(4000, 3000)))

    assert opened(kept.content).size == (SIDE_MAX, SIDE_MAX * 3 // 4)
    assert max(opened(thumbnail(kept.content)).size) == THUMBNAIL_SIDE


def test_what_was_transparent_becomes_white():
    kept = remade(picture("PNG", mode="RGBA", colour=(0, 0, 0, 0)))

    assert opened(kept.content).getpixel((5, 5)) == (255, 255, 255)


def test_the_same_file_gives_the_same_picture():
    sent = picture()

    assert remade(sent).digest == remade(sent).digest


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        picture("GIF"),
        picture("BMP"),
        picture()[:700],
        b"\xff" * (8 * 1024 * 1024 + 1),
    ],
    ids=["empty", "svg", "pdf", "gif", "bmp", "cut off", "too large"],
)
def test_what_is_no_photograph_is_refused(sent):
    with pytest.raises(UnreadablePhoto):
        remade(sent)


def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = picture("PNG", (20_000, 9_000), mode="1", colour=0)
    assert len(bomb) < 100_000

    with pytest.raises(UnreadablePhoto):
        remade(bomb)
