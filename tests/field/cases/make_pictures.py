"""Folders of pictures as people have them: how they are made."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

PER_CLASS = 12
Save = Callable[[Path, np.ndarray, int], None]


def image(k: int, number: int, bands: int = 3, size: tuple[int, int] = (16, 12)) -> np.ndarray:
    """uint8 [rows, columns, bands], brighter in the band that is its class."""
    rng = np.random.default_rng([k, number])
    pixels = rng.integers(0, 80, (*size, bands))
    pixels[..., k % bands] += 120
    return pixels.astype(np.uint8)


def fill(
    folder: Path, save: Save, classes: Sequence[str] = ("crop", "forest"), bands: int = 3
) -> None:
    """A folder for each class."""
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(PER_CLASS):
            save(folder / name / f"{number}", image(k, number, bands), number)


def pil(suffix: str, change: Callable = lambda picture: picture, **keywords: object) -> Save:
    """Saves by Pillow."""

    def save(path: Path, pixels: np.ndarray, number: int) -> None:
        from PIL import Image

        picture = change(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
        picture.save(f"{path}{suffix}", **keywords)

    return save


def tiff(dtype: object = np.uint8, scale: float = 1, **keywords: object) -> Save:
    """Saves by tifffile."""

    def save(path: Path, pixels: np.ndarray, number: int) -> None:
        import tifffile

        given = {"photometric": "minisblack", "planarconfig": "contig", **keywords}
        pixels = (pixels.astype(float) * scale).astype(dtype)
        if given["planarconfig"] == "separate":
            pixels = np.moveaxis(pixels, 2, 0)
        tifffile.imwrite(
            f"{path}.tif", pixels[..., 0] if pixels.shape[-1] == 1 else pixels, **given
        )

    return save


def npy(change: Callable = lambda pixels: pixels) -> Save:
    """Npy."""

    return lambda path, pixels, number: np.save(f"{path}.npy", change(pixels))


def geotiff(**keywords) -> Save:
    """Geotiff."""

    def save(path, pixels, number):
        import warnings

        import rasterio

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(
                f"{path}.tif",
                "w",
                driver="GTiff",
                height=pixels.shape[0],
                width=pixels.shape[1],
                count=pixels.shape[2],
                dtype="uint16",
                **keywords,
            ) as f:
                f.write(np.moveaxis(pixels, 2, 0).astype("u2"))

    return save


def exif(orientation: Callable[[int], int]) -> Save:
    """Exif."""

    def save(path: Path, pixels: np.ndarray, number: int) -> None:
        from PIL import Image

        tags = Image.Exif()
        tags[0x0112] = orientation(number)
        Image.fromarray(pixels).save(f"{path}.jpg", "JPEG", exif=tags)

    return save


def pages(path: Path, pixels: np.ndarray, number: int) -> None:
    """Pages."""

    from PIL import Image

    first, *rest = (Image.fromarray(p) for p in (pixels, 255 - pixels, pixels))
    first.save(f"{path}.tif", save_all=True, append_images=rest)


def with_one(save: Save, odd: Save, which: int = 3) -> Save:
    """All alike but one of each class."""

    def either(path: Path, pixels: np.ndarray, number: int) -> None:
        (odd if number == which else save)(path, pixels, number)

    return either


def cut(path, pixels, number):
    """Cut."""

    pil(".png")(path, pixels, number)
    f = Path(f"{path}.png")
    f.write_bytes(f.read_bytes()[:-300])


def empty(path, pixels, number):
    """Empty."""

    Path(f"{path}.png").write_bytes(b"")


def text(path, pixels, number):
    """Text."""

    Path(f"{path}.png").write_bytes(b"not a picture")


def bomb(path, pixels, number):
    """Bomb."""

    from PIL import Image

    Image.new("1", (19000, 19000)).save(f"{path}.png")


def huge_tiff(path, pixels, number):
    """Huge tiff."""

    import struct

    # a header that claims 100000 x 100000 pixels
    import tifffile

    tifffile.imwrite(f"{path}.tif", pixels, photometric="rgb")
    content = bytearray(Path(f"{path}.tif").read_bytes())
    for tag in (256, 257):
        i = content.find(struct.pack("<HHI", tag, 3, 1))
        i = i if i >= 0 else content.find(struct.pack("<HHI", tag, 4, 1))
        content[i : i + 12] = struct.pack("<HHII", tag, 4, 1, 100000)
    Path(f"{path}.tif").write_bytes(bytes(content))


def opaque(value):
    """Opaque."""

    def change(picture):
        picture = picture.convert("RGBA")
        picture.putalpha(value)
        return picture

    return change


def grade(picture):
    """Grade."""

    from PIL import Image

    picture = picture.convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture


def palette(picture):
    """Palette."""

    return picture.quantize(16)


def nan_in(pixels):
    """Nan in."""

    pixels = pixels.astype("f4")
    pixels[0, 0] = np.nan
    return pixels


PNG = pil(".png")
