"""What is read of a file of any kind, and the reason where nothing is."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from gingham.decoding.decode import decode
from gingham.decoding.pixels import IGNORED_PROFILE
from gingham.decoding.png import pixels_only
from gingham.decoding.signatures import DECODERS, LARGE
from gingham.errors import ImageError
from gingham.images import open_image, read_file

RED = (200, 60, 30)


def encode(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def noise(width: int = 80, height: int = 64, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def tiff(channels: int, bits: int, sample_format: int, colours: int | None = None) -> bytes:
    """Write a TIFF of 4 x 4 zeros that Pillow itself would not write."""
    size = 16 * channels * bits // 8
    tags = (
        (256, 4), (257, 4), (258, bits), (259, 1), (273, 8),
        (262, colours or (2 if channels == 3 else 1)), (277, channels), (278, 4), (279, size),
        (339, sample_format),
    )  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + size)
    return head + bytes(size) + struct.pack("<H", len(tags)) + entries + bytes(4)


def jpeg_of(marker: int, bits: int) -> bytes:
    data = bytearray(encode(noise(), "JPEG"))
    frame = data.find(b"\xff\xc0")
    data[frame + 1], data[frame + 4] = marker, bits
    return bytes(data)


REFUSED: dict[str, tuple[bytes, str]] = {
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript is a program"),
    "binary EPS": (b"\xc5\xd0\xd3\xc6" + bytes(28), "PostScript is a program"),
    "PDF": (b"%PDF-1.7\n", "a PDF, not an image"),
    "SVG": (b"<?xml version='1.0'?>\n<svg/>", "render it to PNG"),
    "SVG with a type": (
        b"<?xml version='1.0'?><!-- > by hand --><!DOCTYPE svg [<!ENTITY a '>'>]>\n<SVG:svg/>",
        "SVG is a drawing",
    ),
    "text about SVG": (b"How to write <svg> by hand", "not an image in a known format"),
    "XML with SVG inside": (b"<?xml version='1.0'?><page><svg/></page>", "an XML document"),
    "many comments": (b"<!-- -->" * 500 + b"<sv", "not an image in a known format"),
    "HTML": (b"\n<!DOCTYPE html><html>", "an HTML page"),
    "XHTML": (b'<?xml version="1.0"?><html>', "an HTML page"),
    "S3 error": (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>',
        "an error message of a server",
    ),
    "XML": (b"<?xml version='1.0'?><rdf/>", "an XML document"),
    "JSON error": (b'{"error": "not found"}', "JSON, not an image"),
    "git-LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "git lfs pull",
    ),
    "JPEG XL": (b"\xff\x0a" + bytes(90), "JPEG XL cannot be read"),
    "JPEG XL container": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL cannot be read"),
    "MP4": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "a video"),
    "QuickTime": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video"),
    "Matroska": (b"\x1aE\xdf\xa3\x93B\x82\x88matroska", "a video"),
    "AVI": (b"RIFF\0\0\0\0AVI LIST", "a video"),
    "MPEG": (b"\0\0\x01\xba!" + bytes(20), "a video"),
    "ZIP": (b"PK\x03\x04" + bytes(30), "an archive"),
    "gzip": (b"\x1f\x8b\x08", "compressed, not an image: unpack it"),
    "xz": (b"\xfd7zXZ\0", "compressed, not an image: unpack it"),
    "tar": (b"a.jpg" + bytes(252) + b"ustar\0" + bytes(300), "an archive, not an image"),
    "git-annex pointer": (b"/annex/objects/SHA256E-s1--0.jpg\n", "git annex get"),
    "Base64": (b"data:image/jpeg;base64,/9j/4AAQ", "Base64 text, not the image itself"),
    "OpenEXR": (b"v/1\x01\2\0\0\0", "floating-point pixels"),
    "Radiance": (b"#?RADIANCE\n", "floating-point pixels"),
    "JPEG XR": (b"II\xbc\x01" + bytes(30), "JPEG XR cannot be read"),
    "PSB": (b"8BPS\0\2" + bytes(30), "PSB"),
    "macOS": (b"\0\x05\x16\x07\0\2\0\0Mac OS X", "what macOS keeps beside a file"),
    "Canon raw of today": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw file"),
    "Panasonic raw": (b"IIU\0\x18\0\0\0", "raw file"),
    "preview in a raw file": (
        encode(noise(), "TIFF", tiffinfo={254: 1, 330: 9999}),
        "a camera's raw file",
    ),
    "sensor": (tiff(1, 16, 1, 32803), "a camera's raw file"),
    "DNG": (encode(noise(), "TIFF", tiffinfo={50706: b"\1\4\0\0"}), "a camera's raw file"),
    "Canon raw": (b"II*\0\x10\0\0\0CR\2\0" + bytes(90), "raw file"),
    "DICOM": (bytes(128) + b"DICM" + bytes(9), "DICOM"),
    "WMF": (b"\xd7\xcd\xc6\x9a" + bytes(40), "WMF is a drawing"),
    "zeros": (bytes(5000), "nothing but zeros"),
    "text": (b"hello", "not an image in a known format"),
    "12-bit JPEG": (jpeg_of(0xC1, 12), "JPEG of 12 bits a channel"),
    "lossless JPEG": (jpeg_of(0xC3, 8), "lossless JPEG"),
    "float TIFF": (encode(Image.new("F", (4, 4), 0.5), "TIFF"), "floating-point"),
    "float RGB TIFF": (tiff(3, 32, 3), "floating-point"),
    "half float TIFF": (tiff(1, 16, 3), "floating-point"),
    "double TIFF": (tiff(1, 64, 3), "floating-point"),
    "cut PNG": (encode(noise(), "PNG")[:-900], "truncated"),
    "cut JPEG": (encode(noise(), "JPEG")[:-100], "truncated"),
    "cut WebP": (encode(noise(), "WEBP")[:-300], "truncated"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_each_kind_has_its_reason(kind: str, tmp_path: Path) -> None:
    data, reason = REFUSED[kind]
    (tmp_path / "photo.jpg").write_bytes(data)
    with pytest.raises(ImageError, match=reason):
        open_image(data)
    with pytest.raises(ImageError, match=reason) as caught:
        open_image(read_file(tmp_path / "photo.jpg"))
    assert not str(caught.value).startswith("cannot be read: ")


FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP", "DIB", "JPEG2000", "PPM", "TGA", "ICO"),
    *("PCX", "SGI", "DDS", "QOI", "MPO"),
)


def test_each_format_is_read_whatever_its_name(tmp_path: Path) -> None:
    for format_ in FORMATS:
        (tmp_path / "file.eps").write_bytes(encode(noise(), format_))
        assert open_image(read_file(tmp_path / "file.eps")).mode == "RGB", format_


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_may_lack_its_end_marker(mode: str, progressive: bool) -> None:
    data = encode(noise(333, 222, mode), "JPEG", progressive=progressive)
    assert data[-2:] == b"\xff\xd9"
    for draft in (None, 56):
        whole = open_image(data, draft=draft)
        assert open_image(data[:-2], draft=draft).tobytes() == whole.tobytes()
    for cut in (12, 100, 5000):
        with pytest.raises(ImageError, match="truncated"):
            open_image(data[:-cut])


Primary = tuple[float, float]


def profile(red: Primary, green: Primary, blue: Primary) -> bytes:
    """Make an RGB profile of three primaries (x, y), gamma 1.8 and white D50: an ICC v2 file."""

    def fixed(*numbers: float) -> bytes:
        return b"".join(struct.pack(">i", round(x * 65536)) for x in numbers)

    white = np.array([0.9642, 1.0, 0.8249])
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (red, green, blue)]).T
    columns *= np.linalg.solve(columns, white)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + fixed(*white),
        b"rXYZ": b"XYZ " + bytes(4) + fixed(*columns[:, 0]),
        b"gXYZ": b"XYZ " + bytes(4) + fixed(*columns[:, 1]),
        b"bXYZ": b"XYZ " + bytes(4) + fixed(*columns[:, 2]),
    } | {
        name: b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256)) + bytes(2)
        for name in (b"rTRC", b"gTRC", b"bTRC")
    }
    body, table, place = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", place + len(body), len(value))
        body += value
    head = struct.pack(">II4s", place + len(body), 0, b"\x02\x10\0\0") + b"mntrRGB XYZ " + bytes(12)
    head += b"acsp" + bytes(28) + fixed(*white)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


PROPHOTO = profile((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_colour_profiles_are_applied(format_: str) -> None:
    # What sRGB calls (200, 60, 30), written in ProPhoto.
    image = Image.new("RGB", (16, 16), RED)
    wide = ImageCms.ImageCmsProfile(io.BytesIO(PROPHOTO))
    stored = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), wide, renderingIntent=ImageCms.Intent(1)
    )
    assert stored is not None
    assert np.abs(np.asarray(stored)[0, 0].astype(int) - RED).max() > 30
    options = {"quality": 100} if format_ in ("JPEG", "WEBP") else {}
    found = decode(encode(stored, format_, icc_profile=PROPHOTO, **options))
    assert found.note is None
    assert np.abs(np.asarray(found.image)[8, 8].astype(int) - RED).max() <= 4


def test_srgb_changes_nothing() -> None:
    image = noise()
    found = decode(encode(image, "PNG", icc_profile=SRGB))
    assert found.note is None
    assert found.image.tobytes() == image.tobytes()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1"])
@pytest.mark.parametrize("bad", [b"junk" * 50, LAB, SRGB[:300]])
def test_a_profile_that_cannot_be_used_is_ignored_with_a_note(mode: str, bad: bytes) -> None:
    image = noise(mode=mode)
    found = decode(encode(image, "PNG", icc_profile=bad))
    assert found.note == IGNORED_PROFILE
    assert found.image.tobytes() == open_image(encode(image, "PNG")).tobytes()


def test_a_profile_that_the_decoder_passes_over_is_noted() -> None:
    image = noise()
    png = encode(image, "PNG", icc_profile=bytes(3_000_000))
    assert decode(png).note == IGNORED_PROFILE
    assert decode(png).image.tobytes() == image.tobytes()
    broken = bytearray(encode(image, "PNG", icc_profile=PROPHOTO))
    place = broken.find(b"iCCP")
    broken[place + 20 : place + 24] = b"junk"
    crc = zlib.crc32(broken[place : place + 4 + struct.unpack_from(">I", broken, place - 4)[0]])
    struct.pack_into(">I", broken, place + 4 + struct.unpack_from(">I", broken, place - 4)[0], crc)
    assert decode(bytes(broken)).note == IGNORED_PROFILE
    jpeg = bytearray(encode(image, "JPEG", icc_profile=PROPHOTO))
    jpeg[jpeg.find(b"ICC_PROFILE\0") + 13] = 9  # the first of nine parts, which do not follow
    assert decode(bytes(jpeg)).note == IGNORED_PROFILE


def test_alpha_survives_a_profile() -> None:
    image = Image.new("RGBA", (4, 2), (*RED, 0))
    image.paste((*RED, 255), (0, 0, 2, 2))
    pixels = np.asarray(open_image(encode(image, "PNG", icc_profile=PROPHOTO)))
    assert (pixels[:, 2:] == 255).all()
    assert (pixels[:, 0] != 255).any()


def test_lab_is_read() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.new("RGB", (4, 4), RED), srgb, lab, outputMode="LAB")
    assert image is not None
    pixels = np.asarray(open_image(encode(image, "TIFF")))
    assert np.abs(pixels.astype(int) - RED).max() <= 2


@pytest.mark.parametrize("keyword", ["XML_com.adobe.xmp", "Comment"])
def test_a_png_with_a_large_text_is_read(keyword: str) -> None:
    image = noise()
    for packed in (False, True):
        info = PngImagePlugin.PngInfo()
        info.add_text(keyword.replace("_", ":"), "x" * 3_000_000, zip=packed)
        info.add_itxt(keyword.replace("_", ":"), "x" * 3_000_000, zip=packed)
        assert open_image(encode(image, "PNG", pnginfo=info)).tobytes() == image.tobytes()


def test_a_png_is_turned_as_its_xmp_says() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta tiff:Orientation="6"></x:xmpmeta>')
    info.add_text("Comment", "none")
    assert open_image(encode(noise(80, 64), "PNG", pnginfo=info)).size == (64, 80)


kinds = st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"IDAT", b"tIME"])


# No text begins with the keyword of one that stays.
bodies = st.binary().map(lambda body: b"\1" + body)


@given(st.lists(st.tuples(kinds, bodies)))
def test_only_texts_are_taken_out_of_a_png(chunks: list[tuple[bytes, bytes]]) -> None:
    def write(chunks: list[tuple[bytes, bytes]]) -> bytes:
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )

    left = [chunk for chunk in chunks if chunk[0] not in (b"tEXt", b"zTXt", b"iTXt")]
    assert pixels_only(io.BytesIO(write(chunks)))[0].read() == write(left)


def peak(code: str) -> int:
    """Run code in a process of its own: the most memory it held above its imports, in MB."""
    code = f"""
from gingham.images import *
from concurrent.futures import ThreadPoolExecutor

def highest():
    # Of this program alone: what getrusage says may be that of whoever started it.
    (peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(peak.split()[1])

before = highest()
{code}
print((highest() - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_large_file_that_is_no_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "film.mp4").open("wb") as file:
        file.truncate(3 << 30)
    code = f"""
try:
    hash_source({str(tmp_path / "film.mp4")!r})
except Exception as error:
    assert "zeros" in str(error), error
else:
    raise AssertionError
"""
    assert peak(code) < 20


def test_a_large_image_is_hashed_and_decoded_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    data = encode(noise(64, 64), "BMP")
    with path.open("wb") as file:
        file.write(data)
        file.truncate(5 * LARGE)
    code = f"""
assert hash_source({str(path)!r})[1] is None
with open_file({str(path)!r}) as file:
    assert open_image(file).size == (64, 64)
"""
    assert peak(code) < 2 * LARGE >> 20


def test_sixteen_bits_take_bounded_memory(tmp_path: Path) -> None:
    wide = (np.arange(5000 * 6000, dtype=np.uint32) % 65536).astype(np.uint16).reshape(5000, 6000)
    Image.fromarray(wide).save(tmp_path / "a.png", compress_level=1)
    code = f"""
data = read_file({str(tmp_path / "a.png")!r})
with ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda _: open_image(data) and None, range(4)))
"""
    # 30 megapixels: 60 MB as they are stored; grey 30, RGB 120; one result may still be held.
    assert peak(code) < 600


def test_a_large_jpeg_2000_takes_bounded_memory(tmp_path: Path) -> None:
    large = noise().resize((6400, 6400))
    large.save(tmp_path / "a.jp2")
    code = f"""
image = open_image(read_file({str(tmp_path / "a.jp2")!r}), draft=224)
assert image.size == (800, 800), image.size
"""
    # 41 megapixels, for which the decoder would take 0.8 GB.
    assert peak(code) < 100
    with pytest.raises(ImageError, match=r"6400x6400 pixels in one piece .*: save it in tiles"):
        open_image((tmp_path / "a.jp2").read_bytes())


def test_a_jpeg_2000_is_halved_as_often_as_it_may_be(tmp_path: Path) -> None:
    large = noise(mode="L").resize((6400, 6400))
    once = encode(large, "JPEG2000", num_resolutions=2)
    tiles = encode(large, "JPEG2000", num_resolutions=1, tile_size=(1024, 1024))
    assert open_image(once, draft=224).size == (3200, 3200)
    assert open_image(tiles, draft=224).size == open_image(tiles).size == (6400, 6400)


def test_no_outside_program_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho run >> {tmp_path / 'log'}\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    for kind in ("PostScript", "binary EPS", "PDF"):
        with pytest.raises(ImageError):
            open_image(REFUSED[kind][0])
    assert not (tmp_path / "log").exists()


def test_the_page_on_image_files_names_every_decoder_and_kind() -> None:
    page = (Path(__file__).parent.parent / "docs" / "image-files.md").read_text(encoding="utf-8")
    named = page.upper().replace("JPEG 2000", "JPEG2000")
    assert [name for name in DECODERS if name not in named] == []
    words = ("PostScript", "PDF", "SVG", "HTML", "S3", "JSON", "Git LFS", "JPEG XL", "DICOM", "WMF")
    assert [word for word in words if word not in page] == []


def test_a_damaged_tiff_is_told_once_and_nothing_else_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression="tiff_lzw")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[200:600] = b"\xff" * 400
    with pytest.raises(ImageError, match="damaged or truncated"):
        open_image(bytes(data))
    assert capfd.readouterr() == ("", "")
