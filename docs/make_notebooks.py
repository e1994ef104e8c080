"""Run the notebooks and write them with their outputs: `docs/notebooks/NAME.py` to `NAME.ipynb`.

The sources are Python files whose cells begin with `# %%`. Run it from anywhere:
`python docs/make_notebooks.py [--only NAME] [FOLDER]` writes beside the sources, or to a folder.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent / "notebooks"


def run_notebook(source: Path) -> nbformat.NotebookNode:
    """Run a notebook in its folder; an error of a cell is raised."""
    notebook = jupytext.read(source)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"{source.stem}-{number}", {}
    # What libraries say of their progress bars where ipywidgets is not installed.
    quiet = os.environ | {"PYTHONWARNINGS": "ignore:IProgress not found"}
    place = {"metadata": {"path": str(source.parent)}}
    client = NotebookClient(notebook, resources=place, record_timing=False, timeout=600)
    client.execute(env=quiet)
    return notebook


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=NOTEBOOKS)
    parser.add_argument("--only", default="*", metavar="NAME")
    options = parser.parse_args()
    for source in sorted(NOTEBOOKS.glob(f"{options.only}.py")):
        made = options.folder / f"{source.stem}.ipynb"
        text = nbformat.writes(run_notebook(source)) + "\n"
        # Not where the pictures were drawn.
        made.write_text(re.sub(rf"{re.escape(tempfile.gettempdir())}/tmp\w{{8}}/", "", text))
        print(f"{made.name}: {made.stat().st_size // 1024} KiB")
