"""Photographs of meters: whatever was sent becomes a plain JPEG, without its metadata."""

import warnings
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from kilokassa.core.errors import DomainError
from kilokassa.core.text import mark

FORMATS: Final = ("JPEG", "PNG", "WEBP")
SENT_BYTES_MAX: Final = 8 * 1024 * 1024
PIXELS_MAX: Final = 50_000_000
"""More than any telephone takes: a file that unpacks into more is a bomb."""

SIDE_MAX: Final = 1600
"""Pixels of the longer side that is kept: a dial is read from it with ease."""

THUMBNAIL_SIDE: Final = 160
QUALITY: Final = 82
TRAILER_MAX: Final = 64 * 1024
"""Some telephones write so much behind the picture."""

MEDIA_TYPE: Final = "image/jpeg"


class UnreadablePhoto(DomainError):
    """A file that is no picture we take."""

    code = "unreadable_photo"
    template = mark("The file is no photograph in JPEG, PNG or WebP of at most 8 MB.")


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph as it is kept."""

    content: bytes
    media_type: str = MEDIA_TYPE

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return sha256(self.content).hexdigest()


def remade(sent: bytes) -> Photo:
    """Return what was sent as a JPEG of our own making, upright and no larger than needed.

    Only the pixels are taken over: place, time and make of the telephone, and anything that hides
    behind a picture, stay out. The same bytes always give the same picture.
    """
    if not 0 < len(sent) <= SENT_BYTES_MAX or _is_cut_off(sent):
        raise UnreadablePhoto
    return Photo(_jpeg(sent, SIDE_MAX))


_ENDS: Final = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND"}
"""How a file of a kind begins, and what stands near its end."""


def _is_cut_off(sent: bytes) -> bool:
    """Say whether the end of a file is missing.

    Pillow would say so itself, if no other library of the same process had told it to go on.
    """
    for begin, end in _ENDS.items():
        if sent.startswith(begin):
            return end not in sent[-TRAILER_MAX:]
    if sent.startswith(b"RIFF"):
        return int.from_bytes(sent[4:8], "little") + 8 > len(sent)
    return False


def thumbnail(content: bytes) -> bytes:
    """Return a small JPEG of a photograph that is kept."""
    return _jpeg(content, THUMBNAIL_SIDE)


def _jpeg(content: bytes, side: int) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(BytesIO(content), formats=FORMATS)
        # The size is told by the header: nothing has been unpacked yet.
        if picture.width * picture.height > PIXELS_MAX or 0 in picture.size:
            raise UnreadablePhoto
        picture.draft("RGB", (side, side))
        upright = ImageOps.exif_transpose(picture)
        upright.thumbnail((side, side))
        made = BytesIO()
        _flat(upright).save(made, "JPEG", quality=QUALITY, optimize=True)
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
    ) as error:
        raise UnreadablePhoto from error
    return made.getvalue()


def _flat(picture: Image.Image) -> Image.Image:
    """Return the picture in plain colours; what was transparent becomes white."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        plain = picture.convert("RGB")
    else:
        plain = Image.new("RGB", picture.size, "white")
        with_alpha = picture.convert("RGBA")
        plain.paste(with_alpha, mask=with_alpha.getchannel("A"))
    # A new picture has none of the old one's information: `save` would write its comments along.
    bare = Image.new("RGB", plain.size)
    bare.paste(plain)
    return bare
