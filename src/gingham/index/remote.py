"""What indexes that are kept in a server have in common."""

from __future__ import annotations

import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Generic, Protocol, TypeVar

from gingham.errors import GinghamError, ServerError
from gingham.index.address import IndexAddress
from gingham.index.index import Change, Index, State
from gingham.results import Facets

logger = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds for which a server that does not answer is asked again, as while it starts."""

_ROOM = 100  # candidates of each look, beyond four times as many as are wanted


class LockedError(ServerError):
    """Another process changes the index."""


class ForbiddenError(ServerError):
    """Whoever asks may not do this."""


def candidates(n: int) -> int:
    """Say how many candidates each look gives for n matches."""
    return 4 * n + _ROOM


def ordered_facets(images: int, counts: Mapping[str, Mapping[str, int]]) -> Facets:
    """Put counts of values into the order of `Index.facets`: attribute -> value -> count."""
    return Facets(
        images,
        {
            attribute: dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))
            for attribute, counted in sorted(counts.items())
            if counted
        },
    )


class Changes(Protocol):
    """Changes that were begun and are not committed."""

    def make(self, change: Change) -> None:
        """Make one change, see `Index.apply`; what is refused has changed nothing."""


Changer = TypeVar("Changer", bound=Changes)


class ChangedIndex(ABC, Generic[Changer]):
    """What indexes in servers do alike with changes that one process makes at a time."""

    _changer: Changer | None = None
    _gone: ClassVar[type[Exception]]
    """Raised where what is being changed is there no longer."""

    @abstractmethod
    def begin(self, *, wait: bool = True) -> bool:
        """Be the only one who changes it, see `Index.begin`."""

    def apply(self, changes: Iterable[Change]) -> None:
        """Make changes, see `Index.apply`."""
        for change in changes:
            changer = self._changed()
            with self._changing():
                changer.make(change)

    def _changed(self) -> Changer:
        self.begin()
        assert self._changer is not None
        return self._changer

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Give up the change if it cannot go on; what is merely refused leaves it."""
        try:
            yield
        except self._gone:
            self._give_up()
            raise ServerError(self._gone_sentence) from None
        except BaseException as error:
            if isinstance(error, ServerError) or not isinstance(error, GinghamError):
                self._give_up()
            raise

    def _give_up(self) -> None:
        self._changer = None
        self._release()

    @abstractmethod
    def _release(self) -> None:
        """Let others change it."""

    @property
    @abstractmethod
    def _gone_sentence(self) -> str:
        """What to say of `_gone`."""


class RemoteHome(ABC):
    """An `IndexHome` in a server: the same index for all who search it, changed in place.

    Parameters
    ----------
    address : of the server.
    owner : of the index; any text, for ever the same.
    """

    shared = True

    def __init__(self, address: IndexAddress, owner: str) -> None:
        self._address = address
        self._owner = owner

    @property
    def name(self) -> str:
        """The address, without a password."""
        return self._address.shown

    def state(self) -> State:
        """Give the state that was committed last."""
        with contextlib.closing(self.open()) as index:
            return index.state()

    @abstractmethod
    def open(self) -> Index:
        """Connect to it."""

    def is_newer(self, index: Index) -> bool:
        """Say no: what was opened is always the newest."""
        return False

    @contextlib.contextmanager
    def making(self, *, anew: bool = False) -> Iterator[Index]:
        """Give the index itself; others see each commit as a whole."""
        with contextlib.closing(self.open()) as index:
            yield index

    def leave(self) -> None:
        """Leave it: others may use it."""
        logger.warning("the former index at %s stays as it is: %s", self.name, self._deletion)

    @property
    @abstractmethod
    def _deletion(self) -> str:
        """What to do when nobody needs it any more."""
