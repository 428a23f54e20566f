"""Sharing a whole number so that the parts sum back to it."""

from collections.abc import Sequence


def apportion(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Share `total` in proportion to `weights`; the parts always sum back to `total`.

    Largest remainder: each part is rounded down, and what is left goes, one unit each, to the
    largest remainders; among equal remainders the earlier part is served first. Callers who need
    independence of order sort by a stable key first.

    >>> apportion(100, [1, 1, 1])
    (34, 33, 33)
    >>> apportion(-5, [1, 3])
    (-1, -4)
    """
    if not weights or min(weights) < 0 or sum(weights) == 0:
        raise ValueError(f"weights must be non-negative and not all zero: {weights!r}")
    if total < 0:
        return tuple(-share for share in apportion(-total, weights))
    whole = sum(weights)
    shares = [divmod(total * weight, whole) for weight in weights]
    left_over = total - sum(quotient for quotient, _ in shares)
    by_remainder = sorted(range(len(shares)), key=lambda index: -shares[index][1])
    topped_up = set(by_remainder[:left_over])
    return tuple(quotient + (index in topped_up) for index, (quotient, _) in enumerate(shares))
