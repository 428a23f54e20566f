"""Energy as it was measured, out of energy with the losses of a channel added."""

from typing import Any

import numpy as np
import numpy.typing as npt

from metering.registry.places import PPM

Int64 = npt.NDArray[np.int64]


def measured(with_losses: Int64, loss_ppm: npt.NDArray[np.integer[Any]] | int) -> Int64:
    """Return the energy to which `loss_ppm` millionths were added, rounding down.

    That rounding loses nothing: of all whole m there is one with ⌊m · (1 + l)⌋ = s, and it is
    ⌈s / (1 + l)⌉ = s - ⌊s · l / (1 + l)⌋. The product is taken in two parts, to fit into 64 bits.

    >>> measured(np.array([1_050_000, 0, 1]), 50_000).tolist()
    [1000000, 0, 1]
    """
    whole, rest = np.divmod(with_losses, PPM + loss_ppm)
    lost: Int64 = whole * loss_ppm + rest * loss_ppm // (PPM + loss_ppm)
    return with_losses - lost
