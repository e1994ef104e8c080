"""Where in the picture a taught value's score comes from: the influence of each position.

The score of a value is a weighing of pooled features. Pooling gives every position of a layer's
map the same weight; the influence of a position is how fast the score grows with that weight.
Pure functions of arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gingham.attributes.fitted_voters import MultiVoter, SingleVoter
from gingham.attributes.space import Floats, Space, signed_root
from gingham.backbones.descriptors import foreground_weights
from gingham.backbones.table import FOREGROUND
from gingham.errors import InputError, ShapeError
from gingham.names import did_you_mean

FLAT = 1e-6
"""A channel whose deviation is less is the same everywhere, and tells nothing of where."""


@dataclass(frozen=True)
class Direction:
    """The score of one value: points of the joined space @ `weights` + `offset`.

    Attributes
    ----------
    weights : (width,) float64
    offset : of kind `single` 0, the mean of all examples; of kind `multi` such that the score is
        the log-odds of the value's calibrated probability
    """

    weights: Floats
    offset: float


def value_direction(voter: SingleVoter | MultiVoter, value: str) -> Direction:
    """Return the direction in which a picture looks more like a value.

    Of kind `single`, in the space in which the examples vote, from the mean of the other values'
    means to the value's own, in units of the spread within a value; of kind `multi`, the value's
    own discriminant.

    Parameters
    ----------
    voter : what answers for the attribute.
    value : one of its classes.

    Raises
    ------
    InputError
        If it has no such value.
    """
    names = [str(name) for name in voter.classes]
    if value not in names:
        raise InputError(
            f"unknown value {value!r}; known: {', '.join(names)}{did_you_mean(value, names)}"
        )
    number = names.index(value)
    look = voter.projection.look
    if isinstance(voter, MultiVoter):
        slope, offset = voter.calibration[number]
        return Direction(slope * look[:, number], float(slope * voter.means[number] + offset))
    means = np.stack(
        [
            voter.example_looks[voter.example_labels == label].mean(axis=0)
            for label in range(len(names))
        ]
    )
    apart = means[number] - np.delete(means, number, axis=0).mean(axis=0)
    length = float(np.linalg.norm(apart))
    # Values whose examples are all alike have no direction between them, and no map either.
    return Direction(look @ (apart / length if length > 0 else apart), 0.0)


def position_influence(
    space: Space,
    maps: Mapping[str, NDArray[np.floating]],
    directions: Sequence[Direction],
) -> tuple[Floats, dict[str, Floats]]:
    """Return each value's score, and how much each position of each layer adds to it.

    Weigh the positions of a layer by q, with mean 1, instead of evenly: the pooled mean of a
    channel becomes m = mean(q a), its deviation sqrt(mean(q (a - m)^2)). The influence of a
    position is the derivative of the score by its q, times the number of positions. A layer
    pooled over its foreground has weights f of its own, with mean 1; there it is q f. With x the
    layer's pooled features, u = x / |x|, w the value's weights of this layer times its scale, and
    g = (w - (w . u) u) / |x|, it is

        f times the sum over channels of
        g_mean (a - mean)  +  g_std ((a - mean)^2 - std^2) / (2 std)

    Where the space takes the signed root of a layer's features, x is those roots, and g is divided
    by twice their size.

    It is exact for the score as it is, the unit length and the deviation included. So, for any
    region, weighing it by 1 + e changes the score by e times the sum of its influences over the
    number of positions, up to e squared; and over the whole map influences add up to zero: evidence
    for the value at some places balances evidence against it at others.

    Parameters
    ----------
    space : the layers and how they are joined.
    maps : hidden layer -> (C, H, W) activations of one picture.
    directions : of V values.

    Returns
    -------
    (V,) float64 scores, and layer -> (V, H, W) float64 influences, in units of the score.

    Raises
    ------
    ShapeError
        If a layer's map has another number of channels than it was taught with.

    References
    ----------
    Hampel, *The influence curve and its role in robust estimation* (1974), for the derivative by
    the weight of one observation. Zhou et al., *Learning Deep Features for Discriminative
    Localization* (2016), eq. 1 and 2, map a linear layer over average-pooled channels likewise;
    the deviations and the unit length are ours.
    """
    scores = np.array([direction.offset for direction in directions])
    weighed = space.by_block(np.stack([direction.weights for direction in directions], axis=1))
    influences: dict[str, Floats] = {}
    for (layer, first, end), (scale, mean, columns) in weighed.items():
        weights = scale * columns.T
        channels = (end - first) // 2
        plain = layer.removesuffix(FOREGROUND)
        activations = maps[plain]
        if activations.ndim != 3 or activations.shape[0] != channels:
            raise ShapeError(
                f"the map of {layer}", expected=f"({channels}, H, W)", got=activations.shape
            )
        centred = activations.reshape(channels, -1).astype(np.float64)
        positions = centred.shape[1]
        share = np.full(positions, 1 / positions)
        if plain != layer:
            share = foreground_weights(activations[None]).ravel().astype(np.float64)
            share /= share.sum()
        average = centred @ share
        centred -= average[:, None]
        squares = centred**2
        variance = squares @ share
        deviation = np.sqrt(variance)
        pooled = np.concatenate([average, deviation])
        rooted = layer in space.rooted
        values = signed_root(pooled) if rooted else pooled
        length = float(np.linalg.norm(values)) or 1.0
        unit = values / length
        along = weights @ unit
        scores += along - weights @ mean
        slope = (weights - along[:, None] * unit) / length
        if rooted:
            # The slope of a root is endless at nought, where the channel has nothing to show.
            size = np.abs(pooled)
            slope = np.where(size > FLAT, slope / (2 * np.sqrt(np.maximum(size, FLAT))), 0)
        of_square = np.divide(
            slope[:, channels:],
            2 * deviation,
            out=np.zeros((len(directions), channels)),
            where=deviation > FLAT,
        )
        flat = slope[:, :channels] @ centred + of_square @ (squares - variance[:, None])
        flat *= positions * share
        influences[layer] = flat.reshape(len(directions), *activations.shape[1:])
    return scores, influences


def add_up(influences: Mapping[str, Floats]) -> NDArray[np.float32]:
    """Add the layers' influences on the finest of their grids: (V, H, W) float32.

    A coarser map is enlarged linearly, which keeps its mean where the finer side is a multiple of
    its own.
    """
    high, wide = np.max([maps.shape[1:] for maps in influences.values()], axis=0).tolist()
    total = np.zeros((len(next(iter(influences.values()))), high, wide), np.float32)
    for maps in influences.values():
        for value, one in enumerate(maps.astype(np.float32)):
            image = Image.fromarray(one)
            total[value] += np.asarray(image.resize((wide, high), Image.Resampling.BILINEAR))
    return total
