from __future__ import annotations

import contextlib
import io
import os
import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gingham.cli.console import pixel_limit
from gingham.errors import ImageError, InputError
from gingham.images import input_shape, input_shapes, load_image, open_image, read_file, resize
from gingham.options import PixelLimit

RED, WHITE = (220, 20, 30), (255, 255, 255)


def encode(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def near(array: np.ndarray, colour: tuple[int, int, int], tolerance: int = 6) -> bool:
    return bool((np.abs(array.astype(int) - colour) <= tolerance).all())


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
def test_reads_every_common_format(format_: str) -> None:
    pixels = load_image(encode(Image.new("RGB", (9, 7), RED), format_))
    assert pixels.shape == (7, 9, 3)
    assert pixels.dtype == np.uint8
    assert near(pixels, RED)


def heic(image: Image.Image) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif", reason="it comes with the extra `heif`")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95)
    return buffer.getvalue()


def test_heic_is_read_where_its_extra_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (64, 32), WHITE)
    image.paste(RED, (0, 0, 32, 32))
    data = heic(image)
    pixels = load_image(data)
    assert pixels.shape == (32, 64, 3)
    assert near(pixels[:, :28], RED)
    assert near(pixels[:, 36:], WHITE)
    with pytest.raises(ImageError, match="64x32 pixels"):
        load_image(data, max_pixels=100)
    with pytest.raises(ImageError, match="damaged or truncated"):
        load_image(data[: len(data) // 2])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"HEIC needs .* pip install 'gingham\[heif\]'"):
        load_image(data)


def test_alpha_is_laid_on_white() -> None:
    image = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 2, 2))
    pixels = load_image(encode(image, "PNG"))
    assert near(pixels[:, :2], RED)
    assert near(pixels[:, 2:], WHITE)


def test_half_transparent_mixes_with_white() -> None:
    pixels = load_image(encode(Image.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG"))
    assert near(pixels, (127, 127, 127), 1)


def test_grey_with_alpha_and_palette_with_transparency() -> None:
    assert near(load_image(encode(Image.new("LA", (2, 2), (10, 0)), "PNG")), WHITE)
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([*RED, *WHITE])
    assert near(load_image(encode(palette, "PNG")), RED)
    assert near(load_image(encode(palette, "PNG", transparency=0)), WHITE)


def test_transparent_colour_of_an_rgb_png() -> None:
    data = encode(Image.new("RGB", (2, 2), RED), "PNG", transparency=RED)
    assert near(load_image(data), WHITE)


def test_cmyk() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    pixels = load_image(encode(image, "JPEG"))
    assert pixels[..., 0].mean() > 200
    assert pixels[..., 1:].mean() < 60


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (65535, 255), (32768, 128), (257, 1)])
def test_sixteen_bits_are_scaled_not_clipped(value: int, expected: int) -> None:
    image = Image.fromarray(np.full((3, 3), value, np.uint16))
    for format_ in ("PNG", "TIFF"):
        assert near(load_image(encode(image, format_)), (expected,) * 3, 0)


def test_one_bit_and_grey() -> None:
    assert near(load_image(encode(Image.new("1", (3, 3), 1), "PNG")), WHITE, 0)
    assert near(load_image(encode(Image.new("L", (3, 3), 77), "PNG")), (77, 77, 77), 0)


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), c) for c in (RED, (0, 255, 0), (0, 0, 255))]
    for format_ in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encode(frames[0], format_, save_all=True, append_images=frames[1:])
        assert near(load_image(data), RED), format_


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = np.zeros((20, 30, 3), np.uint8)
    upright[:10, :15] = 255  # white in the upper left
    to_stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: a.transpose(1, 0, 2)[::-1],
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    }
    stored = Image.fromarray(np.ascontiguousarray(to_stored[orientation](upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(load_image(encode(stored, "PNG", exif=exif)), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_damaged_exif_leaves_the_pixels() -> None:
    data = encode(Image.new("RGB", (5, 4), RED), "JPEG", exif=b"Exif\0\0II*\0garbage")
    assert load_image(data).shape == (4, 5, 3)


def test_one_pixel() -> None:
    assert load_image(encode(Image.new("RGB", (1, 1), RED), "PNG")).shape == (1, 1, 3)


def test_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(encode(Image.new("RGB", (3, 2), RED), "PNG"))
    assert load_image(path).shape == (2, 3, 3)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(path)).write_bytes(encode(Image.new("RGB", (3, 2), RED), "PNG"))
    assert load_image(os.fsdecode(path)).shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "render it to PNG"),
        (b"<!DOCTYPE html><html></html>", "fetch it again"),
        (encode(Image.new("RGB", (64, 64), RED), "JPEG")[:400], "truncated"),
        (encode(Image.effect_noise((64, 64), 50), "PNG")[:-900], "truncated"),
        (b"\x89PNG\r\n\x1a\n", "damaged or truncated PNG"),
        (encode(Image.new("F", (2, 2), 0.5), "TIFF"), "floating-point"),
    ],
)
def test_bad_bytes_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        load_image(data)


def test_decompression_bomb_is_refused_before_decoding() -> None:
    with pytest.raises(ImageError, match=r"40x30 pixels, over the limit of 0\.001 megapixels"):
        open_image(encode(Image.new("RGB", (40, 30)), "PNG"), max_pixels=1000)


@pytest.mark.parametrize(
    ("limit", "advice"),
    [
        (1000, "make it smaller or raise max_pixels"),
        (pixel_limit(0.001), "make it smaller or raise --max-megapixels"),
        (PixelLimit(1000), "make it smaller"),
    ],
)
def test_an_image_that_is_too_large_says_what_who_asks_can_do(limit: int, advice: str) -> None:
    data = encode(Image.new("RGB", (40, 30)), "PNG")
    for one in (limit, pickle.loads(pickle.dumps(limit))):
        with pytest.raises(ImageError, match=f"megapixels: {advice}$"):
            open_image(data, max_pixels=one)


def test_a_limit_above_pillows_own_is_honoured() -> None:
    data = encode(Image.new("1", (20000, 10000)), "PNG")
    with pytest.raises(ImageError, match="over the limit of 100 megapixels"):
        open_image(data)
    assert open_image(data, max_pixels=300_000_000).size == (20000, 10000)


def test_threads_keep_their_own_limit_and_nothing_changes_for_the_process() -> None:
    data = encode(Image.new("1", (10000, 10000)), "PNG")  # Pillow would warn from 89 megapixels on
    small = encode(Image.new("RGB", (40, 30)), "GIF")
    before, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)

    def read(number: int) -> str:
        allowed = number % 2 == 0
        try:
            size = open_image(data, max_pixels=10**8 if allowed else 10**6 * number).size
        except ImageError as error:
            return str(error)
        return f"{allowed} {size} {open_image(small, max_pixels=1200).size}"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(32)))
    for number, said in enumerate(found):
        if number % 2:
            assert said.startswith(f"10000x10000 pixels, over the limit of {number} megapixels")
        else:
            assert said == "True (10000, 10000) (40, 30)"
    assert (before, filters) == (Image.MAX_IMAGE_PIXELS, list(warnings.filters))


def test_every_format_that_pillow_opens_is_identified_alike() -> None:
    picture = Image.linear_gradient("L").convert("RGB")
    for name in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "TGA", "PCX", "JPEG2000"):
        data = encode(picture, name)
        seen = Image.open(io.BytesIO(data)).convert("RGB")
        assert open_image(data).tobytes() == seen.tobytes(), name


def test_a_limit_that_only_pillow_sets_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Image.new("RGB", (40, 30)), "WEBP")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="over Pillow's own limit for this format"):
        open_image(data)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        read_file(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match="not a regular file"):
        read_file(tmp_path)
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match="empty"):
        read_file(tmp_path / "empty.jpg")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="not a regular file"):
        read_file(tmp_path / "pipe")
    with pytest.raises(ImageError, match="null"):
        read_file("a\0b")
    with pytest.raises(ImageError, match="nowhere"):
        load_image(tmp_path / "nowhere.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encode(Image.new("RGB", (2, 2)), "PNG"))
    path.chmod(0)
    with pytest.raises(ImageError, match="permissions"):
        read_file(path)


@given(st.binary(max_size=300), st.integers(0, 900))
def test_no_bytes_raise_anything_else(junk: bytes, cut: int) -> None:
    picture = encode(Image.new("RGB", (16, 16), RED), "JPEG")
    for data in (junk, picture[:cut] + junk, picture[:40] + junk + picture[40:]):
        with contextlib.suppress(ImageError):
            assert load_image(data).ndim == 3


def test_draft_keeps_twice_the_size() -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 255, (20, 30, 3), np.uint8)).resize((1600, 1200))
    data = encode(smooth, "JPEG", quality=95)
    small = open_image(data, draft=224)
    assert small.size == (800, 600)
    ours = resize(small, 224, interpolation="bicubic").astype(int)
    full = resize(open_image(data), 224, interpolation="bicubic").astype(int)
    assert np.abs(ours - full).mean() < 1.5


def test_resize_cuts_and_mirrors() -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[:, 5:] = 255
    image = Image.fromarray(pixels)
    assert near(resize(image, 4, interpolation="bilinear", box=(0.6, 0, 1, 1)), WHITE, 0)
    plain = resize(image, 8, interpolation="bicubic")
    assert np.array_equal(resize(image, 8, interpolation="bicubic", mirror=True), plain[:, ::-1])


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.1, 1.0))
def test_the_middle_square_is_what_pillow_fits(width: int, height: int, crop: float) -> None:
    rng = np.random.default_rng(width * 60 + height)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    ours = resize(image, 8, interpolation="bicubic", crop=crop).astype(int)
    theirs = ImageOps.fit(image, (8, 8), Image.Resampling.BICUBIC, bleed=(1 - crop) / 2)
    assert np.abs(ours - np.asarray(theirs).astype(int)).max() <= 1


def test_a_box_is_a_part_of_what_is_read() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 13:17] = 255
    image = Image.fromarray(pixels)
    middle = (0.4, 0.0, 0.6, 1.0)
    assert near(resize(image, 4, interpolation="bilinear", crop=1.0, box=middle), WHITE, 0)
    assert not near(resize(image, 4, interpolation="bilinear", box=middle), WHITE, 0)


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([160, 224, 288, 320]))
def test_a_whole_image_is_read_in_the_shape_nearest_to_its_own(
    width: int, height: int, size: int
) -> None:
    wide, high = input_shape(width, height, size)
    assert wide % 32 == high % 32 == 0
    assert abs(wide * high - size**2) <= size**2 / 7
    assert max(wide, high) <= 4 * min(wide, high)
    assert input_shape(height, width, size) == (high, wide)
    assert input_shape(3 * width, 3 * height, size) == (wide, high)
    changes = [max(a * height / (b * width), b * width / (a * height)) for a, b in all_shapes(size)]
    assert max(wide * height / (high * width), high * width / (wide * height)) == pytest.approx(
        min(changes)
    )


def all_shapes(size: int) -> list[tuple[int, int]]:
    sides = range(32, 4 * size + 1, 32)
    return [
        (a, b)
        for a in sides
        for b in sides
        if 6 * size**2 <= 7 * a * b <= 8 * size**2 and a <= 4 * b and b <= 4 * a
    ]


def test_common_photos_are_hardly_stretched() -> None:
    assert input_shape(500, 500, 224) == (224, 224)
    assert input_shape(3000, 4000, 224) == (192, 256)
    assert input_shape(6000, 4000, 224) == (288, 192)
    assert input_shape(100, 1000, 224) == (128, 448)
    for size in (224, 320):
        assert sorted(input_shapes(size)) == sorted(all_shapes(size))
        for width, height in ((1, 1), (5, 4), (4, 3), (3, 2), (16, 9), (2, 1)):
            wide, high = input_shape(width, height, size)
            assert 0.9 < wide * height / (high * width) < 1.11


def test_all_of_an_image_is_resized_to_its_shape() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (400, 300, 3), np.uint8))
    whole = resize(image, 224, interpolation="bicubic", keep_aspect=True)
    assert np.array_equal(whole, np.asarray(image.resize((192, 256), Image.Resampling.BICUBIC)))
    half = (0, 0, 0.5, 1)
    part = resize(image, 224, interpolation="bicubic", keep_aspect=True, box=half, mirror=True)
    made = image.resize((192, 256), Image.Resampling.BICUBIC, box=(0, 0, 150, 400))
    assert np.array_equal(part, np.asarray(made)[:, ::-1])


def test_arrays_are_checked() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    assert load_image(pixels) is pixels
    with pytest.raises(InputError, match=r"\(2, 3\)"):
        load_image(pixels[..., 0])
    with pytest.raises(InputError, match="float32"):
        load_image(pixels.astype(np.float32))
