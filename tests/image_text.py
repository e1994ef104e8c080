"""A tiny model of images and words with made weights, as open_clip saves one."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import open_clip
import torch
from safetensors.torch import save_file

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16}
TIMM = {
    "timm_model_name": "test_vit",
    "timm_model_pretrained": False,
    "timm_pool": "",
    "timm_proj": "linear",
    "image_size": 160,
}


def save_model(
    folder: Path, *, seed: int = 0, vision: dict[str, Any] = VISION, **preprocess: Any
) -> Path:
    """Save a model of 16 numbers with seeded weights."""
    described = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT}
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    made = open_clip.CLIP(**json.loads(json.dumps(described)))
    # What is drawn hardly differs from picture to picture: rather all of it than none.
    for value in made.parameters():
        value.data = torch.randn_like(value) * 0.3
    state = {key: value.contiguous() for key, value in made.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    said = {"model_cfg": described, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    return folder
