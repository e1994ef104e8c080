"""What the service searches with: images of the catalogue, and what was uploaded recently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.image_text import TEXT
from gingham.catalogue import Catalogue
from gingham.cutoff import Cutoff
from gingham.errors import ImageError, InputError
from gingham.images import WHOLE, Box
from gingham.operations.choosing import ALL, Narrowed
from gingham.operations.sliders import Example
from gingham.operations.text_look import Wanted, text_features
from gingham.options import ReadOptions
from gingham.parts import Part
from gingham.recent import Recent
from gingham.results import Hit
from gingham.service.given import Given, Upload
from gingham.service.problems import NOT_FOUND, ProblemError
from gingham.store.truth import StoredImage

UPLOADS = 32 << 20
"""Bytes of features of uploads and crops that are remembered: some thousands."""

Features = Mapping[str, NDArray[np.floating]]


class ComparedCatalogue(Catalogue):
    """A catalogue that is searched by ids, uploads and words."""

    def __init__(self, *given: object, **more: object) -> None:
        super().__init__(*given, **more)  # type: ignore[arg-type]
        self._uploads: Recent[tuple[str, Box], Features] = Recent(
            UPLOADS, lambda features: sum(row.nbytes for row in features.values())
        )

    def has_image(self, image: str) -> bool:
        """Tell whether an id is in the catalogue."""
        return self._truth.image_id(image) is not None

    def check_image(self, image: str) -> str:
        """Return an id if it is in the catalogue.

        Raises
        ------
        ProblemError
            If it is not.
        """
        if not self.has_image(image):
            raise ProblemError(
                NOT_FOUND, f"no image of the catalogue has the id {image!a}: search gives ids"
            )
        return image

    def stored(self, image: str) -> StoredImage:
        """Give an id of the catalogue as something that can be read.

        Raises
        ------
        ProblemError
            If it is not there.
        """
        with self._searching:
            return self._truth.stored(bytes.fromhex(self.check_image(image)))

    def example(
        self,
        image: Given,
        crop: Sequence[float] | None,
        options: ReadOptions,
        *,
        text: bool = False,
    ) -> tuple[str, Example]:
        """Make an example of a search: the id of the whole image, and what is compared.

        What had to be read is remembered by the id, so that the image need not be sent again.

        Parameters
        ----------
        image : uploaded, or an id of the catalogue or of what is remembered.
        crop : the part that counts, or None.
        options : see `Catalogue.search`.
        text : read what is no id for the look `text`, too.

        Raises
        ------
        ImageError
            If it cannot be read.
        InputError
            If there is no such image.
        """
        name = image if isinstance(image, str) else image.id
        left, top, right, bottom = crop or WHOLE
        box = (left, top, right, bottom)
        known = self._truth.image_id(name)
        if known is not None and box == WHOLE:
            return name, known
        features = self._uploads.get((name, box))
        if features is not None and (TEXT in features or not text):
            return name, features
        whole: StoredImage | Upload
        if known is not None:
            whole = self.stored(name)
        elif isinstance(image, str):
            raise InputError(
                f"no image {name}: it is not in the catalogue, and if it was uploaded, it is no "
                "longer remembered as a whole or with this crop; send its bytes"
            )
        else:
            whole = image
        source = whole.read() if box == WHOLE else Part(whole, box, options.max_pixels).read()
        widths = tuple(self.config.widths)
        ((_, made, reason),) = self._truth.features_of([source], widths, options)
        if made is None:
            raise ImageError(f"image {name}: {reason}")
        if text:
            made |= text_features(self._truth, source, options)
        self._uploads.put((name, box), made)
        return name, made

    def search_examples(
        self,
        like: Sequence[Example],
        unlike: Sequence[Example],
        *,
        looks: Mapping[str, float] | None,
        wanted: Wanted,
        n: int,
        min_score: float | None,
        cutoff: Cutoff | None = None,
        choice: Narrowed = ALL,
    ) -> list[Hit]:
        """Search with examples; see `Catalogue.search`."""
        return self._search_with(like, unlike, looks, wanted, n, min_score, cutoff, choice)

    def asked_for(
        self,
        text: str | None,
        looks: Mapping[str, float] | None,
        colours: Mapping[str, float] | None,
        where: Sequence[str],
        *,
        pictured: bool,
    ) -> tuple[Wanted, bool]:
        """Say what a search asks for, and whether its images are read for the look `text`.

        Raises
        ------
        InputError
            If there is neither an image nor anything else, or no word is understood.
        """
        if not (pictured or colours or where or text is not None):
            raise InputError("no image: send the field image, or an id, text, colours or filters")
        wanted = self._worded(text, looks, colours, where, pictured=pictured)
        return wanted, self._reads_text(wanted, looks)
