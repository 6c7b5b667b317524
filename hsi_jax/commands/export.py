"""Writes a trained model as ONNX or StableHLO: `python -m experiments.export --help`."""

from dataclasses import dataclass
from pathlib import Path

from hsi_jax.command_line import fail, help_text, parse_options
from hsi_jax.commands.model_source import ModelSource
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.options import option

FORMATS = ("onnx", "stablehlo")

USAGE = """\
Writes a trained model as one file, from raw bands to class probabilities, for other programs.

  python -m experiments.export --run=RUN --output=model.onnx                any number of patches
  python -m experiments.export --run=RUN --output=model.onnx --tile=128     a tile and its map
  python -m experiments.export --model_dir=DIR --format=stablehlo --output=model.stablehlo

ONNX needs jax2onnx to be written (python -m pip install -e '.[onnx]'), and onnxruntime alone to be
used. Class names, colours, wavelengths and values of no data stand in the file; the plugin Deepness
of QGIS reads them.
"""


@dataclass(frozen=True)
class ExportOptions(ModelSource):
    """Which model is written, and how.

    Raises:
        InputError: on a value that cannot be used, or any two that contradict each other.
    """

    output: str = option("", "the file to write", path=True, heading="Output")
    format: str = option(
        "onnx",
        "onnx for onnxruntime and what builds on it, stablehlo for jax.export.deserialize",
        choices=FORMATS,
        heading="Output",
    )
    tile: int = option(
        0,
        "side of the tiles whose pixels are all classified at once, pixels; 0: single patches; for "
        "networks with a form for one pass",
        at_least=0,
        heading="Output",
    )
    overwrite: bool = option(False, "replace files", heading="Output")

    def __post_init__(self):
        super().__post_init__()
        if not self.output:
            raise InputError("give --output=FILE, the file to write, such as model.onnx")


def export(options: ExportOptions) -> None:
    """Writes the file.

    Raises:
        InputError: on a mistake of the user's.
        StorageError: if the file cannot be written.
    """
    # Here, because --help does without JAX.

    model = options.load()
    model.export(
        options.output,
        file_format=options.format,
        tile=options.tile or None,
        overwrite=options.overwrite,
    )
    size = Path(options.output).stat().st_size
    print(f"Model: {options.output}, {size / 2**20:.1f} MiB", flush=True)


def export_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, ExportOptions)


def main(argv: list[str]) -> None:
    """Does what the flags say."""
    try:
        export(parse_options(argv, ExportOptions, export_help))
    except HsiJaxError as error:
        fail(error)
