"""COCO's JSON as it is written: images and their tags."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from gingham.formats.exported import Exported
from gingham.names import printable


def write(path: Path, exported: Exported) -> int:
    """Write images and, without boxes, what was tagged: an attribute is a supercategory."""
    numbers: dict[tuple[str, str], int] = {}
    written = marks = 0
    with path.open("w", encoding="utf-8") as file, tempfile.TemporaryFile("w+") as beside:
        file.write('{"images": [')
        for written, one in enumerate(exported.files, 1):
            image = {"id": written, "file_name": printable(one.image), "sha256": one.id}
            file.write("," * (written > 1) + "\n" + json.dumps(image, ensure_ascii=False))
            for attribute, tag in one.tags.items():
                for value in tag.values:
                    number = numbers.setdefault((attribute, value), len(numbers) + 1)
                    mark = {"id": marks + 1, "image_id": written, "category_id": number}
                    mark_text = json.dumps(mark | {"score": tag.confidence})
                    beside.write("," * (marks > 0) + "\n" + mark_text)
                    marks += 1
        file.write('],\n"annotations": [')
        beside.seek(0)
        shutil.copyfileobj(beside, file)
        categories = [
            {"id": number, "name": value, "supercategory": attribute}
            for (attribute, value), number in numbers.items()
        ]
        file.write(f'],\n"categories": {json.dumps(categories, ensure_ascii=False)}}}\n')
    return written
