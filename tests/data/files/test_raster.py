"""Rasters written by other libraries come back pixel by pixel, whole and by windows."""

import re
import threading

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from hsi_jax.data import Raster, ReadOptions, file_scene, nodata_mask, open_raster, read_raster
from hsi_jax.errors import InputError

TRANSFORM = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0)
ROWS, COLUMNS, BANDS = 37, 53, 5


def coded(rows=ROWS, columns=COLUMNS, bands=BANDS, dtype="int32"):
    """Each number tells its row, column and band; none is 0."""
    r, c, b = np.ogrid[1 : rows + 1, 1 : columns + 1, 1 : bands + 1]
    return (r * 10_000 + c * 100 + b).astype(dtype)


def write_tiff(path, array, **options):
    """By rasterio; `options` are those of GDAL, and what is set band by band."""
    later = {name: options.pop(name) for name in ("scales", "offsets", "mask") if name in options}
    profile = {"driver": "GTiff", "crs": "EPSG:32616", "transform": TRANSFORM, **options}
    rows, columns, bands = array.shape
    with rasterio.open(
        path, "w", height=rows, width=columns, count=bands, dtype=array.dtype, **profile
    ) as file:
        file.write(array.transpose(2, 0, 1))
        for name in ("scales", "offsets"):
            if name in later:
                setattr(file, name, later[name])
        if "mask" in later:
            file.write_mask(later["mask"])
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"interleave": "pixel", "compress": "deflate", "predictor": 2},
        {"tiled": True, "blockxsize": 16, "blockysize": 32, "compress": "lzw"},
        {"interleave": "band", "blockysize": 5, "compress": "zstd", "ENDIANNESS": "BIG"},
        {"BIGTIFF": "YES", "tiled": True, "blockxsize": 16, "blockysize": 16},
    ],
    ids=["plain", "deflate", "tiles", "strips", "big"],
)
def test_a_geotiff_by_rasterio(tmp_path, options):
    raster = read_raster(write_tiff(tmp_path / "a.tif", coded(), **options))
    np.testing.assert_array_equal(raster.array, coded())
    assert raster.array.dtype == np.int32
    assert raster.transform == tuple(TRANSFORM)[:6]
    assert rasterio.CRS.from_wkt(raster.crs) == rasterio.CRS.from_epsg(32616)
    assert (raster.nodata_values, raster.bad_bands, raster.wavelengths) == ((), (), None)
    assert raster.band_names == ()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_a_geotiff_by_tifffile(tmp_path, dtype, layout):
    array = (coded() % 251).astype(dtype)
    stored = array if layout == "contig" else array.transpose(2, 0, 1)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        photometric="minisblack",
        planarconfig=layout,
        byteorder=">",
        extrasamples=[0] * (BANDS - 1),
    )
    raster = read_raster(tmp_path / "a.tif")
    np.testing.assert_array_equal(raster.array, array)
    assert raster.array.dtype == np.dtype(dtype)
    assert raster.transform is None


def test_images_one_after_the_other_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", coded().transpose(2, 0, 1), photometric="minisblack")
    with pytest.raises(InputError, match="5 images"):
        read_raster(tmp_path / "a.tif")


def test_an_infrared_band_that_gdal_calls_alpha_is_a_band(tmp_path):
    array = (coded(bands=4) % 200).astype("uint8")
    array[3, 4, 3] = 0
    write_tiff(tmp_path / "a.tif", array)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.colorinterp[3] == rasterio.enums.ColorInterp.alpha
    raster = read_raster(tmp_path / "a.tif")
    np.testing.assert_array_equal(raster.array, array)
    assert raster.nodata_values == ()
    assert raster.opacity_bands == (3,)
    assert read_raster(f"{tmp_path / 'a.tif'},{tmp_path / 'a.tif'}").opacity_bands == (3, 7)
    (remark,) = file_scene(tmp_path / "a.tif").remarks
    assert re.search(r"bands 3 .* opacity \(alpha\).*`drop_bands`=3 leaves them out", remark)
    assert file_scene(tmp_path / "a.tif", reading=ReadOptions(drop_bands=(3,))).remarks == ()


def test_no_data_takes_the_whole_pixel(tmp_path):
    array = coded()
    array[2, 3, 1] = -9
    raster = read_raster(write_tiff(tmp_path / "a.tif", array, nodata=-9))
    expected = coded()
    expected[2, 3] = -9
    np.testing.assert_array_equal(raster.array, expected)
    assert raster.nodata_values == (-9,)
    assert np.argwhere(nodata_mask(raster.array, raster.nodata_values)).tolist() == [[2, 3]]


def test_zero_is_no_data_only_where_it_fills_the_spectrum(tmp_path):
    array = coded()
    array[2, 3, 1] = 0
    array[4, 5] = 0
    raster = read_raster(write_tiff(tmp_path / "a.tif", array, nodata=0))
    np.testing.assert_array_equal(raster.array, array)
    assert np.argwhere(nodata_mask(raster.array, raster.nodata_values)).tolist() == [[4, 5]]


@pytest.mark.parametrize("nodata", [np.nan, -3.4028234663852886e38, -99999.0])
def test_no_data_of_floats(tmp_path, nodata):
    array = coded(dtype="float32")
    array[2, 3] = nodata
    raster = read_raster(write_tiff(tmp_path / "a.tif", array, nodata=nodata))
    assert np.argwhere(nodata_mask(raster.array, raster.nodata_values)).tolist() == [[2, 3]]


def test_scale_and_offset_are_applied_after_no_data(tmp_path):
    array = coded(dtype="uint16")
    array[2, 3, 1] = 7
    scales, offsets = (0.5, 1, 2, 1e-4, 1), (0, 0, -5, 0, 100)
    write_tiff(tmp_path / "a.tif", array, nodata=7, scales=scales, offsets=offsets)
    raster = read_raster(tmp_path / "a.tif")
    expected = array * np.array(scales) + np.array(offsets)
    expected[2, 3] = np.nan
    assert raster.array.dtype == np.float32
    np.testing.assert_allclose(raster.array, expected, rtol=1e-6)
    assert np.isnan(raster.nodata_values)
    assert np.argwhere(nodata_mask(raster.array, raster.nodata_values)).tolist() == [[2, 3]]


@pytest.mark.parametrize("value", [-9999, 0])
@pytest.mark.parametrize("gap", [(), (slice(None), 0)], ids=["whole", "a gap"])
@pytest.mark.parametrize("dead", [None, 7, -9999, 0])
def test_a_geotiff_has_no_data_where_its_numbers_in_a_npy_file_have_none(
    tmp_path, value, gap, dead
):
    cube = coded(dtype="int16")
    if gap:
        cube[gap] = value
    if dead is not None:
        cube[..., 1] = dead
    write_tiff(tmp_path / "a.tif", cube, nodata=value)
    source = open_raster(tmp_path / "a.tif")
    ignored = () if dead is None else (1,)
    expected = nodata_mask(cube, (value,), ignored)
    found = source.read()
    np.testing.assert_array_equal(nodata_mask(found, source.nodata_values, ignored), expected)
    assert expected.any() == bool(gap)
    np.testing.assert_array_equal(found[~expected], cube[~expected])


def test_a_mask_inside_the_file(tmp_path):
    mask = np.full((ROWS, COLUMNS), 255, np.uint8)
    mask[2, 3] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write_tiff(tmp_path / "a.tif", coded(), mask=mask)
    raster = read_raster(tmp_path / "a.tif")
    assert np.argwhere(nodata_mask(raster.array, raster.nodata_values)).tolist() == [[2, 3]]
    np.testing.assert_array_equal(raster.array[mask > 0], coded()[mask > 0])


def test_wavelengths_and_names_of_bands(tmp_path):
    path = write_tiff(tmp_path / "a.tif", coded(bands=2))
    with rasterio.open(path, "r+") as file:
        for band, micrometres in ((1, "0.55"), (2, "0.86")):
            file.update_tags(band, wavelength=micrometres, wavelength_units="Micrometers")
            file.set_band_description(band, f"B{band}")
    raster = read_raster(path)
    np.testing.assert_allclose(raster.wavelengths, (550, 860))
    assert raster.band_names == ("B1", "B2")


def write_bands(folder, **options):
    """One file a band, B1 to B11; B9 and B10 would change places in alphabetical order."""
    array = coded(bands=11)
    for band in range(11):
        write_tiff(folder / f"B{band + 1}.tif", array[:, :, band : band + 1], **options)
    return array


def test_a_pattern_names_bands_in_the_order_of_numbers(tmp_path):
    array = write_bands(tmp_path)
    raster = read_raster(tmp_path / "B*.tif")
    np.testing.assert_array_equal(raster.array, array)
    assert raster.band_names[-2:] == ("B10", "B11")


def test_commas_name_bands_in_their_own_order(tmp_path):
    array = write_bands(tmp_path)
    path = f"{tmp_path}/B3.tif, {tmp_path}/B1.tif"
    np.testing.assert_array_equal(read_raster(path).array, array[:, :, [2, 0]])
    assert file_scene(path).name == tmp_path.name


def test_each_file_has_its_own_no_data_and_type(tmp_path):
    one, two = coded(bands=1, dtype="float32"), (coded(bands=1) % 1000).astype("int16")
    one[0, 0], two[1, 1] = -99999, -32768
    two[2, 2] = 999
    write_tiff(tmp_path / "B1.tif", one, nodata=-99999)
    write_tiff(tmp_path / "B2.tif", two, nodata=-32768)
    raster = read_raster(tmp_path / "B?.tif")
    missing = nodata_mask(raster.array, raster.nodata_values)
    assert np.argwhere(missing).tolist() == [[0, 0], [1, 1]]
    np.testing.assert_array_equal(raster.array[~missing], np.dstack([one, two])[~missing])


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"transform": TRANSFORM @ Affine.translation(0.5, 0)}, "transform"),
        ({"transform": TRANSFORM @ Affine.scale(1.001)}, "transform"),
        ({"crs": "EPSG:32617"}, "reference system"),
    ],
)
def test_files_of_another_grid_are_refused(tmp_path, other, word):
    write_tiff(tmp_path / "B1.tif", coded(bands=1))
    write_tiff(tmp_path / "B2.tif", coded(bands=1), **other)
    with pytest.raises(InputError, match=word):
        read_raster(tmp_path / "B*.tif")


def test_files_of_another_size_are_refused(tmp_path):
    write_tiff(tmp_path / "B1.tif", coded(bands=1))
    write_tiff(tmp_path / "B2.tif", coded(rows=ROWS + 1, bands=1))
    with pytest.raises(InputError, match="rows and columns"):
        read_raster(tmp_path / "B*.tif")


@pytest.mark.parametrize("name", ["none.tif", "none*.tif", "B1.tif,none.tif", "B1.tif,"])
def test_missing_files_are_named(tmp_path, name):
    write_tiff(tmp_path / "B1.tif", coded(bands=1))
    with pytest.raises(InputError, match="no file"):
        read_raster(",".join(f"{tmp_path}/{part}" if part else "" for part in name.split(",")))


def test_a_map_has_one_band(tmp_path):
    write_tiff(tmp_path / "a.tif", coded(bands=1))
    np.testing.assert_array_equal(read_raster(tmp_path / "a.tif", ndim=2).array, coded()[:, :, 0])
    write_tiff(tmp_path / "b.tif", coded(bands=2))
    with pytest.raises(InputError, match="2 bands"):
        read_raster(tmp_path / "b.tif", ndim=2)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same numbers behind every kind of source."""
    folder = tmp_path_factory.mktemp("sources")
    array = coded()
    write_tiff(folder / "a.tif", array, tiled=True, blockxsize=16, blockysize=16)
    write_tiff(folder / "a.img", array, driver="ENVI", interleave="bil")
    np.save(folder / "a.npy", array)
    np.save(folder / "fortran.npy", np.asfortranarray(array))
    np.savez(folder / "a.npz", cube=array)
    for band in range(BANDS):
        write_tiff(folder / f"B{band}.tif", array[:, :, band : band + 1])
    names = ("a.tif", "a.img", "a.hdr", "a.npy", "fortran.npy", "a.npz", "B*.tif")
    return [open_raster(folder / name) for name in names] + [Raster(array).source()]


slices = st.builds(slice, st.none() | st.integers(-70, 70), st.none() | st.integers(-70, 70))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(slices, slices)
def test_windows_are_those_of_numpy(sources, rows, columns):
    for source in sources:
        window = source.read(rows, columns)
        np.testing.assert_array_equal(window, coded()[rows, columns])
        assert source.shape == (ROWS, COLUMNS, BANDS)
        assert window.dtype == source.dtype == np.int32
        assert window.flags.c_contiguous


def test_threads_share_a_source(sources):
    wrong = []

    def read(start):
        for source in sources:
            rows = slice(start, start + 9)
            if not np.array_equal(source.read(rows), coded()[rows]):
                wrong.append(source)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(0, 30, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_window_of_a_npy_file_does_not_load_the_file(tmp_path):
    # 80 GB that take no room on the disk.
    shape = (100_000, 100_000, 2)
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", "float32", shape).flush()
    assert open_raster(tmp_path / "a.npy").read(slice(99_999, None), slice(0, 3)).shape == (1, 3, 2)


def test_a_file_larger_than_memory_is_read_by_windows_only(tmp_path):
    with rasterio.open(
        tmp_path / "a.tif",
        "w",
        driver="GTiff",
        width=1_000_000,
        height=1_000_000,
        count=3,
        dtype="float64",
        tiled=True,
        blockxsize=4096,
        blockysize=4096,
        compress="deflate",
        SPARSE_OK=True,
        BIGTIFF="YES",
        transform=TRANSFORM,
    ):
        pass
    assert open_raster(tmp_path / "a.tif").read(slice(0, 2), slice(0, 3)).shape == (2, 3, 3)
    with pytest.raises(InputError, match="memory"):
        read_raster(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compress": "deflate", "tiled": True}])
def test_cut_files_are_refused(tmp_path, options):
    path = write_tiff(tmp_path / "a.tif", coded(200, 200), blockysize=16, **options)
    content = path.read_bytes()
    for part in (0.0, 0.01, 0.3, 0.6, 0.95):
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(InputError, match=r"a\.tif"):
            read_raster(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_files_are_read_or_refused(tmp_path, changes):
    (tmp_path / "a.tif").unlink(missing_ok=True)
    path = write_tiff(tmp_path / "a.tif", coded(8, 9, 3), compress="deflate")
    content = bytearray(path.read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    path.write_bytes(content)
    try:
        source = open_raster(path)
        window = source.read(slice(0, 8), slice(0, 9))
    except InputError:
        return
    assert window.ndim == 3


def test_texts_of_another_encoding_are_no_traceback(tmp_path):
    text = '<GDALMetadata><Item name="DESCRIPTION" sample="0" role="description">h\u00f6he</Item>'
    content = f"{text}</GDALMetadata>".encode("latin-1")
    tag = (42112, "s", len(content), content, True)
    tifffile.imwrite(tmp_path / "a.tif", coded(bands=1)[:, :, 0], extratags=[tag])
    with pytest.raises(InputError, match=r"a\.tif"):
        read_raster(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.tif", "a.img"])
def test_a_missing_library_is_named(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "a.hdr").write_text("ENVI\n")
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    with pytest.raises(InputError, match="pip install rasterio"):
        read_raster(tmp_path / name)


def test_a_file_of_another_type_is_refused(tmp_path):
    (tmp_path / "a.tif").write_text("no picture")
    with pytest.raises(InputError, match=r"a\.tif"):
        read_raster(tmp_path / "a.tif")
    (tmp_path / "a.xyz").write_text("nothing")
    with pytest.raises(InputError, match=r"a\.hdr"):
        read_raster(tmp_path / "a.xyz")


def test_numbers_must_be_real(tmp_path):
    write_tiff(tmp_path / "a.tif", coded(dtype="complex64"))
    with pytest.raises(InputError, match="real"):
        read_raster(tmp_path / "a.tif")


def test_a_variable_belongs_to_files_of_arrays(tmp_path):
    write_tiff(tmp_path / "a.tif", coded())
    with pytest.raises(InputError, match="variable"):
        read_raster(tmp_path / "a.tif", "cube")


def test_the_advice_on_pages_of_a_tiff_helps(tmp_path):
    bands = np.random.default_rng(0).integers(1, 99, (4, 6, 7), np.uint8)
    labels = np.arange(42).reshape(6, 7) % 3
    np.save(tmp_path / "gt.npy", labels)
    tifffile.imwrite(tmp_path / "all.tif", bands, photometric="minisblack")
    with pytest.raises(InputError, match=r"4 images.*own file.*\.npy"):
        file_scene(tmp_path / "all.tif", tmp_path / "gt.npy")
    pages = tifffile.imread(tmp_path / "all.tif")
    np.save(tmp_path / "all.npy", pages)
    for number, page in enumerate(pages):
        tifffile.imwrite(tmp_path / f"B{number}.tif", page)
    for path in ("all.npy", "B*.tif"):
        scene = file_scene(tmp_path / path, tmp_path / "gt.npy")
        np.testing.assert_array_equal(scene.cube, np.moveaxis(bands, 0, 2))
