from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from gingham.backbones.tensors import read_tensors
from gingham.errors import BackboneError

TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8)


def state(kind: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Tensors of every sort that a state dictionary may hold: shared, transposed, empty, scalar."""
    whole = torch.arange(24).to(kind).reshape(4, 6)
    return {
        "whole": whole,
        "part": whole[1:3, ::2],
        "turned": whole.t(),
        "empty": torch.zeros(0, 3, dtype=kind),
        "one": torch.tensor(5).to(kind),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kind=st.sampled_from(TYPES), file=st.sampled_from(["new", "old", "safetensors"]))
def test_every_format_is_read_as_torch_reads_it(
    tmp_path: Path, kind: torch.dtype, file: str
) -> None:
    tensors = state(kind)
    if file == "safetensors":
        path = tmp_path / "w.safetensors"
        save_file({k: v.clone().contiguous() for k, v in tensors.items()}, path)
        expected = load_file(path)
    else:
        path = tmp_path / "w.pth"
        torch.save(tensors, path, _use_new_zipfile_serialization=file == "new")
        expected = torch.load(path, weights_only=True)
    got = read_tensors(path)
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        wide = tensor.float() if kind == torch.bfloat16 else tensor
        assert got[name].dtype == wide.numpy().dtype
        np.testing.assert_array_equal(got[name], wide.numpy())


def test_a_modules_own_state_and_parameters_are_read(tmp_path: Path) -> None:
    module = torch.nn.BatchNorm2d(3)
    for old in (True, False):
        for saved in (module.state_dict(), {"state_dict": dict(module.named_parameters())}):
            torch.save(saved, tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
            got = read_tensors(tmp_path / "w.pth")
            np.testing.assert_array_equal(got["weight"], module.weight.detach().numpy())


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("old", [True, False])
def test_nothing_in_a_file_is_executed(tmp_path: Path, old: bool) -> None:
    torch.save(
        {"a": Evil(tmp_path / "ran")}, tmp_path / "w.pth", _use_new_zipfile_serialization=not old
    )
    with pytest.raises(BackboneError, match=r"w\.pth: not a readable .* it holds a posix"):
        read_tensors(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_a_tensor_never_reaches_beyond_its_storage(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(4, 6)}, tmp_path / "good.pth")
    with (
        zipfile.ZipFile(tmp_path / "good.pth") as good,
        zipfile.ZipFile(tmp_path / "bad.pth", "w") as bad,
    ):
        for name in good.namelist():
            data = good.read(name)
            if name.endswith("data.pkl"):
                # The rows of the shape (4, 6), a tuple of two small integers.
                assert data.count(b"K\x04K\x06\x86") == 1
                data = data.replace(b"K\x04K\x06\x86", b"K\x05K\x06\x86")
            bad.writestr(name, data)
    with pytest.raises(BackboneError, match="beyond its storage"):
        read_tensors(tmp_path / "bad.pth")


@pytest.mark.parametrize("old", [True, False])
def test_a_file_that_was_cut_off_or_is_something_else_is_refused(tmp_path: Path, old: bool) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(100)}, path, _use_new_zipfile_serialization=not old)
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], whole[:-8], b"", b"junk", pickle.dumps({"a": 1})):
        path.write_bytes(data)
        with pytest.raises(BackboneError, match=r"w\.pth: not a readable"):
            read_tensors(path)
    torch.save([1, 2], path, _use_new_zipfile_serialization=not old)
    with pytest.raises(BackboneError, match="expected a mapping of names to tensors"):
        read_tensors(path)
