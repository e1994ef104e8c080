"""Files of tensors -> arrays: `.safetensors`, and both of torch's formats, read without torch.

A `.pth` file is a pickle, which could run anything. The one reader here knows no class but those
that state dictionaries of plain tensors are made of, and refuses every other by name.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gingham.errors import BackboneError

Tensors = dict[str, NDArray[Any]]

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""torch's class of a storage -> how numpy reads it; bfloat16 is widened once it is read."""

# The first object of a file in the older format: torch/serialization.py, MAGIC_NUMBER.
_MAGIC = 0x1950A86A20F9469CFC6C


def read_tensors(path: str | Path) -> Tensors:
    """Read a `.safetensors`, `.pth` or `.pt` file of plain tensors; nothing in it is executed.

    Returns
    -------
    name -> array; bfloat16 comes as float32, every other type as it is stored.

    Raises
    ------
    BackboneError
        If the file is missing, damaged, or holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise BackboneError(f"weights {path}: no such file")
    try:
        state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    except Exception as error:
        # A damaged pickle can raise nearly anything.
        raise BackboneError(
            f"weights {path}: not a readable .safetensors, .pth or .pt file of tensors "
            f"({type(error).__name__}: {error})"
        ) from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, _Tensor) for v in state.values()):
        raise BackboneError(f"weights {path}: expected a mapping of names to tensors")
    return {str(name): tensor.array() for name, tensor in state.items()}


class _Tensor:
    """A view of a storage, whose bytes may be read later."""

    def __init__(
        self, storage: NDArray[Any], bfloat: bool, at: int, size: Any, stride: Any
    ) -> None:
        last = at + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if min((at, *size, *stride)) < 0 or (0 not in size and last >= len(storage)):
            raise pickle.UnpicklingError("a tensor reaches beyond its storage")
        steps = [s * storage.itemsize for s in stride]
        self._view = np.lib.stride_tricks.as_strided(storage[at:], size, steps, writeable=False)
        self._bfloat = bfloat

    def array(self) -> NDArray[Any]:
        """The values, once the storage is filled."""
        array = np.ascontiguousarray(self._view).reshape(self._view.shape)
        return (array.astype(np.uint32) << 16).view(np.float32) if self._bfloat else array


class _Unpickler(pickle.Unpickler):
    """Load a state dictionary; `load` makes a storage of (key, NumPy's type, length)."""

    def __init__(self, file: IO[bytes], load: Callable[[str, str, int], NDArray[Any]]) -> None:
        super().__init__(file, encoding="utf-8")
        self._load = load

    def find_class(self, module: str, name: str) -> Any:
        """Give the few that a state dictionary is made of."""
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, *where: _Tensor(
                *storage, *where[:3]
            ),
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            **{("torch", kind): kind for kind in STORAGES},
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> tuple[NDArray[Any], bool]:
        """Give a storage: its numbers, and whether they are bfloat16."""
        _, kind, key, _, length, *_ = pid
        return self._load(key, STORAGES[kind], length), kind == "BFloat16Storage"


def _read_safetensors(path: Path) -> dict[str, _Tensor]:
    from safetensors import deserialize

    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
    kinds |= {"I16": "<i2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1"}
    made = {}
    listed = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    for name, told in listed:
        values = np.frombuffer(told["data"], kinds[told["dtype"]])
        stride = [int(np.prod(told["shape"][i + 1 :])) for i in range(len(told["shape"]))]
        made[name] = _Tensor(values, told["dtype"] == "BF16", 0, told["shape"], stride)
    return made


def _read_torch(path: Path) -> Any:
    storages: dict[str, NDArray[Any]] = {}
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            (listing,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            folder = listing.removesuffix(".pkl")

            def load(key: str, kind: str, length: int) -> NDArray[Any]:
                if key not in storages:
                    data = archive.read(f"{folder}/{key}")
                    storages[key] = np.frombuffer(data, kind, length)
                return storages[key]

            return _Unpickler(io.BytesIO(archive.read(listing)), load).load()
    size = path.stat().st_size

    def reserve(key: str, kind: str, length: int) -> NDArray[Any]:
        if not 0 <= length <= size:
            raise pickle.UnpicklingError("a storage is longer than the file")
        return storages.setdefault(key, np.empty(length, kind))

    with path.open("rb") as file:
        # Number, version and system; the state; then the keys and bytes of its storages.
        magic, _, _, state, keys = (_Unpickler(file, reserve).load() for _ in range(5))
        if magic != _MAGIC:
            raise pickle.UnpicklingError("not torch's format")
        for key in keys:
            file.seek(8, io.SEEK_CUR)
            if file.readinto(storages[key].view(np.uint8).data) != storages[key].nbytes:
                raise pickle.UnpicklingError("it ends early")
    return state
