"""A module learns from batches, by Lightning: logs, checkpoints, early stopping, resume."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler
from torchmetrics.classification import MultilabelAveragePrecision

from gingham.backbones.preprocess import Preprocess
from gingham.backbones.runtime import cpu_count
from gingham.errors import ImageError
from gingham.images import open_image, read_file
from gingham.store.files import read_json, replace_file, write_json
from gingham.training.config import FitConfig
from gingham.training.feature_maps import FeatureMaps
from gingham.training.losses import Loss

logger = logging.getLogger(__name__)

SCORE = "w_map"
_AS_IT_IS = -1

Key = tuple[int, int]
"""A row, and a number that says how it is seen: it chooses a stored view, or is a view's seed."""
Batch = tuple[Any, torch.Tensor]
Rates = tuple[tuple[nn.Module, float], ...]
"""The learning rate of each part of a module."""


class FeatureMapData(Dataset[Batch]):
    """Batches of stored maps: a list of (B, ...) float32 tensors, and (B, V) targets."""

    def __init__(self, store: FeatureMaps, targets: NDArray[np.float32]) -> None:
        self.store = store
        self.targets = targets

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """Read several rows at once."""
        rows = [row for row, _ in keys]
        views = [max(number, 0) % self.store.views for _, number in keys]
        found = self.store.read(rows, views)
        maps = [torch.from_numpy(array.astype(np.float32)) for array in found]
        return maps, torch.from_numpy(self.targets[rows])


@dataclass
class ImageData(Dataset[Batch]):
    """Batches of images: (B, S, S, 3) uint8, each through a random box and perhaps mirrored."""

    images: Sequence[str]
    targets: NDArray[np.float32]
    preprocess: Preprocess
    config: FitConfig
    max_pixels: int

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """Read several images at once."""
        with ThreadPoolExecutor(cpu_count()) as pool:
            squares = list(pool.map(self._read, keys))
        targets = self.targets[[row for row, _ in keys]]
        return torch.from_numpy(np.stack(squares)), torch.from_numpy(targets)

    def _read(self, key: Key) -> NDArray[np.uint8]:
        row, number = key
        try:
            data = read_file(self.images[row])
            picture = open_image(data, max_pixels=self.max_pixels, draft=self.preprocess.size)
        except ImageError as error:
            raise ImageError(f"{self.images[row]}: {error}") from None
        box, mirror = (0.0, 0.0, 1.0, 1.0), False
        if number != _AS_IT_IS:
            rng = np.random.default_rng([self.config.seed, row, number])
            side = rng.uniform(self.config.unfreeze_crop, 1.0)
            left, top = rng.uniform(0, 1 - side, 2)
            box = (left, top, left + side, top + side)
            mirror = self.config.mirror and bool(rng.integers(2))
        return self.preprocess.apply(picture, box=box, mirror=mirror)


class EpochSampler(Sampler[Key]):
    """Each row as often as it is to be repeated, in an order that the seed and the epoch decide.

    A row's numbers follow each other, so that its repeats are different views as long as
    there are any. A run that was killed and goes on sees what it would have seen.
    """

    def __init__(self, rows: NDArray[np.int64], repeat: NDArray[np.int64], seed: int) -> None:
        self.rows = np.repeat(rows, repeat)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning when an epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Key]:
        rng = np.random.default_rng([self.seed, self.epoch])
        rows = rng.permutation(self.rows)
        numbers = rng.integers(2**31, size=len(rows))
        order = np.argsort(rows, kind="stable")
        first = np.searchsorted(rows, rows, sorter=order)
        number_of_first = numbers[order[first]]
        place = np.empty_like(first)
        place[order] = np.arange(len(rows))
        numbers = number_of_first + place - first
        return iter(zip(rows.tolist(), numbers.tolist(), strict=True))


class TrainingModule(lightning.LightningModule):
    """A module, its loss, and how it is optimised; the validation score is W_MAP."""

    def __init__(
        self, module: nn.Module, loss: Loss, outputs: int, rates: Rates, config: FitConfig
    ) -> None:
        super().__init__()
        self.module = module
        self._loss = loss
        self._rates = rates
        self._config = config
        self.score = MultilabelAveragePrecision(outputs, average="weighted", ignore_index=-1)
        # Lightning warns of what is in evaluation mode before it calls `on_train_start`.
        self._fixed = [part for part in module.modules() if not part.training]
        for part in self._fixed:
            part.training = True

    def on_train_start(self) -> None:
        """Put what learns nothing of a batch's statistics back into evaluation mode."""
        for part in self._fixed:
            part.training = False

    def on_train_epoch_start(self) -> None:
        """Make what is random in an epoch depend on its number, not on what was before."""
        torch.manual_seed(self._config.seed + self.current_epoch)

    def training_step(self, batch: Batch, number: int) -> torch.Tensor:
        """Compute the loss of one batch."""
        inputs, targets = batch
        loss = self._loss(self.module(inputs).float(), targets)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(targets))
        return loss

    def validation_step(self, batch: Batch, number: int) -> None:
        """Score one batch."""
        inputs, targets = batch
        logits = self.module(inputs).float()
        loss = self._loss(logits, targets)
        self.log("validation_loss", loss, on_epoch=True, batch_size=len(targets))
        self.score.update(logits, targets.nan_to_num(nan=-1).long())

    def on_validation_epoch_end(self) -> None:
        """Score all batches together."""
        self.log(SCORE, self.score.compute().nan_to_num(nan=0.0), prog_bar=True)
        self.score.reset()

    def configure_optimizers(self) -> Any:
        """AdamW; the learning rate rises for a tenth of the steps and then falls."""
        groups = [{"params": list(part.parameters()), "lr": lr} for part, lr in self._rates]
        optimiser = torch.optim.AdamW(groups, weight_decay=self._config.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            [lr for _, lr in self._rates],
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.1001,  # with a tenth exactly, ten steps make it divide by zero
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


@dataclass(frozen=True)
class LearnedModule:
    """What one phase came to: the epochs run, and the best validation score."""

    epochs: int
    score: float | None


class _AtomicCheckpoints(TorchCheckpointIO):
    """A checkpoint is there whole or not at all, whenever the process dies."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        replace_file(Path(path), lambda temporary: torch.save(checkpoint, temporary))


class _Checkpoints(ModelCheckpoint):
    """The better of its epochs, or the last, in a folder that may hold those of a run before."""

    def setup(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        """In the stage `fit` it would only warn, too, of what the folder holds."""
        super().setup(trainer, pl_module, "resume")


class _Watched(Callback):
    """Reports progress after each batch; a copy in another process is silent."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress: Callable[[int, int], None] | None = progress

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_progress": None}

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self._progress is not None:
            self._progress(trainer.global_step, int(trainer.estimated_stepping_batches))


def fit(
    module: nn.Module,
    loss: Loss,
    rates: Rates,
    data: FeatureMapData | ImageData,
    train: NDArray[np.int64],
    repeat: NDArray[np.int64],
    validation: NDArray[np.int64],
    *,
    epochs: int,
    config: FitConfig,
    folder: Path,
    logs: Path,
    progress: Callable[[int, int], None],
) -> LearnedModule:
    """Let a module learn, and leave it with the weights of its best epoch.

    `train` and `validation` are rows of `data`, and `repeat` says how often each training row comes
    in an epoch. If `folder` holds checkpoints, learning goes on from the last one, or, if it had
    ended, not at all. `logs` gets CSV and TensorBoard logs; `progress` is called with the number of
    batches learned from and the most there will be.
    """
    outputs = data.targets.shape[1]
    last, done = folder / "last.ckpt", folder / "done.json"
    learner = TrainingModule(module, loss, outputs, rates, config)
    if done.exists():
        # Lightning knows no more that it stopped early, and would learn for another epoch.
        _take_best(learner, folder)
        return LearnedModule(**read_json(done))
    best = _Checkpoints(
        folder, filename="best", monitor=SCORE, mode="max", enable_version_counter=False
    )
    # `save_last` of the other would save only with a better score.
    every = _Checkpoints(folder, filename="last", enable_version_counter=False)
    stop = EarlyStopping(SCORE, mode="max", patience=config.patience)
    gpu = torch.cuda.is_available()
    precision: Any = config.precision
    if precision == "auto":
        precision = "16-mixed" if gpu else "32-true"
    if gpu:
        module.to(memory_format=torch.channels_last)
    as_they_are: Any = [(int(row), _AS_IT_IS) for row in validation]
    attempt = 1 + sum(path.is_dir() for path in logs.glob("csv-*"))
    if last.exists():
        logger.info("resuming from %s", last)
    batches = _loader(data, EpochSampler(train, repeat, config.seed), config.batch_size)
    with _quiet_loggers():
        # One warning is left that nothing given to it avoids: Lightning 2.6 makes the `LeafSpec` of
        # its loaders as torch 2.14 no longer wants. The command line does not show it.
        trainer = lightning.Trainer(
            accelerator="gpu" if gpu else "cpu",
            devices="auto" if gpu else 1,
            strategy="ddp_spawn" if torch.cuda.device_count() > 1 else "auto",
            precision=precision,
            max_epochs=epochs,
            callbacks=[best, every, stop, _Watched(progress)],
            logger=[
                CSVLogger(logs, name="", version=f"csv-{attempt}"),
                TensorBoardLogger(logs, name="", version="tensorboard"),
            ],
            plugins=[_AtomicCheckpoints()],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=len(batches),  # the epochs' means are logged whatever this says
        )
        trainer.fit(
            learner,
            batches,
            DataLoader(data, config.batch_size, sampler=as_they_are, collate_fn=_collated),
            ckpt_path=last if last.exists() else None,
            weights_only=True,
        )
    _take_best(learner, folder)
    score = None if best.best_model_score is None else float(best.best_model_score)
    fitted = LearnedModule(trainer.current_epoch, score)
    write_json(done, asdict(fitted))
    return fitted


def _take_best(learner: TrainingModule, folder: Path) -> None:
    state = torch.load(folder / "best.ckpt", map_location="cpu", weights_only=True)
    learner.load_state_dict(state["state_dict"])
    learner.module.cpu().eval()


def _loader(data: Any, keys: EpochSampler, batch_size: int) -> DataLoader[Batch]:
    """Batches of an epoch. A single image left over, another each time, is left out.

    Nothing can be standardised over it.
    """
    alone = len(keys) % batch_size == 1
    return DataLoader(data, batch_size, sampler=keys, collate_fn=_collated, drop_last=alone)


def _collated(batch: Any) -> Any:
    """Batches come whole from the data; nothing is left to put together."""
    return batch


@contextlib.contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Log only Lightning's warnings, and leave its loggers as they were."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
