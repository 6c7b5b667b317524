"""Pictures of many bands and of other types than 8 bits, put together byte by byte."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from hsi_jax.data.images.picture import picture_facts, read_picture
from hsi_jax.errors import InputError

RNG = np.random.default_rng(0)


def noise(*shape, dtype="uint16"):
    kind = np.dtype(dtype).kind
    values = RNG.normal(size=shape) if kind == "f" else RNG.integers(0, 120, shape)
    return values.astype(dtype)


def tiff(pixels, *, photometric=1, order="<", planar=1, orientation=1, extra=(), deflated=False):
    """A TIFF of one strip a plane, by its specification (TIFF 6.0)."""
    rows, columns, bands = pixels.shape
    planes = [pixels[..., k] for k in range(bands)] if planar == 2 else [pixels]
    strips = [plane.astype(pixels.dtype.newbyteorder(order)).tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if deflated else strips
    starts = np.cumsum([8, *map(len, strips)]).tolist()
    tags = {
        **{256: [columns], 257: [rows], 258: [8 * pixels.itemsize] * bands},
        **{259: [8 if deflated else 1], 262: [photometric], 273: starts[:-1], 274: [orientation]},
        **{277: [bands], 278: [rows], 279: [len(strip) for strip in strips], 284: [planar]},
        **{339: [{"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]] * bands},
        **({338: [*extra]} if extra else {}),
    }
    after = starts[-1] + 2 + 12 * len(tags) + 4
    entries, rest = b"", b""
    for tag in sorted(tags):
        values = struct.pack(f"{order}{len(tags[tag])}I", *tags[tag])
        entries += struct.pack(f"{order}HHI", tag, 4, len(tags[tag]))
        if len(values) > 4:
            values, rest = struct.pack(f"{order}I", after + len(rest)), rest + values
        entries += values
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, starts[-1])
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + b"".join(strips) + directory + rest


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 12, 13, 20])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "float32"])
def test_a_tiff_gives_all_its_bands(bands, dtype):
    pixels = noise(5, 7, bands, dtype=dtype)
    data = tiff(pixels)
    facts = picture_facts(data, "it")
    assert (facts.shape, facts.dtype) == ((5, 7, bands), np.dtype(dtype))
    np.testing.assert_array_equal(read_picture(data, "it"), pixels)
    assert read_picture(data, "it").dtype == dtype


@pytest.mark.parametrize(
    "coding",
    [
        {"order": ">"},
        {"planar": 2},
        {"deflated": True},
        {"planar": 2, "deflated": True, "order": ">"},
        {"photometric": 2, "extra": (0,)},
        {"photometric": 2, "extra": (2,)},
        {"photometric": 1, "extra": (0, 0, 0)},
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_four_bands_stay_four_however_they_are_coded(coding, dtype):
    pixels = noise(5, 7, 4, dtype=dtype)
    np.testing.assert_array_equal(read_picture(tiff(pixels, **coding), "it"), pixels)


def test_a_band_called_opacity_is_said_to_be_kept():
    opaque = tiff(noise(5, 7, 4, dtype="uint8"), photometric=2, extra=(2,))
    assert "opacity" in picture_facts(opaque, "it").remark
    assert picture_facts(tiff(noise(5, 7, 4)), "it").remark == ""


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "uint64"])
def test_types_that_devices_lack_become_float32(dtype, tmp_path):
    pixels = noise(5, 7, 2, dtype=dtype)
    np.save(tmp_path / "it.npy", pixels)
    found = read_picture(tmp_path / "it.npy", "it")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, pixels.astype(np.float32))
    assert picture_facts(tmp_path / "it.npy", "it").dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 7), (5, 7, 1)),
        ((5, 7, 13), (5, 7, 13)),
        ((3, 7, 7), (7, 7, 3)),
        ((2, 8, 9), (8, 9, 2)),
        ((3, 8, 9), (3, 8, 9)),
        ((7, 7, 13), (7, 7, 13)),
        ((7, 7, 7), (7, 7, 7)),
    ],
)
@pytest.mark.parametrize("ending", [".npy", ".tif"])
def test_arrays_of_unknown_axes(shape, expected, ending, tmp_path):
    """As NumPy and tifffile write them, where only the sizes tell what the bands are."""
    pixels = noise(*shape)
    if ending == ".npy":
        np.save(tmp_path / "it.npy", pixels)
    else:
        tifffile.imwrite(tmp_path / "it.tif", pixels, photometric="minisblack")
    found = read_picture(tmp_path / f"it{ending}", "it")
    facts = picture_facts(tmp_path / f"it{ending}", "it")
    assert found.shape == facts.shape == expected
    turned = expected[2] == shape[0] and expected != shape
    np.testing.assert_array_equal(
        found, pixels.transpose(1, 2, 0) if turned else pixels.reshape(expected)
    )
    assert ("first axis" in facts.remark) == turned


def test_pages_of_one_size_are_bands(tmp_path):
    pages = [Image.fromarray(page) for page in noise(3, 5, 7, dtype="uint8")]
    pages[0].save(tmp_path / "it.tif", save_all=True, append_images=pages[1:])
    found = read_picture(tmp_path / "it.tif", "it")
    np.testing.assert_array_equal(found, np.dstack([np.asarray(page) for page in pages]))
    pages[1] = Image.fromarray(noise(6, 7, dtype="uint8"))
    pages[0].save(tmp_path / "it.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="pictures"):
        read_picture(tmp_path / "it.tif", "it")


def test_small_versions_of_a_tiff_are_no_bands(tmp_path):
    pixels = noise(64, 64, 5)
    with tifffile.TiffWriter(tmp_path / "it.tif") as file:
        file.write(pixels, photometric="minisblack", planarconfig="contig", subifds=0)
        file.write(pixels[::2, ::2], photometric="minisblack", planarconfig="contig", subfiletype=1)
    np.testing.assert_array_equal(read_picture(tmp_path / "it.tif", "it"), pixels)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_colours_of_eight_bits_are_read_in_every_coding(compression, tmp_path):
    pixels = noise(5, 7, 3, dtype="uint8")
    Image.fromarray(pixels).save(tmp_path / "it.tif", compression=compression)
    np.testing.assert_array_equal(read_picture(tmp_path / "it.tif", "it"), pixels)


def test_a_coding_that_needs_a_package_names_it(monkeypatch):
    def lacking(*_, **__):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lacking)
    with pytest.raises(InputError, match="imagecodecs"):
        read_picture(tiff(noise(5, 7, 4)), "it")


def upright(pixels, orientation):
    """By the definition: what the first stored row and column are when it is seen upright."""
    places = [
        *("top left", "top right", "bottom right", "bottom left"),
        *("left top", "right top", "right bottom", "left bottom"),
    ]
    row, column = places[orientation - 1].split()
    if row in ("left", "right"):  # the first row is seen as a column
        pixels, row, column = pixels.swapaxes(0, 1), column, row
    pixels = pixels[::-1] if row == "bottom" else pixels
    return pixels[:, ::-1] if column == "right" else pixels


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff 8", "tiff 16"])
def test_a_picture_is_turned_upright(orientation, kind, tmp_path):
    pixels = noise(5, 7, 3, dtype="uint8" if kind != "tiff 16" else "uint16")
    path = tmp_path / "it"
    if kind == "png":
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(path, "PNG", exif=exif)
    else:
        path.write_bytes(tiff(pixels, photometric=2, orientation=orientation))
    expected = upright(pixels, orientation)
    np.testing.assert_array_equal(read_picture(path, "it"), expected)
    assert picture_facts(path, "it").shape == expected.shape
    if kind == "png":
        remark = picture_facts(path, "it").remark
        assert ("EXIF" in remark) == (orientation != 1)


def deep_png(pixels):
    """16 bits in colour or with opacity, which PIL cannot write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows, columns, planes = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[planes]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 16, colour, 0, 0, 0))
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    data = chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_a_png_of_16_bits_keeps_them(planes):
    pixels = RNG.integers(0, 2**16, (5, 7, planes)).astype(np.uint16)
    if planes in (2, 4):
        with pytest.raises(InputError, match="transparent"):
            read_picture(deep_png(pixels), "it")
        pixels[..., -1] = 65535
    bands = pixels[..., :-1] if planes in (2, 4) else pixels
    data = deep_png(pixels)
    np.testing.assert_array_equal(read_picture(data, "it"), bands)
    facts = picture_facts(data, "it")
    assert (facts.shape, facts.dtype) == (bands.shape, np.uint16)
    assert ("opacity" in facts.remark) == (planes in (2, 4))


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_jpeg_2000(mode, tmp_path):
    dtype, shape = ("uint8", (16, 16, 3)) if mode == "RGB" else ("uint16", (16, 16))
    pixels = RNG.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "it.jp2")
    found = read_picture(tmp_path / "it.jp2", "it")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels.reshape(16, 16, -1))


def test_formats_of_which_bits_would_be_lost_are_refused():
    lines = RNG.integers(0, 2**16, (5, 7, 3)).astype(">u2").tobytes()
    with pytest.raises(InputError, match="8 bits"):
        read_picture(b"P6 7 5 65535\n" + lines, "it")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(value, tmp_path):
    pixels = noise(5, 7, 4, dtype="float64")
    pixels[2, 3, 1] = value
    np.save(tmp_path / "it.npy", pixels)
    with np.errstate(over="ignore"), pytest.raises(InputError, match="it has values"):
        read_picture(tmp_path / "it.npy", "it")


@pytest.mark.parametrize("pixels", [np.array("x"), np.zeros((2, 3), complex), np.zeros(3)])
def test_an_npy_that_is_no_image_is_refused(pixels, tmp_path):
    np.save(tmp_path / "it.npy", pixels)
    with pytest.raises(InputError, match="it holds"):
        read_picture(tmp_path / "it.npy", "it")


def test_huge_pictures_are_refused_for_what_they_are(tmp_path, monkeypatch):
    Image.new("1", (19_000, 19_000)).save(tmp_path / "it.png")
    with pytest.raises(InputError, match="361000000 pixels"):
        picture_facts(tmp_path / "it.png", "it")
    claims = tiff(noise(5, 7, 4)).replace(struct.pack("<I", 7), struct.pack("<I", 2**28), 1)
    with pytest.raises(InputError, match="pixels"):
        picture_facts(claims, "it")
    monkeypatch.setattr("hsi_jax.data.images.picture.free_memory", lambda: 100)
    with pytest.raises(InputError, match="memory"):
        picture_facts(tiff(noise(5, 7, 4)), "it")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("deflated", [False, True])
def test_a_tiff_cut_short_is_named(keep, deflated, tmp_path):
    tifffile.imwrite(
        tmp_path / "it.tif",
        noise(40, 40, 4),
        photometric="minisblack",
        planarconfig="contig",
        compression="zlib" if deflated else None,
    )
    data = (tmp_path / "it.tif").read_bytes()
    with pytest.raises(InputError, match="it cannot be read"):
        read_picture(data[: int(keep * len(data))], "it")


@pytest.mark.parametrize("dtype", ["uint16", "float32", "uint8"])
def test_resizing_many_bands_keeps_a_constant_and_the_mean(dtype, tmp_path):
    pixels = np.zeros((8, 8, 5), dtype)
    pixels[..., 0] = 9
    pixels[..., 4] = np.indices((8, 8)).sum(0) % 2 * 200
    np.save(tmp_path / "it.npy", pixels)
    small = read_picture(tmp_path / "it.npy", "it", size=(4, 4))
    assert small.dtype == dtype
    assert (small[..., 0] == 9).all()
    assert abs(small[1:-1, 1:-1, 4].astype(float) - 100).max() <= 1


def test_a_value_that_a_tiff_declares_as_no_data_is_told(tmp_path):
    path = tmp_path / "it.tif"
    pixels = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)
    tags = [(42113, "s", 0, "-9999", True)]
    tifffile.imwrite(path, pixels, photometric="minisblack", extratags=tags)
    assert "-9999, which the file declares as no data" in picture_facts(path, "it").remark
    tifffile.imwrite(path, pixels, photometric="minisblack")
    assert "no data" not in picture_facts(path, "it").remark
