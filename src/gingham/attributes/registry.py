"""The attributes of a catalogue, taught and attached, and the tags that they gave."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from gingham.attributes.attribute import Attribute, chosen_names
from gingham.attributes.attribute_fitting import fit
from gingham.attributes.background import Background
from gingham.attributes.coded_tags import CodedTags, KeptTags
from gingham.attributes.colours import COLOURS, Colours, has_colours
from gingham.attributes.cutoffs import EVERY, Floors, limits_of
from gingham.attributes.predictions import PredictionsFile, Tagged, TagTable, TagWriter, Version
from gingham.attributes.taught import TaughtAttribute, stamp_of
from gingham.cutoff import Cutoff
from gingham.errors import CatalogueError, StorageError
from gingham.names import NOT_APPLICABLE, folder_name, same
from gingham.schema.hierarchy import Hierarchy
from gingham.schema.schema import Schema
from gingham.store.attached import Attached
from gingham.store.examples import Taught
from gingham.store.truth import Truth
from gingham.turns import in_turn

logger = logging.getLogger(__name__)


class Attributes:
    """The attributes of a catalogue: taught by examples, attached with a model, or built in.

    An attached attribute answers in place of a taught one of the same name, until it is detached;
    both answer in place of one that is built in.
    Threads may call all methods together.
    Everything in the folder is derived: a taught attribute whose file is missing, damaged or older
    than the examples is fitted again.

    Parameters
    ----------
    folder : of what is derived.
    truth : of the catalogue.
    load_model : opens the folder of a trained model and gives its attributes.
    may_write : says whether what is fitted again is kept in the folder now.

    Attributes
    ----------
    background : of the catalogue's own images.
    """

    def __init__(
        self,
        folder: Path,
        truth: Truth,
        load_model: Callable[[str], Sequence[Attribute]],
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._folder = folder
        self._truth = truth
        self._load_model = load_model
        self._may_write = may_write
        self.background = Background(folder / "background.npz", truth, may_write)
        self._turn = threading.RLock()
        self._read: tuple[int, dict[str, Taught]] | None = None
        self._ready: dict[str, TaughtAttribute] = {}
        self._models: dict[str, dict[str, Attribute]] = {}
        self._stamps: dict[str, str] = {}
        self._predictions = cache(lambda name: PredictionsFile(self._path(name)))
        self._tags: dict[str, tuple[Version, str]] = {}
        self._coded = KeptTags()
        self._ways: dict[str, tuple[tuple[str, int], str]] = {}

    @in_turn
    def taught(self) -> dict[str, Taught]:
        """All that was said, by attribute."""
        if self._read is None or self._read[0] != self._truth.log.version:
            before = self._read[1] if self._read else {}
            now = self._truth.log.read()
            self._read = (self._truth.log.version, now)
            # A stamp is made of every example: only those of what changed are made again.
            for name in [x for x in self._stamps if now.get(x) is not before.get(x)]:
                del self._stamps[name]
        return self._read[1]

    def names(self) -> list[str]:
        """The attributes that are taught, sorted."""
        return sorted(self.taught())

    def answering(self) -> list[str]:
        """All attributes, taught, attached or built in, sorted."""
        return sorted({*self.taught(), *self.attached, *self.built_in})

    @property
    def built_in(self) -> Mapping[str, Attribute]:
        """The attributes that need no teaching, but for those that others answer in place of."""
        if not has_colours(self._truth.config):
            return {}
        others = (*self.taught(), *self.attached)
        return {} if any(same(name) == COLOURS for name in others) else {COLOURS: Colours()}

    @property
    def attached(self) -> Mapping[str, Attached]:
        """The attributes that a trained model answers."""
        return self._truth.attached.current

    def kind(self, name: str) -> str:
        """`single` or `multi`."""
        one = self.attached.get(name) or self.taught().get(name) or self.built_in[name]
        return one.kind

    def values(self, name: str) -> tuple[str, ...]:
        """The values that its tags may be."""
        one = self.attached.get(name)
        return one.values if one else self.get(name).values

    def check(self, names: Sequence[str] | None) -> list[str]:
        """Return the attributes asked for, or all.

        One that is built in is among all once it has tags, or if there is no other.

        Raises
        ------
        InputError
            If one is not there, or there is none.
        """
        known = chosen_names(self.answering(), names)
        return known if names else self.used() or known

    def used(self) -> list[str]:
        """All attributes but for those that are built in and have no tags, sorted."""
        built_in = self.built_in
        return [x for x in self.answering() if x not in built_in or self.tagged(x) is not None]

    def attributes(self, names: Sequence[str] | None = None) -> list[Attribute]:
        """Give the attributes asked for, or all; see `check` and `get`."""
        return [self.get(name) for name in self.check(names)]

    @in_turn
    def get(self, name: str) -> Attribute:
        """Give the attribute that answers: the attached one, else the taught, else the built-in.

        Raises
        ------
        CatalogueError
            If its model is not where it was attached, or is another one now.
        """
        one = self.attached.get(name)
        if one is None:
            return self.built_in.get(name) or self.taught_attribute(name)
        if one.fingerprint not in self._models:
            self._models[one.fingerprint] = self._open_model(one)
        return self._models[one.fingerprint][name]

    def _open_model(self, one: Attached) -> dict[str, Attribute]:
        try:
            loaded = self._load_model(one.model)
        except CatalogueError as error:
            raise CatalogueError(
                f"attribute {one.name!r} is answered by a model that cannot be opened ({error}): "
                "attach the model from where it is now, or forget the attribute"
            ) from None
        if any(attribute.stamp != one.fingerprint for attribute in loaded):
            raise CatalogueError(
                f"attribute {one.name!r} was attached with model {one.model} ({one.fingerprint}), "
                "which has changed since: attach it again, or forget the attribute"
            )
        return {attribute.name: attribute for attribute in loaded}

    @in_turn
    def taught_attribute(self, name: str) -> TaughtAttribute:
        """Load a taught attribute, or fit it again where its file does not match the examples."""
        taught = self.taught()[name]
        stamp = self.taught_stamp(name)
        if (ready := self._ready.get(name)) and ready.stamp == stamp:
            return ready
        try:
            attribute = TaughtAttribute.load(self._path(name) / "attribute.npz")
        except CatalogueError:
            attribute = None
        if attribute is None or attribute.stamp != stamp:
            attribute = self._fit(name, taught)
        self._ready[name] = attribute
        return attribute

    def _fit(self, name: str, taught: Taught) -> TaughtAttribute:
        attribute = fit(self._truth, name, taught, self.background).attribute
        if not self._may_write():
            return attribute
        try:
            with self.keeping(attribute):
                pass
        except StorageError as error:
            logger.warning("%s; until then the attribute is fitted again when needed", error)
        return attribute

    @contextlib.contextmanager
    def keeping(self, attribute: TaughtAttribute) -> Iterator[None]:
        """Put an attribute on disk; nothing changes if that fails, or what is done meanwhile."""
        with attribute.saving(self._path(attribute.name) / "attribute.npz"):
            yield
        self._ready[attribute.name] = attribute

    def attach(self, attributes: Sequence[Attached]) -> None:
        """Let a model answer for attributes, all or none; on disk when this returns."""
        if attributes:
            self._truth.attached.attach(attributes)

    @in_turn
    def forget(self, name: str) -> None:
        """Delete what was derived of an attribute; its examples are kept in the log."""
        self._ready.pop(name, None)
        self._tags.pop(name, None)
        shutil.rmtree(self._path(name), ignore_errors=True)

    @contextlib.contextmanager
    def writing_tags(self, attribute: Attribute, limits: Floors = EVERY) -> Iterator[TagWriter]:
        """Replace an attribute's tags; see `gingham.attributes.predictions`."""
        file, places = self._predictions(attribute.name), self._truth.locations.version
        with file.writing(self.stamp(attribute.name), limits, places) as writer:
            yield writer
        self._tags.pop(attribute.name, None)

    def predictions(
        self, name: str, *, former: bool = False, cutoff: Cutoff | None = None
    ) -> Iterator[Tagged]:
        """Stream an attribute's tags.

        Parameters
        ----------
        former : also those of the attribute as it once was, if there are none as it is now.
        cutoff : how sure they must be; None: as sure as they had to be when it was applied.
        """
        limits = None if cutoff is None else self.limits(self.get(name), cutoff)
        for tags in self._predictions(name).read(self._stamp_of(name, former)):
            yield from tags.rows(tags.limits if limits is None else limits)

    def held_to(
        self, name: str, cutoff: Cutoff | None, *, former: bool = False
    ) -> tuple[CodedTags, Floors]:
        """Give all that `predictions` streams, sorted by id, and the limits to hold it to."""
        wanted = (self.written(name) if former else self.tagged(name)) or ""
        read = self._predictions(name).read(wanted.rpartition(":")[0])
        tags = self._coded.get(name, wanted, lambda: TagTable.joined(read).in_numbers())
        return tags, tags.limits if cutoff is None else self.limits(self.get(name), cutoff)

    def read_tags(self, name: str) -> Iterator[TagTable]:
        """Stream the tags of an attribute as it is now, with looks."""
        yield from self._predictions(name).read(self._stamp_of(name, former=False), looks=True)

    def tags(self, name: str) -> TagTable | None:
        """Read all tags of an attribute as it is now, without looks; None if there are none."""
        stamp = self._stamp_of(name, former=False)
        return self._predictions(name).read_all(stamp) if stamp else None

    def tagged_count(self, name: str) -> int:
        """Count the images of the catalogue with a tag of an attribute as it is now."""
        wanted = self.tagged(name)
        if wanted is None:
            return 0
        locations, file = self._truth.locations, self._predictions(name)
        stamp = wanted.rpartition(":")[0]
        count = file.count(stamp, locations.version)
        if count is None:
            count = sum(int(locations.has(tags.ids).sum()) for tags in file.read(stamp))
        return count

    def tagged(self, name: str) -> str | None:
        """Name the tags of an attribute; None if they are not of the attribute as it is now."""
        written, stamp = self._written(name)
        return f"{stamp}:{written}" if written and stamp == self.stamp(name) else None

    def _stamp_of(self, name: str, former: bool) -> str:
        """Name the attribute whose tags are there, as it is now or once was; empty if none are."""
        wanted = self.written(name) if former else self.tagged(name)
        return (wanted or "").rpartition(":")[0]

    def written(self, name: str) -> str | None:
        """Name the tags of an attribute, also as it once was; None if there are none."""
        written, stamp = self._written(name)
        return f"{stamp}:{written}" if written else None

    @in_turn
    def _written(self, name: str) -> tuple[int, str]:
        """When an attribute's tags were written, and by which attribute; (0, "") if never."""
        found = self._predictions(name).version(self._tags.get(name))
        if found is None:
            return 0, ""
        self._tags[name] = found
        return found[0][0], found[1]

    @in_turn
    def drop_removed(self) -> None:
        """Delete what is derived of images that are no longer in the catalogue, but for examples.

        That is their tags, and the sample of the catalogue, which is drawn again.
        """
        self.background.forget()
        locations = self._truth.locations
        for name in self.answering():
            written, file = self.written(name), self._predictions(name)
            stamp = (written or "").rpartition(":")[0]
            tags = file.read_all(stamp) if written else None
            if tags is not None and not locations.has(tags.ids).all():
                with file.writing(stamp, tags.limits, locations.version) as writer:
                    for part in file.read(stamp, looks=True):
                        writer.put(part.only(locations.has(part.ids)))
                self._tags.pop(name, None)

    def rebuild(self) -> None:
        """Fit every taught attribute again from its examples; tags are kept."""
        self._ready.clear()
        self.background.forget()
        for name, taught in self.taught().items():
            with self.keeping(fit(self._truth, name, taught, self.background).attribute):
                pass

    def verify(self) -> list[str]:
        """Say which examples have no features, and which models have moved or changed."""
        problems = []
        for one in {one.fingerprint: one for one in self.attached.values()}.values():
            try:
                self._open_model(one)
            except CatalogueError as error:
                problems.append(str(error))
        return problems + [
            f"example {example.image} of {name!r} has no features: teach it again"
            for name, taught in self.taught().items()
            for example in taught.examples
            if example.id not in self._truth.features
        ]

    def _path(self, name: str) -> Path:
        return self._folder / folder_name(name)

    def stamp(self, name: str) -> str:
        """Name the state of the attribute that answers: it differs whenever an answer could."""
        if one := self.attached.get(name) or self.built_in.get(name):
            own = one.fingerprint if isinstance(one, Attached) else one.stamp
        else:
            own = self.taught_stamp(name)
        key = own, self._truth.schema.version
        known, mark = self._ways.get(name, (None, ""))
        if known != key:
            steps = json.dumps(sorted(self.hierarchy(name).steps.items()))
            mark = f"-{hashlib.sha256(steps.encode()).hexdigest()[:8]}" if steps != "[]" else ""
            self._ways[name] = key, mark
        return own + mark

    @property
    def schema(self) -> Schema:
        """What attributes and values mean."""
        return self._truth.schema.current

    def hierarchy(self, name: str, values: Sequence[str] = ()) -> Hierarchy:
        """Give values, or all, of an attribute with those above them; none of kind `multi`."""
        about = self.schema.attributes.get(name)
        if about is None or not about.parents or self.kind(name) == "multi":
            return Hierarchy(())
        attached = self.attached.get(name)
        values = values or (attached.values if attached else self.taught()[name].values)
        return Hierarchy(tuple(values), about.parents)

    def limits(self, attribute: Attribute, cutoff: Cutoff | None) -> Floors:
        """Give what answers of an attribute are held to; see `limits_of`."""
        about = self.schema.attributes.get(attribute.name)
        parents = about.parents if about and attribute.kind != "multi" else {}
        return limits_of(attribute, cutoff, Hierarchy(attribute.values, parents).steps)

    def answers(self, name: str) -> tuple[str, ...]:
        """The values of an attribute, those above them, and whether it may not apply."""
        about = self.schema.attributes.get(name)
        values = self.values(name)
        if about is None:
            return values
        above = Hierarchy(values, about.parents).names
        return (*above, NOT_APPLICABLE) if about.when else above

    @in_turn
    def taught_stamp(self, name: str) -> str:
        """Name the state of a taught attribute, as `stamp` does."""
        taught = self.taught()[name]
        if name not in self._stamps:
            self._stamps[name] = stamp_of(self._truth.config, taught)
        return self._stamps[name]
