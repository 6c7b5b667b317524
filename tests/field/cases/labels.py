"""Label maps as people have them."""

from pathlib import Path

import numpy as np

from tests.field.cases.scenes import npy, scene_case, small_scene

CUBE, LABELS = small_scene()
UNLABELLED = LABELS == 0
ALL = np.where(UNLABELLED, 1, LABELS)  # no pixel without a class
ONE_HOT = np.eye(5, dtype=np.uint8)[LABELS][..., 1:]


def marked(value: object, dtype: object = np.int64, shift: int = 0) -> np.ndarray:
    """The labels with another value where there is no class."""
    return np.where(UNLABELLED, value, LABELS.astype(np.int64) - shift).astype(dtype)


def with_few(count: int) -> np.ndarray:
    """A fifth class of a few pixels."""
    labels = LABELS.copy()
    labels[20, 10 : 10 + count] = 9
    return labels


def write(name: str, content: bytes):
    """A labels file of these bytes."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray) -> dict[str, str]:
        np.save(folder / "cube.npy", cube)
        (folder / name).write_bytes(content)
        return {"labels": name}

    return make


def directory(folder: Path, cube: np.ndarray, labels: np.ndarray) -> None:
    """A folder where the labels should be."""
    np.save(folder / "cube.npy", cube)
    (folder / "labels.npy").mkdir()


def renamed(suffix: str):
    """A .npy of labels under another suffix."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray) -> dict[str, str]:
        np.save(folder / "cube.npy", cube)
        np.save(folder / "labels.npy", labels)
        (folder / "labels.npy").rename(folder / f"labels{suffix}")
        return {"labels": f"labels{suffix}"}

    return make


def npz(**arrays: np.ndarray):
    """Labels in a compressed .npz."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray) -> dict[str, str]:
        np.save(folder / "cube.npy", cube)
        np.savez_compressed(folder / "labels.npz", **arrays)
        return {"labels": "labels.npz"}

    return make


def picture(array: np.ndarray, suffix: str, **keywords: object):
    """Labels as a picture."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray) -> dict[str, str]:
        from PIL import Image

        np.save(folder / "cube.npy", cube)
        Image.fromarray(array).save(folder / f"labels{suffix}", **keywords)
        return {"labels": f"labels{suffix}"}

    return make


def label_case(name: str, labels: np.ndarray, **more):
    """A case of labels.npy."""
    return scene_case(f"labels: {name}", npy(labels=labels), **more)


COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.uint8)
CASES = [
    label_case("uint8, 0 for none", LABELS),
    *(
        label_case(f"{d} of {k}", LABELS.astype(d))
        for d, k in [
            ("<f8", "whole numbers"),
            ("<f4", "whole numbers"),
            ("<f2", "whole numbers"),
            (">i2", "big-endian"),
            (">f8", "big-endian"),
            ("<i8", "64 bits"),
            ("<u8", "64 bits"),
            ("g", "long double"),
        ]
    ),
    label_case("Fortran order", np.asfortranarray(LABELS)),
    *(
        label_case(f"{v} for none, classes from 1", marked(v, d))
        for v, d in [
            (255, np.uint8),
            (65535, np.uint16),
            (-1, np.int16),
            (-9999, np.int32),
            (99, np.uint8),
            (999, np.int16),
            (-(2**31), np.int64),
            (2**63 - 1, np.int64),
            (-(2**63), np.int64),
            (2**64 - 1, np.uint64),
            (127, np.int8),
            (-128, np.int8),
            (32767, np.int16),
            (2**32 - 1, np.uint32),
            (9999, np.int32),
            (100, np.uint8),
            (250, np.uint8),
            (-32768, np.int16),
        ]
    ),
    label_case("255 for none, classes from 0", marked(255, np.uint8, 1)),
    label_case("-1 for none, classes from 0", marked(-1, np.int16, 1)),
    label_case("all labelled, from 0", (ALL - 1).astype(np.uint8), truth=ALL, unlabelled="none"),
    label_case("all labelled, from 1", ALL, truth=ALL),
    label_case("NaN for none", marked(np.nan, np.float32)),
    label_case("NaN for none, classes from 0", marked(np.nan, np.float64, 1)),
    label_case("infinite for none", marked(np.inf, np.float64)),
    label_case("-3.4e38 for none", marked(np.finfo(np.float32).min, np.float32)),
    label_case("1e20 for none", marked(1e20, np.float32)),
    label_case(
        "0 and 255 and -1",
        np.where(
            np.arange(COLUMNS := 50) < 2, 255, np.where(np.arange(50) > 48, -1, LABELS.astype(int))
        ),
    ),
    label_case("ids 10, 20, 30, 40", LABELS * 10),
    label_case("ids of land cover, 11 to 95", np.array([0, 11, 42, 81, 95])[LABELS]),
    label_case("ids 1000 to 4000", LABELS.astype(np.int32) * 1000),
    label_case("ids times 700 million", LABELS.astype(np.int64) * 700_000_000),
    label_case("ids beyond 32 bits", LABELS.astype(np.int64) * 2**40),
    label_case("halves", LABELS + 0.5),
    label_case("bool, three of four classes false", LABELS > 2, truth=1 + (LABELS > 2)),
    label_case("one-hot", ONE_HOT),
    label_case("one-hot, bool", ONE_HOT.astype(bool)),
    label_case("one-hot, layers first", np.moveaxis(ONE_HOT, 2, 0)),
    label_case(
        "one-hot with a layer for none",
        np.eye(5, dtype=np.float32)[LABELS],
        truth=LABELS + 1,
        says="`unlabelled`=1",
    ),
    label_case("probabilities", np.full((*LABELS.shape, 4), 0.25)),
    label_case("(rows, columns, 1)", LABELS[..., None]),
    label_case("(1, rows, columns)", LABELS[None]),
    label_case("(1, rows, columns, 1)", LABELS[None, ..., None]),
    label_case("a list of the cube's size", LABELS.ravel()),
    label_case("a column of the cube's size", LABELS.reshape(-1, 1)),
    label_case("transposed", LABELS.T),
    label_case("one row too many", np.vstack([LABELS, LABELS[:1]])),
    label_case("twice as large", np.kron(LABELS, np.ones((2, 2), np.uint8))),
    label_case("cut", LABELS[:-5, :-5]),
    label_case(
        "a class for every second pixel",
        np.arange(2000).reshape(40, 50) // 2,
        truth=np.arange(2000).reshape(40, 50) // 2,
        min_accuracy=0,
    ),
    label_case("one class", (LABELS > 0).astype(np.uint8)),
    label_case("no class", np.zeros_like(LABELS)),
    label_case("only NaN", np.full(LABELS.shape, np.nan)),
    label_case("a class of one pixel", with_few(1), truth=with_few(1)),
    label_case("a class of two pixels", with_few(2), truth=with_few(2), min_accuracy=0.9),
    label_case("a class of three pixels", with_few(3), truth=with_few(3)),
    label_case("objects", LABELS.astype(object)),
    label_case("text", LABELS.astype("U3")),
    label_case("names of classes", np.array(["none", "soil", "corn", "road", "tree"])[LABELS]),
    label_case("bytes", LABELS.astype("S3")),
    label_case("complex", LABELS.astype(complex)),
    label_case("dates", LABELS.astype("M8[D]")),
    label_case(
        "records",
        np.array(list(zip(LABELS.ravel(), LABELS.ravel(), strict=True)), "i4,i4").reshape(40, 50),
    ),
    label_case("no axis", np.array(3)),
    label_case("no pixel", np.zeros((0, 0))),
    label_case("four axes", np.zeros((2, 2, 2, 2))),
    scene_case("labels: empty file", write("labels.npy", b"")),
    scene_case("labels: empty .mat", write("labels.mat", b"")),
    scene_case("labels: empty .npz", write("labels.npz", b"")),
    scene_case("labels: empty .tif", write("labels.tif", b"")),
    scene_case(
        "labels: a page of a web server",
        write("labels.mat", b"<!DOCTYPE html><html>404</html>" * 20),
    ),
    scene_case(
        "labels: a pointer of Git LFS",
        write(
            "labels.npy",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        ),
    ),
    scene_case("labels: a folder", directory),
    scene_case(
        "labels: not there", lambda folder, cube, labels: np.save(folder / "cube.npy", cube)
    ),
    *(
        scene_case(f"labels: a .npy called {s or 'without suffix'}", renamed(s))
        for s in (
            ".mat",
            ".npz",
            ".NPY",
            ".tif",
            ".txt",
            ".csv",
            "",
            ".npy.gz",
            ".hdr",
            ".h5",
            ".geojson",
        )
    ),
    scene_case("labels: .npz of one array", npz(gt=LABELS)),
    scene_case("labels: .npz of nothing", npz()),
    scene_case(
        "labels: .npz of labels and names",
        npz(gt=LABELS, names=np.array(["a", "b"]), ids=np.arange(4)),
    ),
    scene_case("labels: .npz of two maps", npz(train=LABELS, test=LABELS)),
    scene_case("labels: .npz of a masked array", npz(data=LABELS, mask=UNLABELLED)),
    scene_case(
        "labels: CSV",
        write("labels.csv", "\n".join(",".join(map(str, row)) for row in LABELS.tolist()).encode()),
    ),
    scene_case("labels: grey PNG", picture(LABELS, ".png")),
    scene_case("labels: coloured PNG", picture(COLOURS[LABELS], ".png")),
    scene_case("labels: grey TIFF", picture(LABELS, ".tif")),
    scene_case("labels: coloured TIFF", picture(COLOURS[LABELS], ".tif")),
    scene_case("labels: JPEG", picture(LABELS, ".jpg")),
    scene_case("labels: bitmap", picture(LABELS, ".bmp")),
]
