"""Folders of pictures as people have them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hsi_jax.data import load_image_set, random_split
from tests.field.cases.case import Case, Mistake
from tests.field.cases.change_pictures import (
    a_file,
    add,
    bare,
    broken_link,
    class_loop,
    emptied,
    flat,
    link_loop,
    linked,
    long_names,
    nested,
    non_utf8,
    non_utf8_class,
    one_class,
    one_left,
    png_bytes,
    renamed,
)
from tests.field.cases.expected import REFUSED
from tests.field.cases.make_pictures import (
    PNG,
    Save,
    bomb,
    cut,
    empty,
    exif,
    fill,
    geotiff,
    grade,
    huge_tiff,
    nan_in,
    npy,
    opaque,
    pages,
    palette,
    pil,
    text,
    tiff,
    with_one,
)


def picture_case(
    name: str,
    make: Save,
    *,
    classes: Sequence[str] = ("crop", "forest"),
    bands: int = 3,
    then: Callable[[Path], object] = lambda folder: None,
    shape: tuple[int, ...] | None = None,
    dtype: str = "",
    size: int | None = None,
    least: float = 0.9,
) -> Case:
    """A case of a folder of pictures.

    Args:
        name: of the case.
        make: saves one picture.
        classes: names of the folders.
        bands: of the pictures.
        then: changes the folder.
        shape: that the images must have.
        dtype: likewise.
        size: to resize to.
        least: accuracy.
    """

    def try_it(folder: Path) -> str:
        fill(folder, make, classes, bands)
        data_dir = then(folder) or folder
        images = load_image_set("folder", data_dir, size)
        if len(images.class_names) != len(classes):
            raise Mistake(f"has the classes {images.class_names}")
        if shape and images.shape != shape:
            raise Mistake(f"has images of shape {images.shape}, not {shape}")
        if dtype and images.dtype != dtype:
            raise Mistake(f"has images of dtype {images.dtype}, not {dtype}")
        accuracy = nearest_mean(images)
        if accuracy < least:
            raise Mistake(f"has an accuracy of {accuracy:.1%}, silently")
        return f"accuracy {accuracy:.1%} on {images.shape} {images.dtype}. {images.note}".strip()

    title = f"pictures: {name}"
    return Case(title, try_it, REFUSED.get(title, ""))


def nearest_mean(images) -> float:
    """Nearest mean."""

    split = random_split(images.labels, 0, train_fraction=0.5)
    means = images.read(np.arange(len(images))).astype(np.float64).mean((1, 2))
    scale = means[split.train].std(0) + 1e-9
    centres = np.stack(
        [
            means[split.train[images.labels[split.train] == k]].mean(0)
            for k in range(images.num_classes)
        ]
    )
    distances = (((means[split.test, None] - centres) / scale) ** 2).sum(-1)
    return float((distances.argmin(1) == images.labels[split.test]).mean())


CASES = [
    picture_case("PNG", PNG, shape=(16, 12, 3), dtype="uint8"),
    picture_case("JPEG", pil(".jpg")),
    picture_case("suffix in capitals", pil(".JPG", format="JPEG")),
    picture_case("WebP", pil(".webp", lossless=True)),
    picture_case("bitmaps", pil(".bmp")),
    picture_case("JPEG 2000", pil(".jp2")),
    picture_case("GIF", pil(".gif", palette)),
    picture_case("palettes", pil(".png", palette)),
    picture_case("grey", pil(".png", lambda p: p.convert("L")), least=0.4, shape=(16, 12, 1)),
    picture_case("1 bit", pil(".png", lambda p: p.convert("1")), least=0.3),
    picture_case("CMYK", pil(".jpg", lambda p: p.convert("CMYK"))),
    picture_case("YCbCr", pil(".tif", lambda p: p.convert("YCbCr"))),
    picture_case("opaque", pil(".png", opaque(255)), shape=(16, 12, 3)),
    picture_case("half see-through", pil(".png", opaque(128))),
    picture_case("opacity that varies", pil(".png", grade)),
    picture_case("grey with opacity", pil(".png", lambda p: p.convert("LA")), least=0.4),
    picture_case(
        "16 bits, grey PNG",
        lambda p, a, n: pil(".png")(p, a[..., :1].astype("u2") * 200, n),
        least=0.4,
        dtype="uint16",
    ),
    *(
        picture_case(
            f"TIFF, {b} bands of {d}",
            tiff(d, s),
            bands=b,
            shape=(16, 12, b),
            least=0.9 if b > 1 else 0.2,
        )
        for b, d, s in [
            (1, "u1", 1),
            (2, "u1", 1),
            (3, "u2", 200),
            (4, "u1", 1),
            (4, "u2", 20),
            (5, "f4", 0.01),
            (13, "u2", 20),
            (13, "u1", 1),
            (30, "i2", 9),
            (4, "i2", -1),
            (3, "f8", 1),
            (3, "f2", 1),
            (3, "i4", 1000),
            (3, "u4", 1000),
            (2, "i1", 0.5),
            (3, "u8", 1),
        ]
    ),
    picture_case(
        "TIFF, RGB and infrared, unspecified",
        tiff(photometric="rgb", extrasamples=["unspecified"]),
        bands=4,
        shape=(16, 12, 4),
    ),
    picture_case(
        "TIFF, RGB and infrared called opacity",
        tiff(photometric="rgb", extrasamples=["unassalpha"]),
        bands=4,
        shape=(16, 12, 4),
    ),
    picture_case("TIFF, planes", tiff("u2", planarconfig="separate"), bands=13, shape=(16, 12, 13)),
    picture_case("TIFF, tiles", tiff(tile=(16, 16)), bands=5),
    picture_case("TIFF, deflated", tiff(compression="zlib", predictor=True), bands=5),
    picture_case("TIFF, LZW by GDAL", geotiff(compress="lzw"), bands=5),
    picture_case("TIFF, zstd by GDAL", geotiff(compress="zstd"), bands=5),
    picture_case(
        "TIFF, tiles and planes by GDAL",
        geotiff(tiled=True, blockxsize=16, blockysize=16, interleave="band"),
        bands=5,
    ),
    picture_case("TIFF, no data declared by GDAL", geotiff(nodata=0), bands=5),
    picture_case("TIFF, BigTIFF, big-endian", tiff(bigtiff=True, byteorder=">"), bands=5),
    picture_case("TIFF, several pages", pages),
    picture_case("TIFF, white is zero", tiff(photometric="miniswhite"), bands=1, least=0.2),
    picture_case("TIFF, complex", tiff("c8"), bands=3),
    picture_case(
        "GIF of several pictures",
        pil(
            ".gif",
            palette,
            save_all=True,
            append_images=[__import__("PIL.Image").Image.new("L", (12, 16))],
        ),
    ),
    picture_case("NumPy", npy(), shape=(16, 12, 3)),
    picture_case("NumPy, bands first", npy(lambda p: np.moveaxis(p, 2, 0)), shape=(16, 12, 3)),
    picture_case("NumPy, float64", npy(lambda p: p / 255.0), dtype="float32"),
    picture_case("NumPy, big-endian", npy(lambda p: p.astype(">u2")), dtype="uint16"),
    picture_case("NumPy, bool", npy(lambda p: p > 100)),
    picture_case("NumPy, two axes", npy(lambda p: p[..., 0]), least=0.4),
    picture_case("NumPy, 13 bands", npy(), bands=13),
    picture_case("NumPy, NaN", npy(nan_in)),
    picture_case("NumPy, infinite", npy(lambda p: np.where(p == p.max(), np.inf, p))),
    picture_case(
        "NumPy, -9999", npy(lambda p: np.where(np.arange(12)[:, None] < 2, -9999, p.astype("f4")))
    ),
    picture_case("NumPy, complex", npy(lambda p: p * 1j)),
    picture_case("NumPy, objects", npy(lambda p: p.astype(object))),
    picture_case("NumPy, four axes", npy(lambda p: p[None])),
    picture_case("NumPy, no pixels", npy(lambda p: p[:0])),
    picture_case("NumPy, constant", npy(lambda p: np.zeros_like(p)), least=0.3),
    picture_case("one of another size", with_one(PNG, npy(lambda p: p[:8]))),
    picture_case(
        "one of another size, resized", with_one(PNG, npy(lambda p: p[:8])), size=8, shape=(8, 8, 3)
    ),
    picture_case("one of another type", with_one(PNG, npy(lambda p: p.astype("u2") * 256))),
    picture_case("one of other bands", with_one(PNG, npy(lambda p: np.dstack([p, p[..., :1]])))),
    picture_case("one grey among colours", with_one(PNG, pil(".png", lambda p: p.convert("L")))),
    picture_case(
        "two types by class",
        lambda p, a, n: npy(lambda x: x.astype("u2") if "forest" in str(p) else x)(p, a, n),
    ),
    picture_case("one cut", with_one(PNG, cut)),
    picture_case("one empty", with_one(PNG, empty)),
    picture_case("one that is text", with_one(PNG, text)),
    picture_case("one of 361 million pixels", with_one(PNG, bomb)),
    picture_case("one that claims 10 thousand million pixels", with_one(PNG, huge_tiff)),
    picture_case("JPEG called .png", lambda p, a, n: pil(".png", format="JPEG")(p, a, n)),
    picture_case("TIFF called .png", lambda p, a, n: pil(".png", format="TIFF")(p, a, n)),
    picture_case("orientation, all alike", exif(lambda n: 6), shape=(12, 16, 3)),
    picture_case("orientation, half of them", exif(lambda n: 6 if n % 2 else 1)),
    picture_case("orientation without meaning", exif(lambda n: 99), shape=(16, 12, 3)),
    picture_case("resized", PNG, size=7, shape=(7, 7, 3)),
    picture_case("enlarged to one pixel", PNG, size=1, shape=(1, 1, 3)),
    picture_case(
        "class names in any script",
        PNG,
        classes=("Ackerfläche", "森林", "ville à l'été", "поле")[:3],
    ),
    picture_case("class names with space, newline and comma", PNG, classes=("a b", "c\nd", "e,f")),
    picture_case("class names that differ in capitals", PNG, classes=("Crop", "crop")),
    picture_case("class names of digits", PNG, classes=("10", "9")),
    picture_case("class name with a dash in front", PNG, classes=("--x", "-y")),
    picture_case(
        "hidden files and folders",
        PNG,
        then=add("crop/.ipynb_checkpoints/x-checkpoint.png", png_bytes()),
    ),
    picture_case("AppleDouble", PNG, then=add("crop/._0.png", b"\0\5\x16\7")),
    picture_case("Thumbs.db", PNG, then=add("crop/Thumbs.db", b"x")),
    picture_case("a file beside the classes", PNG, then=add("readme.txt", b"x")),
    picture_case("a picture beside the classes", PNG, then=add("preview.png", png_bytes())),
    picture_case("__pycache__", PNG, then=add("__pycache__")),
    picture_case("__MACOSX", PNG, then=add("__MACOSX/crop/._0.png", b"x")),
    picture_case("an empty folder", PNG, then=add("water")),
    picture_case("@eaDir", PNG, then=add("crop/@eaDir/t.png", png_bytes())),
    picture_case("a folder in a class", PNG, then=add("crop/more/x.png", png_bytes())),
    picture_case("a text in a class", PNG, then=add("crop/notes.txt", b"x")),
    picture_case("linked classes", PNG, then=linked),
    picture_case("a link that goes round", PNG, then=link_loop),
    picture_case("a class that is a link to itself", PNG, then=class_loop),
    picture_case("a link to nothing", PNG, then=broken_link),
    picture_case("folders train and val", PNG, then=nested),
    picture_case("one class", PNG, then=one_class),
    picture_case("a class without pictures", PNG, then=emptied),
    picture_case("a class of one picture", PNG, then=one_left),
    picture_case("the folder of a class", PNG, then=flat),
    picture_case("no class", PNG, then=bare),
    picture_case("a picture, not a folder", PNG, then=a_file),
    picture_case("PNG without suffix", PNG, then=renamed("")),
    picture_case("PNG called .jpg", PNG, then=renamed(".jpg")),
    picture_case("PNG called .tif", PNG, then=renamed(".tif")),
    picture_case("PNG called .npy", PNG, then=renamed(".npy")),
    picture_case("PNG called .PNG", PNG, then=renamed(".PNG")),
    picture_case("a name that is not UTF-8", PNG, then=non_utf8),
    picture_case("a class whose name is not UTF-8", PNG, then=non_utf8_class),
    picture_case("a name of 244 letters", PNG, then=long_names),
]
