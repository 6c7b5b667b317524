"""Folders of pictures as people have them: what is done to a folder."""

import io
import os
import shutil
from pathlib import Path

from tests.field.cases.make_pictures import image


def add(path: str, content: bytes | None = None):
    """Add."""

    def then(folder: Path) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            target.mkdir()
        else:
            target.write_bytes(content)

    return then


def png_bytes() -> bytes:
    """Png bytes."""

    from PIL import Image

    s = io.BytesIO()
    Image.fromarray(image(0, 0)).save(s, "PNG")
    return s.getvalue()


def linked(folder: Path):
    """Linked."""

    other = folder / "elsewhere"
    for k in ("crop", "forest"):
        other.mkdir(exist_ok=True)
        (folder / k).rename(other / k)
    root = folder / "root"
    root.mkdir()
    for k in ("crop", "forest"):
        (root / k).symlink_to(other / k)
    return root


def link_loop(folder: Path):
    """Link loop."""

    (folder / "crop" / "again").symlink_to(folder)


def class_loop(folder):
    """Class loop."""

    (folder / "self").symlink_to(folder / "self")


def broken_link(folder):
    """Broken link."""

    (folder / "crop" / "gone.png").symlink_to(folder / "nowhere.png")


def nested(folder):
    """Nested."""

    root = folder / "root"
    root.mkdir()
    for s in ("train", "val"):
        for c in ("crop", "forest"):
            (root / s / c).mkdir(parents=True)
            for n in range(3):
                (root / s / c / f"{n}.png").write_bytes(png_bytes())
    return root


def one_class(folder):
    """One class."""

    shutil.rmtree(folder / "forest")


def emptied(folder):
    """Emptied."""

    for p in (folder / "forest").iterdir():
        p.unlink()


def flat(folder):
    """Flat."""

    return folder / "crop"


def bare(folder):
    """Bare."""

    root = folder / "root"
    root.mkdir()
    return root


def a_file(folder):
    """A file."""

    return folder / "crop" / "0.png"


def renamed(suffix):
    """Renamed."""

    def then(folder):
        for p in list(folder.glob("*/*.png")):
            p.rename(p.with_suffix(suffix))

    return then


def one_left(folder):
    """One left."""

    for p in list((folder / "forest").iterdir())[1:]:
        p.unlink()


def non_utf8(folder):
    """Non utf8."""

    raw = os.fsencode(folder / "crop") + b"/\xff\xfe.png"
    with open(raw, "wb") as f:
        f.write(png_bytes())
    for p in folder.glob("crop/0.png"):
        p.unlink()


def non_utf8_class(folder):
    """Non utf8 class."""

    os.rename(os.fsencode(folder / "crop"), os.fsencode(folder) + b"/cr\xffop")


def long_names(folder):
    """Long names."""

    (folder / "crop" / "0.png").rename(folder / "crop" / ("x" * 240 + ".png"))
