"""What `gingham.backbones.quantised.quantise` runs in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from gingham.backbones.quantised import quantise_files

if __name__ == "__main__":
    quantise_files(Path(sys.argv[1]))
