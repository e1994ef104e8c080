"""The catalogue as the service uses it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from gingham.errors import InputError, StorageError
from gingham.operations.correct import Corrections
from gingham.operations.history import recording
from gingham.operations.map import ImageMap
from gingham.operations.opening import changing
from gingham.operations.teach import TableColumns, teach
from gingham.operations.text_look import follow_texts
from gingham.operations.upload import upload
from gingham.options import Progress, ReadOptions
from gingham.results import TeachResult, UploadResult
from gingham.service.asked import AskedCatalogue
from gingham.service.webhook import Seen

logger = logging.getLogger(__name__)


class ServedCatalogue(AskedCatalogue):
    """A catalogue that is asked and changed over HTTP."""

    def hold(self, address: str = "") -> None:
        """Be the one process that changes the catalogue until `close`, if its folder allows that.

        Parameters
        ----------
        address : where it is served; those are told who want to change it.

        Raises
        ------
        CatalogueBusyError
            If another process changes it.
        """
        if not self.writable:
            try:
                self._lease.take()
            except StorageError as error:
                logger.warning("%s; meanwhile nothing can be changed", error)
                return
            self.writable = True
        if address:
            self._lease.announce(address)

    def close(self) -> None:
        """Close the index; other processes may change the catalogue."""
        super().close()
        if self.writable:
            self.writable = False
            self._lease.release()

    def check_arrangeable(self, look: str) -> None:
        """Refuse a map that cannot be arranged; see `Maps.check`."""
        self._maps.check(look)

    def arrange_map(self, look: str, progress: Progress) -> ImageMap:
        """Draw a map that keeps neighbours together; see `Maps.arrange`."""
        return self._maps.arrange(look, progress)

    def upload(self, images: Sequence[tuple[str, bytes]], *, options: ReadOptions) -> UploadResult:
        """Add images by their bytes, which the catalogue keeps; see `operations.upload`."""
        with self._changing(), self._indexing, recording(self._truth, "upload"):
            result = upload(self._truth, images, options)
            follow_texts(self._truth, options)
            return result

    def remove_image(self, image: str) -> None:
        """Take an image out of the catalogue, while nothing is searched.

        Raises
        ------
        ProblemError
            If it is not there.
        """
        with self._lease.taken(), self._turn, self._searching:
            self.remove([self.check_image(image)])

    def catch_up(self) -> None:
        """Take in what other processes have written."""
        self._refresh()

    def seen(self) -> Seen:
        """Give what a webhook tells of: the history, and what names the tags of each attribute."""
        self._refresh()
        known = self._attributes
        with self._searching:
            tags = {name: known.tagged(name) for name in known.answering()}
            return Seen(self._truth.changes.entries(), tags)

    @changing
    def teach_anew(
        self,
        attribute: str,
        examples: Mapping[str, str | list[str]],
        *,
        kind: str,
        layers: Sequence[str] | None,
        views: bool,
        allowed_loss: float | None = None,
        options: ReadOptions,
    ) -> TeachResult:
        """Teach an attribute by ids of the catalogue, in place of all that it was taught before.

        If it fails, nothing is changed.

        Raises
        ------
        InputError
            See `Catalogue.teach`; also if an id is not in the catalogue.
        """
        self._check_known(examples)
        with recording(self._truth, "teach", attribute):
            return teach(
                self._truth,
                self._attributes,
                attribute,
                examples,
                TableColumns(),
                kind=kind,
                layers="auto" if layers is None else layers,
                views=views,
                allowed_loss=allowed_loss,
                options=options,
                replace=True,
            )

    @changing
    def correct_known(
        self,
        attribute: str,
        corrections: Corrections,
        *,
        kind: str | None,
        options: ReadOptions,
    ) -> TeachResult:
        """Correct examples by ids of the catalogue, or by bytes; see `Catalogue.correct`.

        Raises
        ------
        InputError
            See `Catalogue.correct`; also if an id to teach is not in the catalogue.
        """
        self._check_known([image for image, value in corrections.items() if value is not None])
        return self.correct(attribute, corrections, kind=kind, options=options)

    def _check_known(self, images: Iterable[str | bytes]) -> None:
        for image in images:
            if isinstance(image, str) and not self.has_image(image):
                raise InputError(f"example {image} is not in the catalogue: nothing was taught")
