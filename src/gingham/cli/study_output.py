"""How `gingham study` reads its options and prints its result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gingham.cli.console import print_bad_rows, print_failures, print_walked, say
from gingham.errors import InputError

if TYPE_CHECKING:
    from gingham.evaluation.study.run import StudyResult


def split_weights(given: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
    """Read FILE or NAME=FILE as backbone -> file of its weights.

    Parameters
    ----------
    given : the options as the user wrote them.
    backbones : the backbones of the study; FILE alone is for the only one.

    Raises
    ------
    InputError
        If it is not clear whose weights a file holds, or a backbone gets two.
    """
    weights: dict[str, str] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or (name not in backbones and os.path.lexists(text)):
            if len(backbones) != 1:
                raise InputError(
                    f"--weights {text} does not say for which backbone: give NAME={text}, with "
                    f"NAME one of {', '.join(backbones) or 'those given by --backbone'}"
                )
            name, file = backbones[0], text
        if name in weights:
            raise InputError(f"backbone {name!r} has two files of weights: give one")
        weights[name] = file
    return weights


def print_study(result: StudyResult) -> None:
    """Print what a study found, and what it skipped."""
    for name, one in result.attributes.items():
        taught = ", ".join(f"{b} {value:.3f}" for b, value in one.taught_accuracy.items())
        say(f"{name}: {one.images} images of {len(one.values)} values")
        if one.given:
            say(f"  drawn at random of {one.given:,}; --max-images 0 studies all")
        say(f"  recommended: {one.backbone} {one.layer}, accuracy {one.accuracy:.3f}")
        say(f"  best: {one.best_backbone} {one.best_layer}, accuracy {one.best_accuracy:.3f}")
        say(f"  taught on all layers: {taught}")
    say(f"{result.images} images, {result.failed} failed; {result.seconds:.0f} s")
    say(f"report: {result.report}")
    for name, one in result.attributes.items():
        for value, count in one.left_out.items():
            say(
                f"skipped: {name} {value!r} has {count} images, fewer than folds",
                error=True,
            )
    print_walked(result)
    print_failures(result.failures)
    print_bad_rows(result.bad_rows)
