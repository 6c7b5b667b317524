"""Cubes as people have them: axes, types, no data, and files that are not what they seem."""

import pickle

import numpy as np

from tests.field.cases.make_cubes import (
    CUBE,
    EDGE,
    LABELS,
    LINE,
    LOWEST,
    SPOT,
    claims,
    cube_case,
    cut,
    filled,
    in_bands,
    memmap,
    npz,
    same,
    spotted,
    swapped,
    symlink_loop,
    write,
)
from tests.field.cases.scenes import npy, scene_case

CASES = [
    cube_case("int16", CUBE),
    *(
        cube_case(f"dtype {d}", CUBE.astype(d))
        for d in ("u2", ">i2", ">f4", "<f8", "g", "i8", "u8", "f2")
    ),
    cube_case("reflectance 0 to 1, float16", (CUBE / 3000).astype("f2")),
    cube_case("uint8", (CUBE / 16).clip(0, 255).astype("u1")),
    cube_case("negative reflectance", (CUBE.astype("f4") - 2000) / 3000),
    cube_case("tiny, 1e-12", CUBE.astype("f8") * 1e-15),
    cube_case("tiny, 1e-40", CUBE.astype("f8") * 1e-42),
    cube_case("large, 1e12", CUBE.astype("f8") * 1e9),
    cube_case("large, 1e36", CUBE.astype("f8") * 1e33),
    cube_case("beyond float32", CUBE.astype("f8") * 1e40),
    cube_case("large offset in float64", CUBE.astype("f8") + 1e9),
    cube_case("int64 at 2**60", CUBE.astype("i8") + 2**60),
    cube_case("uint32 at its end", (2**32 - 1 - CUBE.astype("i8")).astype("u4")),
    cube_case("bool", CUBE > 1500, min_accuracy=0.5),
    cube_case("complex", CUBE.astype(complex)),
    cube_case("objects", CUBE.astype(object)),
    cube_case("text", CUBE.astype("U5")),
    cube_case("constant", np.full(CUBE.shape, 7)),
    cube_case("zero", np.zeros(CUBE.shape)),
    cube_case("all NaN", np.full(CUBE.shape, np.nan)),
    cube_case("Fortran order", np.asfortranarray(CUBE)),
    scene_case("cube: memory-mapped", memmap),
    cube_case("bands first", np.moveaxis(CUBE, 2, 0)),
    cube_case("bands in the middle", np.moveaxis(CUBE, 2, 1)),
    cube_case("columns, rows, bands", CUBE.transpose(1, 0, 2)),
    cube_case("bands, columns, rows", CUBE.transpose(2, 1, 0)),
    scene_case("cube: both transposed", npy(CUBE.transpose(1, 0, 2), LABELS.T), truth=LABELS.T),
    scene_case(
        "cube: bands first, both transposed", npy(CUBE.transpose(2, 1, 0), LABELS.T), truth=LABELS.T
    ),
    cube_case("(1, rows, columns, bands)", CUBE[None]),
    cube_case("(rows, columns, bands, 1)", CUBE[..., None]),
    cube_case("(rows, columns)", CUBE[..., 0]),
    cube_case("one band", CUBE[..., :1], min_accuracy=0.3),
    cube_case("two bands", CUBE[..., :2], min_accuracy=0.5),
    scene_case(
        "cube: a list of pixels",
        npy(CUBE.reshape(-1, 20), LABELS.ravel()),
        truth=LABELS.reshape(-1, 1),
    ),
    scene_case(
        "cube: a list of pixels, labels a column",
        npy(CUBE.reshape(-1, 20), LABELS.reshape(-1, 1)),
        truth=LABELS.reshape(-1, 1),
    ),
    scene_case(
        "cube: a list, bands first",
        npy(CUBE.reshape(-1, 20).T, LABELS.ravel()),
        truth=LABELS.reshape(-1, 1),
    ),
    cube_case("a list of pixels, labels a map", CUBE.reshape(-1, 20)),
    scene_case("cube: a list, one label missing", npy(CUBE.reshape(-1, 20), LABELS.ravel()[1:])),
    scene_case(
        "cube: square, all axes equal",
        npy(CUBE[:20, :20], LABELS[:20, :20]),
        truth=LABELS[:20, :20],
    ),
    scene_case(
        "cube: square, bands first, said",
        npy(np.moveaxis(CUBE[:20, :20], 2, 0), LABELS[:20, :20]),
        truth=LABELS[:20, :20],
        band_axis="0",
    ),
    scene_case(
        "cube: square, bands first, not said",
        npy(np.moveaxis(CUBE[:20, :20], 2, 0), LABELS[:20, :20]),
        truth=LABELS[:20, :20],
        min_accuracy=0,
        says="`band_axis`=0 would fit",
    ),
    cube_case("bands first, the wrong axis said", np.moveaxis(CUBE, 2, 0), band_axis="1"),
    scene_case("cube: one row", npy(CUBE[20:21], LABELS[20:21]), truth=LABELS[20:21]),
    scene_case("cube: one column", npy(CUBE[:, 20:21], LABELS[:, 20:21]), truth=LABELS[:, 20:21]),
    scene_case("cube: and labels swapped", swapped),
    scene_case("cube: labels are the cube", same),
    scene_case("cube: both in one .npz", npz(cube=CUBE, gt=LABELS)),
    scene_case(
        "cube: both in one .npz, a list",
        npz(cube=CUBE.reshape(-1, 20), gt=LABELS.ravel()),
        truth=LABELS.reshape(-1, 1),
    ),
    scene_case(
        "cube: both in one .npz, and wavelengths",
        npz(cube=CUBE, gt=LABELS, wavelength=np.arange(20.0)),
    ),
    scene_case("cube: two in one .npz", npz(a=CUBE, b=CUBE.astype(float), gt=LABELS)),
    scene_case(
        "cube: two in one .npz, named",
        npz(a=CUBE, b=CUBE.astype(float), gt=LABELS),
        cube_variable="b",
    ),
    scene_case("cube: a name that is not there", npz(a=CUBE, gt=LABELS), cube_variable="hsi"),
    # No data.
    *(
        cube_case(f"{v:.6g} outside the labels", filled(EDGE, v, d))
        for v, d in [
            (-9999, "i2"),
            (LOWEST, "f4"),
            (1e30, "f4"),
            (-1e34, "f4"),
            (65535, "i4"),
            (-32768, "i2"),
            (9.96921e36, "f4"),
            (-999, "i2"),
            (1e20, "f8"),
            (-1.7976931348623157e308, "f8"),
            (55537, "u2"),
            (-1, "i2"),
            (20000, "i2"),
        ]
    ),
    *(
        cube_case(f"{v:.6g} across the labels", filled(LINE, v, d))
        for v, d in [
            (-9999, "i2"),
            (LOWEST, "f4"),
            (1e30, "f4"),
            (65535, "i4"),
            (-9999.9, "f4"),
        ]
    ),
    *(
        cube_case(
            f"{v} across the labels",
            filled(LINE, v, "i2"),
            min_accuracy=0.9,
            says=f"`nodata`={v} leaves",
        )
        for v in (0, -1, -999)
    ),
    cube_case(
        "-9999 across the labels, declared", filled(LINE, -9999), missing=LINE, nodata="-9999"
    ),
    cube_case(
        "lowest float across the labels, declared",
        filled(LINE, LOWEST),
        missing=LINE,
        nodata="-3.4028235e+38",
    ),
    cube_case(
        "lowest float, declared in full",
        filled(LINE, LOWEST),
        missing=LINE,
        nodata="-3.4028234663852886e+38",
    ),
    cube_case(
        "lowest double, declared",
        filled(LINE, -1.7976931348623157e308, "f8"),
        missing=LINE,
        nodata="-1.7976931348623157e308",
    ),
    cube_case(
        "two values, declared",
        np.where((EDGE & ~LINE)[..., None], -1, filled(LINE, -9999)),
        missing=EDGE | LINE,
        nodata="-9999,-1",
    ),
    cube_case(
        "two values, one declared",
        np.where((EDGE & ~LINE)[..., None], -32768, filled(LINE, -9999)),
        nodata="-9999",
    ),
    cube_case("0 across the labels, declared", filled(LINE, 0), missing=LINE, nodata="0"),
    cube_case("a value that no pixel has, declared", CUBE, nodata="-9999"),
    cube_case("65535 of uint16", filled(LINE, 65535, "u2")),
    cube_case(
        "255 of uint8",
        np.where(LINE[..., None], 255, CUBE / 20).astype("u1"),
        min_accuracy=0.9,
        says="`nodata`=255 leaves",
    ),
    cube_case("NaN outside the labels", filled(EDGE, np.nan)),
    cube_case("NaN across the labels", filled(LINE, np.nan)),
    cube_case("NaN across the labels, declared", filled(LINE, np.nan), missing=LINE, nodata="nan"),
    cube_case(
        "infinite across the labels, declared", filled(LINE, np.inf), missing=LINE, nodata="nan"
    ),
    cube_case("infinite in a spot", spotted(np.inf)),
    cube_case("minus infinite in a spot", spotted(-np.inf)),
    cube_case("NaN in a spot", spotted(np.nan)),
    cube_case("NaN in a spot, declared", spotted(np.nan), missing=SPOT, nodata="nan"),
    cube_case("-9999 in a band of a spot", spotted(-9999)),
    cube_case("-9999 in a band of a spot, declared", spotted(-9999), missing=SPOT, nodata="-9999"),
    cube_case("1e30 in one value", spotted(1e30)),
    cube_case("1e10 in one value", spotted(1e10)),
    cube_case("half of the bands -9999 in a spot", spotted(-9999, bands=slice(0, 10))),
    cube_case("a band of NaN", in_bands(3, np.nan)),
    cube_case("a band of NaN, dropped", in_bands(3, np.nan), drop_bands="3"),
    cube_case("a band of NaN, declared", in_bands(3, np.nan), nodata="nan"),
    cube_case("a band of infinite", in_bands(3, np.inf)),
    cube_case("a band of -9999", in_bands(3, -9999)),
    cube_case("bands of 0 and -9999", np.where(np.isin(np.arange(20), (3, 7)), (-9999), CUBE)),
    cube_case("a band of -9999, declared", in_bands(3, -9999), nodata="-9999"),
    cube_case("dead bands, dropped", in_bands([3, 9], 0), drop_bands="constant"),
    cube_case("bands dropped by range", CUBE, drop_bands="0-3,7"),
    cube_case("all bands dropped", CUBE, drop_bands="0-19"),
    cube_case("a band dropped that is not there", CUBE, drop_bands="20"),
    cube_case("bands dropped, the range reversed", CUBE, drop_bands="7-3"),
    cube_case("all pixels -9999", np.full(CUBE.shape, -9999)),
    cube_case("all labelled pixels without data", filled(LABELS > 0, -9999), nodata="-9999"),
    cube_case(
        "a class without data", filled(LABELS == 2, -9999), nodata="-9999", says="id 2 is left out"
    ),
    cube_case(
        "two values in three pixels of four",
        np.where(np.random.default_rng(0).random(LABELS.shape)[..., None] < 0.75, -9999, CUBE),
    ),
    # Files.
    scene_case("cube: an empty .npy", write("cube.npy", b"")),
    scene_case("cube: an empty .mat", write("cube.mat", b"")),
    scene_case("cube: empty header", write("cube.hdr", b"")),
    scene_case("cube: text called .npy", write("cube.npy", b"1 2 3\n4 5 6\n")),
    scene_case("cube: pickle", write("cube.npy", pickle.dumps(CUBE))),
    scene_case("cube: zip of something else", write("cube.npz", b"PK\x05\x06" + bytes(18))),
    scene_case("cube: cut", cut),
    scene_case("cube: a header that claims terabytes", claims((10**6, 10**6, 10))),
    scene_case("cube: a header of no pixels", claims((0, 50, 20))),
    scene_case("cube: a header below zero", claims((-1, 50, 20))),
    scene_case("cube: a link to itself", symlink_loop),
    scene_case("cube: gzip", write("cube.npy.gz", b"\x1f\x8b\x08\x00")),
    scene_case("cube: .rar", write("cube.rar", b"Rar!\x1a\x07\x00")),
    scene_case("cube: NetCDF", write("cube.nc", b"CDF\x01" + bytes(40))),
]
