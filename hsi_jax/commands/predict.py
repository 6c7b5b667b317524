"""Makes a map of a scene with a trained model: `python -m experiments.predict --help`."""

import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from hsi_jax.command_line import fail, help_text, parse_options, with_flags
from hsi_jax.commands.model_source import ModelSource
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.hetero import Profile, parse_profile
from hsi_jax.kernels.choice import KERNELS
from hsi_jax.options import option
from hsi_jax.train.tables import METHODS

if TYPE_CHECKING:
    from hsi_jax.data.collection.scene_table import SceneRow
    from hsi_jax.trained import TrainedModel

PROBABILITY_TYPES = ("float32", "uint8")
CONFIDENCES = ("margin", "entropy")
INTERRUPTED = 130

USAGE = """\
Makes a map of a scene of any size with the model of a run.

  python -m experiments.predict --run=RUN --output=map.tif                the run's own scene
  python -m experiments.predict --run=RUN --cube=SCENE --output=map.tif   another one
  python -m experiments.predict --model_dir=DIR --cube=SCENE --output=map.hdr \\
      --probabilities=probabilities.tif --confidence=margin.tif
  python -m experiments.predict --run=RUN --scenes=scenes.csv --output=maps   many scenes

  python -m experiments.predict --run=RUN --output=map.tif --conformal=0.9       sets of classes

The map keeps the position of the scene, and pixels without data. Beside map.tif come a picture with
its legend, map_legend.png, and the area of each class, map_areas.csv. Ctrl-C, or a kill, loses
nothing: the same command goes on.
"""


@dataclass(frozen=True)
class PredictOptions(ModelSource):
    """What is to be predicted, and what is written.

    Raises:
        InputError: on a value that cannot be used, or any two that contradict each other.
    """

    cube: str = option(
        "",
        "the scene, as --cube of experiments.run takes it; default the run's own scene",
        path=True,
        heading="Scene",
    )
    scenes: str = option(
        "",
        "a table of scenes, or a pattern in quotes, instead of --cube: each gets a map in the "
        "folder --output; default those of a run on --dataset=scenes",
        path=True,
        heading="Scene",
    )
    cube_variable: str = option(
        "", "array in the cube's file, where it has several", heading="Scene"
    )
    nodata: str = option(
        "",
        "values of pixels of --cube without data, as of experiments.run; default those of the "
        "file, or else of the model",
        heading="Scene",
    )
    output: str = option(
        "",
        "the class map: .tif (GeoTIFF), .hdr (ENVI classification), .npy or .png; of many scenes, "
        "the folder of their maps, .tif",
        path=True,
        heading="Output",
    )
    probabilities: str = option(
        "",
        "file of the probabilities, a band for each class: .tif or .npy",
        path=True,
        heading="Output",
    )
    probability_type: str = option(
        "float32",
        "of --probabilities; uint8 is probability x 250, with 255 for no data",
        choices=PROBABILITY_TYPES,
        heading="Output",
    )
    confidence: str = option(
        "", "file of how sure the model is: .tif or .npy", path=True, heading="Output"
    )
    confidence_kind: str = option(
        "margin",
        "of --confidence: probability of the first class less that of the second, or the entropy "
        "of the probabilities in nats, which is high where the model is not sure",
        choices=CONFIDENCES,
        heading="Output",
    )
    conformal: float | None = option(
        None,
        "part of the pixels of each class whose set of classes is to hold it, such as 0.9: the "
        "sets go to a file beside --output, map_sets.tif, with a band of their sizes and one for "
        "each class, 1 in the set and 0 not. Thresholds come from the test pixels of --run",
        kind=float,
        above=0,
        below=1,
        heading="Output",
    )
    overwrite: bool = option(
        False, "replace files, and what is unfinished of another map", heading="Output"
    )
    method: str = option(
        "auto",
        "patch by patch, or one pass over each tile, which is faster and has the same logits but "
        "for rounding; auto: one pass where the model can",
        choices=METHODS,
        heading="Devices",
    )
    profile: str = option(
        "",
        "speeds of the devices, such as 2:1; default all accelerators evenly, or the CPU as one",
        path=True,
        heading="Devices",
    )

    kernels: str = option(
        "auto",
        "who computes convolutions on a CPU, as of experiments.run; probabilities differ in the "
        "last bits",
        choices=KERNELS,
        heading="Devices",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.cube and self.scenes:
            raise InputError("give either --cube=FILE or --scenes=FILE")
        if self.model_dir and not (self.cube or self.scenes):
            raise InputError("--model_dir needs --cube=FILE, the scene to predict, or --scenes")
        if self.cube_variable and not self.cube:
            raise InputError("--cube_variable goes with --cube=FILE")
        if self.nodata and not (self.cube or self.scenes):
            raise InputError("--nodata goes with --cube=FILE, not with the run's own scene")
        if self.conformal and not self.run:
            raise InputError(
                "`conformal` needs the held-out pixels of a run, which the folder of a model alone "
                "does not have; give --run=FOLDER instead of --model_dir"
            )
        if not self.output:
            raise InputError("give --output=FILE, the map to write, such as map.tif")


def predict(options: PredictOptions) -> None:
    """Makes the map.

    Raises:
        InputError: on a mistake of the user's, before the prediction begins.
        StorageError: if a file cannot be written.
        KeyboardInterrupt: on Ctrl-C; the same options go on from there.
    """
    # Here, because --help does without JAX.
    from hsi_jax.cluster import emulate_devices
    from hsi_jax.kernels import use_compilation_cache, use_kernels
    from hsi_jax.session.map_collection import scenes_to_map

    model = options.load()
    rows = scenes_to_map(options.run, options.scenes, options.cube)
    profile = parse_profile(options.profile) if options.profile else None
    emulate_devices(len(profile) if profile else 1)
    use_compilation_cache()
    use_kernels(options.kernels)
    if rows is None:
        _map_one(options, model, profile)
    else:
        _map_all(options, model, profile, rows)


def _map_one(options: PredictOptions, model: "TrainedModel", profile: Profile | None) -> None:
    from hsi_jax.cluster.launchers import find_rank
    from hsi_jax.session.map_inputs import open_source, summary_of_scene
    from hsi_jax.session.map_request import Request
    from hsi_jax.session.map_writing import make_map

    source, grid, name, files = open_source(
        model, options.run, options.cube, options.cube_variable, nodata=options.nodata
    )
    make_map(
        Request(
            model=model,
            source=source,
            grid=grid,
            scene=name,
            summary=None if options.cube else summary_of_scene(options.run),
            files=files,
            output=Path(options.output),
            probabilities=Path(options.probabilities) if options.probabilities else None,
            probability_type=options.probability_type,
            confidence=Path(options.confidence) if options.confidence else None,
            confidence_kind=options.confidence_kind,
            thresholds=_thresholds(options, model),
            method=options.method,
            profile=profile,
            overwrite=options.overwrite,
            began=time.time() if find_rank() is None else psutil.Process().create_time(),
        )
    )


def _thresholds(options: PredictOptions, model: "TrainedModel") -> tuple[float, ...]:
    """Those of the sets of classes, which the folder of the run then tells; () without sets."""
    from hsi_jax.cluster.launchers import find_rank
    from hsi_jax.session.class_sets import describe_sets, promise_sets

    if options.conformal is None:
        return ()
    sets = promise_sets(options.run, model, options.conformal)
    if not find_rank():
        print(describe_sets(sets, str(sets.write(Path(options.run)))), flush=True)
    return tuple(sets.thresholds)


def _map_all(
    options: PredictOptions,
    model: "TrainedModel",
    profile: Profile | None,
    rows: Sequence["SceneRow"],
) -> None:
    """Makes a map of each scene; those that are there already stay."""
    from hsi_jax.session.map_collection import map_paths

    if options.probabilities or options.confidence or options.conformal:
        raise InputError(
            "--probabilities, --confidence and --conformal go with one scene; give --cube=FILE"
        )
    folder = Path(options.output)
    if folder.suffix or (folder.exists() and not folder.is_dir()):
        raise InputError(f"--output={folder}: give a folder for the maps of {len(rows)} scenes")
    paths = map_paths(folder, rows)
    folder.mkdir(parents=True, exist_ok=True)
    for output, row in paths.items():
        if output.exists() and not options.overwrite:
            print(f"{output} is there already and stays; --overwrite makes it anew", flush=True)
            continue
        one = replace(options, cube=row.image, scenes="", output=str(output))
        with row.named():
            _map_one(one, model, profile)


def predict_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, PredictOptions)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"warning: {with_flags(str(message))}", file=sys.stderr)


def main(argv: list[str]) -> None:
    """Does what the flags say."""
    warnings.showwarning = _show_warning
    try:
        predict(parse_options(argv, PredictOptions, predict_help))
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("\nCtrl-C: what is predicted is kept; the same command goes on", file=sys.stderr)
        sys.exit(INTERRUPTED)
