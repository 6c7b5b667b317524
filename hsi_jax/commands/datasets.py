"""Lists the data that are known by name: `python -m experiments.datasets --help`."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_jax.command_line import fail, help_text, parse_options, text_table
from hsi_jax.commands.protocol_list import describe_protocols, format_protocols
from hsi_jax.data.public.catalogue import CATALOGUE, SceneInfo
from hsi_jax.data.public.image_catalogue import IMAGE_CATALOGUE, ImageSetInfo
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.options import check_options, option

NOT_STATED = "not stated"
MISSING = "not there"

USAGE = """\
Lists the scenes and the sets of images that --dataset of experiments.run knows by name.

  python -m experiments.datasets
  python -m experiments.datasets --data_dir=DIR      which of them are in DIR
  python -m experiments.datasets --protocols         what --protocol of experiments.run knows

Besides these there are --dataset=synthetic (built in), and your own data: see experiments.run.
"""


@dataclass(frozen=True)
class DatasetsOptions:
    """What is to be listed.

    Raises:
        InputError: on a value that cannot be used.
    """

    data_dir: str = option("", "folder in which to look for the files", path=True, heading="Data")
    protocols: bool = option(
        False, "list the protocols instead: scenes and their splits", heading="Data"
    )
    json: bool = option(False, "print JSON, for programs", heading="Output")

    def __post_init__(self):
        check_options(self)
        if self.data_dir and not Path(self.data_dir).is_dir():
            raise InputError(f"--data_dir={self.data_dir} is no folder; give one that exists")
        if self.data_dir and self.protocols:
            raise InputError("--data_dir has no effect on the list of --protocols; leave one out")


def describe_datasets(folder: Path | None) -> list[dict[str, Any]]:
    """The facts about every scene and every set of images, as JSON holds them.

    Args:
        folder: in which to look for their files, or None.
    """
    scenes = [_describe_scene(info, folder) for info in CATALOGUE.values()]
    return scenes + [_describe_images(info, folder) for info in IMAGE_CATALOGUE.values()]


def _describe_scene(info: SceneInfo, folder: Path | None) -> dict[str, Any]:
    rows, columns, bands = info.shape
    return {
        "kind": "scene",
        "name": info.name,
        "title": info.title,
        "shape": [rows, columns, bands],
        "float32_bytes": 4 * rows * columns * bands,
        "wavelengths_nm": list(info.wavelengths_nm),
        "classes": len(info.class_names),
        "files": [info.cube_file, info.label_file],
        "downloaded": bool(info.cube_url and info.label_url),
        "terms": info.terms or NOT_STATED,
        "source": info.page,
        "citation": f"doi:{info.doi}" if info.doi else NOT_STATED,
        "note": info.note,
        "found": folder and _find(info, folder, f"hsi_jax_scenes/{info.name}"),
    }


def _describe_images(info: ImageSetInfo, folder: Path | None) -> dict[str, Any]:
    return {
        "kind": "images",
        "name": info.name,
        "title": info.title,
        "shape": list(info.shape),
        "images": info.num_images,
        "classes": len(info.class_names),
        "files": list(info.archives),
        "downloaded": bool(info.urls),
        "terms": info.terms or NOT_STATED,
        "source": info.page,
        "citation": info.citation,
        "note": "",
        "found": folder and _find(info, folder, f"hsi_jax_{info.name}"),
    }


def _find(info: SceneInfo | ImageSetInfo, folder: Path, prepared: str) -> str:
    """Where the files are, or what TFDS has made of them."""
    try:
        path = info.find(folder)
    except InputError:
        return "packed as .rar"
    if path is not None:
        return str(path[0].parent if isinstance(path, tuple) else path)
    return "prepared by TFDS" if (folder / prepared).is_dir() else MISSING


def format_datasets(datasets: Sequence[dict[str, Any]]) -> str:
    """Two tables, and the source of each set of data."""
    scenes = [each for each in datasets if each["kind"] == "scene"]
    images = [each for each in datasets if each["kind"] == "images"]
    parts = [_format_scenes(scenes), _format_images(images), "Sources"]
    for each in datasets:
        got = "downloaded when first used" if each["downloaded"] else "to be fetched by hand"
        facts = [each["source"], got, each["citation"], each["note"]]
        text = "; ".join(fact.rstrip(".") for fact in facts if fact and fact != NOT_STATED)
        start = f"  {each['name']:<18}"
        parts.append(
            textwrap.fill(
                text,
                98,
                initial_indent=start,
                subsequent_indent=" " * len(start),
                break_on_hyphens=False,
                break_long_words=False,
            )
        )
    return "\n".join(parts)


def _format_scenes(scenes: Sequence[dict[str, Any]]) -> str:
    header = ["scene", "rows", "columns", "bands", "nm", "MiB", "classes", "terms"]
    rows = []
    for each in scenes:
        low, high = each["wavelengths_nm"]
        size = f"{each['float32_bytes'] / 2**20:.0f}"
        shape = map(str, each["shape"])
        rows.append(
            [each["name"], *shape, f"{low:g}-{high:g}", size, str(each["classes"]), each["terms"]]
        )
    _add_found(header, rows, scenes)
    table = text_table(header, rows, "rows,columns,bands,MiB,classes")
    return f"Scenes (MiB in memory, as float32)\n\n{table}\n"


def _format_images(images: Sequence[dict[str, Any]]) -> str:
    header = ["images", "number", "size", "classes", "terms"]
    rows = [
        [
            each["name"],
            f"{each['images']:,}",
            " x ".join(map(str, each["shape"])),
            str(each["classes"]),
            each["terms"],
        ]
        for each in images
    ]
    _add_found(header, rows, images)
    return f"Sets of images\n\n{text_table(header, rows, 'number,classes')}\n"


def _add_found(header: list[str], rows: list[list[str]], datasets: Sequence[dict]) -> None:
    if datasets[0]["found"] is not None:
        header.append("found")
        for row, each in zip(rows, datasets, strict=True):
            row.append(each["found"])


def datasets_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, DatasetsOptions)


def main(argv: Sequence[str]) -> None:
    """Prints what the flags ask for."""
    try:
        options = parse_options(argv, DatasetsOptions, datasets_help)
    except HsiJaxError as error:
        fail(error)
        return
    if options.protocols:
        protocols = describe_protocols()
        print(json.dumps(protocols, indent=2) if options.json else format_protocols(protocols))
        return
    datasets = describe_datasets(Path(options.data_dir) if options.data_dir else None)
    print(json.dumps(datasets, indent=2) if options.json else format_datasets(datasets))
