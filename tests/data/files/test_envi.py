"""ENVI files written by SPy and by hand come back pixel by pixel, or are refused."""

import re

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spectral.io import envi

from hsi_jax.data import file_scene, nodata_mask, open_raster, read_raster
from hsi_jax.errors import InputError, InputWarning

ROWS, COLUMNS, BANDS = 7, 11, 4


def coded(dtype="int16"):
    """Each number tells its row, column and band; none is 0."""
    r, c, b = np.ogrid[1 : ROWS + 1, 1 : COLUMNS + 1, 1 : BANDS + 1]
    return (r * 1000 + c * 10 + b).astype(dtype)


def write(folder, array=None, interleave="bsq", **fields):
    """A file by SPy; `fields` of the header have _ for spaces."""
    array = coded() if array is None else array
    metadata = {name.replace("_", " "): value for name, value in fields.items()}
    byte_order = metadata.pop("byte order", 0)
    envi.save_image(
        str(folder / "a.hdr"),
        array,
        dtype=array.dtype,
        interleave=interleave,
        byteorder=byte_order,
        metadata=metadata,
        force=True,
    )
    return folder / "a.img"


def add_to_header(folder, text):
    header = folder / "a.hdr"
    header.write_text(header.read_text() + text + "\n")


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("byte_order", [0, 1])
@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float32", "float64"])
def test_interleave_byte_order_and_type(tmp_path, interleave, byte_order, dtype):
    write(tmp_path, coded(dtype), interleave, byte_order=byte_order)
    for name in ("a.img", "a.hdr"):
        raster = read_raster(tmp_path / name)
        np.testing.assert_array_equal(raster.array, coded(dtype))
        assert raster.array.dtype == np.dtype(dtype)
        assert (raster.crs, raster.transform, raster.wavelengths) == (None, None, None)


def test_bytes_before_the_numbers(tmp_path):
    path = write(tmp_path)
    path.write_bytes(b"x" * 123 + path.read_bytes())
    header = (tmp_path / "a.hdr").read_text()
    (tmp_path / "a.hdr").write_text(re.sub(r"header offset = \d+", "header offset = 123", header))
    np.testing.assert_array_equal(read_raster(path).array, coded())


def test_what_the_header_says(tmp_path):
    array = coded()
    array[2, 3, 1] = -50
    write(
        tmp_path,
        array,
        "bil",
        reflectance_scale_factor="10000",
        data_ignore_value="-50",
        wavelength=["0.45", "0.55", "0.65", "2.2"],
        wavelength_units="Micrometers",
        bbl=["1", "1", "0", "1"],
        band_names=["blue", "green", "red", "infrared"],
        map_info=["UTM", "1", "1", "500000", "4000000", "30", "20", "16", "North", "WGS-84"],
    )
    raster = read_raster(tmp_path / "a.hdr")
    np.testing.assert_allclose(raster.wavelengths, (450, 550, 650, 2200))
    assert raster.bad_bands == (2,)
    assert raster.band_names == ("blue", "green", "red", "infrared")
    assert raster.transform == (30, 0, 500_000, 0, -20, 4_000_000)
    assert rasterio.CRS.from_wkt(raster.crs) == rasterio.CRS.from_epsg(32616)
    missing = nodata_mask(raster.array, raster.nodata_values)
    assert np.argwhere(missing).tolist() == [[2, 3]]
    np.testing.assert_allclose(raster.array[~missing], array[~missing] / 10000, rtol=1e-6)
    scene = file_scene(tmp_path / "a.hdr")
    np.testing.assert_array_equal(scene.nodata, missing)
    np.testing.assert_allclose(scene.wavelengths, raster.wavelengths)
    assert (scene.crs, scene.transform) == (raster.crs, raster.transform)


def test_gains_and_offsets(tmp_path):
    gains, offsets = (1.0, 2.0, 0.5, 0.1), (0.0, -1.0, 3.0, 0.0)
    write(tmp_path, data_gain_values=list(gains), data_offset_values=list(offsets))
    np.testing.assert_allclose(
        read_raster(tmp_path / "a.hdr").array, coded() * gains + offsets, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("Nanometers", (450, 550, 650, 750), (450, 550, 650, 750)),
        ("um", (0.45, 0.55, 0.65, 0.75), (450, 550, 650, 750)),
        ("Unknown", (0.45, 0.55, 0.65, 14.0), (450, 550, 650, 14000)),
        (None, (450, 550, 650, 750), (450, 550, 650, 750)),
        ("Wavenumber", (10000, 12500, 20000, 25000), (1000, 800, 500, 400)),
    ],
)
def test_units_of_wavelengths(tmp_path, unit, values, expected):
    write(tmp_path, wavelength=list(values), **({"wavelength_units": unit} if unit else {}))
    np.testing.assert_allclose(read_raster(tmp_path / "a.hdr").wavelengths, expected)


def test_wavelengths_of_no_unit_of_length_are_left_out(tmp_path):
    write(tmp_path, wavelength=[1, 2, 3, 4], wavelength_units="Index")
    with pytest.warns(InputWarning, match="Index"):
        assert read_raster(tmp_path / "a.hdr").wavelengths is None


def test_field_names_in_capitals(tmp_path):
    write(tmp_path)
    header = (tmp_path / "a.hdr").read_text().replace("data type", "Data Type")
    (tmp_path / "a.hdr").write_text(header + "Wavelength = {400, 500, 600, 700}\nBBL={1,0,1,1}\n")
    raster = read_raster(tmp_path / "a.hdr")
    np.testing.assert_array_equal(raster.array, coded())
    np.testing.assert_allclose(raster.wavelengths, (400, 500, 600, 700))
    assert raster.bad_bands == (1,)


def test_a_header_of_another_encoding(tmp_path):
    path = write(tmp_path, wavelength=[0.4, 0.5, 0.6, 0.7])
    header = (
        (tmp_path / "a.hdr")
        .read_bytes()
        .replace(b"wavelength =", "h\u00f6he = {\u00b5,\n 2}\nwavelength =".encode("latin-1"))
    )
    (tmp_path / "a.hdr").write_bytes(
        header + "; caf\u00e9 = {\nwavelength units = \u00b5m\n".encode("latin-1")
    )
    np.testing.assert_array_equal(read_raster(path).array, coded())
    np.testing.assert_allclose(read_raster(path).wavelengths, (400, 500, 600, 700))


def test_classes_and_their_names(tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (ROWS, COLUMNS)).astype("uint8")
    np.save(tmp_path / "cube.npy", coded())
    envi.save_classification(
        str(tmp_path / "map.hdr"), ids, class_names=["Unclassified", "corn", "soy"]
    )
    scene = file_scene(tmp_path / "cube.npy", tmp_path / "map.hdr")
    np.testing.assert_array_equal(scene.labels, ids.astype(int) - 1)
    assert scene.class_names == ("corn", "soy")


@pytest.mark.parametrize("name", ["a", "a.dat", "a.IMG", "a.bil"])
def test_the_header_finds_its_file(tmp_path, name):
    write(tmp_path, interleave="bil").rename(tmp_path / name)
    np.testing.assert_array_equal(read_raster(tmp_path / "a.hdr").array, coded())
    np.testing.assert_array_equal(read_raster(tmp_path / name).array, coded())


def test_the_whole_name_of_the_file_stands_in_that_of_the_header(tmp_path):
    write(tmp_path)
    (tmp_path / "a.hdr").rename(tmp_path / "a.img.hdr")
    np.testing.assert_array_equal(read_raster(tmp_path / "a.img.hdr").array, coded())
    np.testing.assert_array_equal(read_raster(tmp_path / "a.img").array, coded())


def test_it_is_asked_which_file_is_meant(tmp_path):
    path = write(tmp_path)
    (tmp_path / "a.dat").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.dat"):
        read_raster(tmp_path / "a.hdr")
    np.testing.assert_array_equal(read_raster(path).array, coded())
    path.unlink()
    (tmp_path / "a.dat").unlink()
    with pytest.raises(InputError, match=r"a\.img"):
        read_raster(tmp_path / "a.hdr")


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("change", [-1, -100, 1, 22])
def test_a_file_of_another_size_is_refused(tmp_path, interleave, change):
    path = write(tmp_path, interleave=interleave)
    content = path.read_bytes()
    path.write_bytes(content[:change] if change < 0 else content + b"x" * change)
    with pytest.raises(InputError, match="bytes"):
        read_raster(path)


@pytest.mark.parametrize(
    ("pattern", "text", "word"),
    [
        (r"lines = \d+", "lines = 8", "bytes"),
        (r"samples = \d+", "samples = -3", "a.img"),
        (r"samples = \d+\n", "", "a.img"),
        (r"bands = \d+\n", "", "a.img"),
        (r"data type = \d+", "data type = 6", "a.img"),
        (r"data type = \d+", "data type = 77", "a.img"),
        (r"data type = \d+\n", "", "data type"),
        (r"interleave = \w+", "interleave = bxp", "a.img"),
        (r"interleave = \w+\n", "", "interleave"),
        (r"byte order = \d+\n", "", "byte order"),
        (r"ENVI\n", "", "a.img"),
    ],
)
def test_wrong_headers_are_refused(tmp_path, pattern, text, word):
    path = write(tmp_path)
    header = (tmp_path / "a.hdr").read_text()
    changed = re.sub(pattern, text, header)
    assert changed != header
    (tmp_path / "a.hdr").write_text(changed)
    with pytest.raises(InputError, match=word):
        read_raster(path)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("wavelength = {400, 500, 600}", "wavelength"),
        ("wavelength = {400, 500, x, 600}", "wavelength"),
        ("bbl = {1, 0}", "bbl"),
        ("reflectance scale factor = 0", "scale factor"),
        ("reflectance scale factor = much", "scale factor"),
    ],
)
def test_wrong_fields_are_named(tmp_path, line, word):
    path = write(tmp_path)
    add_to_header(tmp_path, line)
    with pytest.raises(InputError, match=word):
        read_raster(path)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_headers_are_read_or_refused(tmp_path, data):
    path = write(tmp_path, wavelength=[400, 500, 600, 700], bbl=[1, 1, 1, 0])
    header = (tmp_path / "a.hdr").read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(header)))
        end = data.draw(st.integers(start, min(len(header), start + 8)))
        header = header[:start] + data.draw(st.binary(max_size=4)) + header[end:]
    (tmp_path / "a.hdr").write_bytes(header)
    try:
        source = open_raster(path)
        array = source.read()
    except InputError:
        return
    rows, columns, bands = source.shape
    assert array.shape == (rows, columns, bands)
    # A header that still fits the file describes each of its numbers.
    assert rows * columns * bands * array.dtype.itemsize <= 2 * path.stat().st_size


def test_the_header_of_another_file_is_not_taken(tmp_path):
    header = "ENVI\nsamples = 4\nlines = 3\nbands = {}\ninterleave = {}\ndata type = 1\n"
    values = np.arange(24, dtype=np.uint8)
    (tmp_path / "x.bsq").write_bytes(values.tobytes())
    (tmp_path / "x.bsq.hdr").write_text(header.format(2, "bsq"))
    expected = values.reshape(2, 3, 4).transpose(1, 2, 0)
    for name in ("x.bsq", "x.bsq.hdr"):
        np.testing.assert_array_equal(read_raster(tmp_path / name).array, expected)
    (tmp_path / "x.img").write_bytes(values.tobytes())
    (tmp_path / "x.hdr").write_text(header.format(2, "bip"))
    for name in ("x.img", "x.hdr"):
        found = read_raster(tmp_path / name).array
        np.testing.assert_array_equal(found, values.reshape(3, 4, 2))
    for name in ("x.bsq", "x.bsq.hdr"):
        with pytest.raises(InputError, match="two headers"):
            read_raster(tmp_path / name)
