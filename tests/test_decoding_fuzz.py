"""Ten thousand damaged files of some twenty formats: each is read or refused, soon, and small."""

from __future__ import annotations

import subprocess
import sys

FILES = 10_000
SECONDS, MEGABYTES = 20, 600

FUZZ = """
import io, signal, struct, sys
import numpy as np
from PIL import Image
from gingham.errors import ImageError
from gingham.images import open_image

count, seconds = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
picture = Image.fromarray(rng.integers(0, 256, (20, 28, 3), np.uint8)).resize((140, 100))

def encode(mode, format_, **options):
    buffer = io.BytesIO()
    picture.convert(mode).save(buffer, format_, **options)
    return buffer.getvalue()

KINDS = [
    ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("1", "PNG"),
    ("RGB", "WEBP"), ("P", "GIF"), ("RGB", "TIFF"), ("L", "TIFF"), ("RGB", "AVIF"), ("RGB", "BMP"),
    ("P", "DIB"), ("RGB", "JPEG2000"), ("RGB", "PPM"), ("RGB", "TGA"), ("RGBA", "ICO"),
    ("P", "PCX"), ("RGB", "SGI"), ("RGBA", "DDS"), ("RGB", "QOI"), ("RGB", "MPO"), ("1", "XBM"),
    ("1", "MSP"), ("I;16", "PNG"), ("I;16", "TIFF"),
]
GOOD = [encode(*kind) for kind in KINDS]
GOOD += [encode("RGB", "JPEG", progressive=True), encode("RGB", "WEBP", lossless=True)]
GOOD += [encode("RGB", "TIFF", compression=c) for c in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]

def truncated(data):
    return data[: rng.integers(1, len(data))]

def flipped(data):
    out = np.frombuffer(data, np.uint8).copy()
    # Headers matter most.
    within = len(out) if rng.random() < 0.5 else min(len(out), 200)
    out[rng.integers(0, within, rng.integers(1, 12))] = rng.integers(0, 256)
    return out.tobytes()

def spliced(data):
    other = GOOD[rng.integers(len(GOOD))]
    return data[: rng.integers(1, len(data))] + other[rng.integers(0, len(other)) :]

def bomb(data):
    # Another size wherever the width or the height is written.
    for number in ("<H", ">H", "<I", ">I"):
        for side in (140, 100):
            size = int(rng.choice([65535, 40000, 9999, 1, 0]))
            data = data.replace(struct.pack(number, side), struct.pack(number, size))
    return data

def late(*_):
    raise BaseException("too slow")

signal.signal(signal.SIGALRM, late)
read = refused = 0
for number in range(count):
    data = GOOD[number % len(GOOD)]
    data = (truncated, flipped, spliced, bomb)[rng.integers(4)](data)
    signal.alarm(seconds)
    try:
        image = open_image(data)
        assert image.mode == "RGB" and min(image.size) > 0
        read += 1
    except ImageError as error:
        assert str(error).strip()
        refused += 1
    finally:
        signal.alarm(0)
# The peak of this program alone: what `getrusage` says may be that of whoever started it.
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(read, refused, int(peak.split()[1]) // 1024)
"""


def test_ten_thousand_damaged_files() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FUZZ, str(FILES), str(SECONDS)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    read, refused, megabytes = map(int, done.stdout.split())
    assert read + refused == FILES
    assert min(read, refused) > FILES // 20
    assert megabytes < MEGABYTES, f"{megabytes} MB"
