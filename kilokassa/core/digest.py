"""Digests of values, so that what was computed from what can be proved later."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def canonical_json(value: Mapping[str, Any]) -> str:
    """Return `value` as JSON that is the same for equal values: sorted keys, no spaces.

    Floats are refused: nothing exact may pass through one. They are looked for in the text, since
    reading it back in C takes a quarter of the time that walking the value in Python does.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    _FLOAT_FINDER.decode(text)
    return text


def digest_text(text: str) -> str:
    """Return the SHA-256 of `text` in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest_value(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of `value`."""
    return digest_text(canonical_json(value))


def digest_parts(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of byte strings, each preceded by its length, so that none can shift."""
    running = hashlib.sha256()
    for part in parts:
        running.update(len(part).to_bytes(8, "big"))
        running.update(part)
    return running.hexdigest()


def _refuse_float(text: str) -> None:
    raise TypeError(f"a float may not enter a digest: {text}")


_FLOAT_FINDER = json.JSONDecoder(parse_float=_refuse_float, parse_constant=_refuse_float)
