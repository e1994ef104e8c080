"""Label Studio's JSON as it is written: tags as pre-annotations."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from gingham.formats.exported import Exported
from gingham.names import printable


def write(path: Path, exported: Exported) -> int:
    """Write tasks with tags as pre-annotations; images as Label Studio's local files."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for written, one in enumerate(exported.files, 1):
            results = [
                {
                    "from_name": name,
                    "to_name": "image",
                    "type": "choices",
                    "value": {"choices": list(tag.values)},
                    "score": tag.confidence,
                }
                for name, tag in one.tags.items()
                if tag.values
            ]
            scores = [x["score"] for x in results if isinstance(x["score"], float)]
            said = {"model_version": "gingham", "score": min(scores, default=None)}
            task = {
                "data": {"image": f"/data/local-files/?d={quote(printable(one.image))}"},
                "predictions": [said | {"result": results}] if results else [],
            }
            file.write("," * (written > 1) + "\n" + json.dumps(task, ensure_ascii=False))
        file.write("\n]\n")
    return written
