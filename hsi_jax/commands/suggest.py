"""Names the pixels that are worth a label next: `python -m experiments.suggest --help`."""

from dataclasses import dataclass
from pathlib import Path

from hsi_jax.command_line import fail, help_text, parse_options
from hsi_jax.commands.model_source import ModelSource
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.options import option

USAGE = """\
Names the pixels of a scene that are worth a label next, by the model of a run.

  python -m experiments.suggest --run=RUN --output=points.gpkg                 its own scene
  python -m experiments.suggest --run=RUN --cube=SCENE --count=20 --output=points.csv

The model is unsure of them, they are unlike each other and apart, and have data and no label yet.
The file opens in QGIS and has the class that the model guesses. Correct it there, and give the file
as --labels of the next run.
"""


@dataclass(frozen=True)
class SuggestOptions(ModelSource):
    """Where pixels are wanted, and how many.

    Raises:
        InputError: on a value that cannot be used, or any two that contradict each other.
    """

    cube: str = option(
        "",
        "the scene, as --cube of experiments.run takes it; default the run's own scene, of which "
        "no labelled pixel is named",
        path=True,
        heading="Scene",
    )
    cube_variable: str = option(
        "", "array in the cube's file, where it has several", heading="Scene"
    )
    nodata: str = option(
        "", "values of pixels of --cube without data, as of experiments.predict", heading="Scene"
    )
    count: int = option(50, "how many pixels", at_least=1, heading="Output")
    distance: int = option(
        5,
        "pixels, in rows or columns, between any two and to any labelled one",
        at_least=1,
        heading="Output",
    )
    output: str = option(
        "", "the file to write: .gpkg, .geojson or .csv", path=True, heading="Output"
    )
    overwrite: bool = option(False, "replace the file", heading="Output")

    def __post_init__(self):
        super().__post_init__()
        if self.model_dir and not self.cube:
            raise InputError("--model_dir needs --cube=FILE, the scene")
        if not self.output:
            raise InputError("give --output=FILE, the file to write, such as points.gpkg")


def suggest(options: SuggestOptions) -> None:
    """Writes the file.

    Raises:
        InputError: on a mistake of the user's, before the prediction begins.
        StorageError: if the file cannot be written.
    """
    # Here, because --help does without JAX.
    from hsi_jax.evaluate.maps.point_file import check_points, write_points
    from hsi_jax.kernels import use_compilation_cache
    from hsi_jax.session.map_inputs import open_source
    from hsi_jax.session.suggesting import suggest_pixels

    output = Path(options.output)
    if output.exists() and not options.overwrite:
        raise InputError(f"{output} exists already; choose another name, or give `overwrite`")
    model = options.load()
    source, grid, name, _ = open_source(
        model, options.run, options.cube, options.cube_variable, nodata=options.nodata
    )
    check_points(output, grid)
    use_compilation_cache()
    found = suggest_pixels(model, source, name=name, count=options.count, distance=options.distance)
    known = model.description
    columns = {
        "rank": range(1, len(found.classes) + 1),
        "class_id": model.label_ids(found.classes),
        "class_name": [known.class_names[k] for k in found.classes],
        "probability": found.probabilities.round(4),
        "uncertainty": found.uncertainty.round(4),
    }
    write_points(output, found.positions, grid, columns)
    print(f"Points: {output}, {len(found.classes)} of {options.count} pixels", flush=True)


def suggest_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, SuggestOptions)


def main(argv: list[str]) -> None:
    """Does what the flags say."""
    try:
        suggest(parse_options(argv, SuggestOptions, suggest_help))
    except HsiJaxError as error:
        fail(error)
