"""Makes a map of a scene with a trained model: `python -m experiments.predict --help`."""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.command_line import fail, help_text, parse_options, with_flags
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.hetero import parse_profile
from hsi_jax.kernels.choice import KERNELS
from hsi_jax.options import check_options, option
from hsi_jax.train.tables import METHODS

PROBABILITY_TYPES = ("float32", "uint8")
CONFIDENCES = ("margin", "entropy")
INTERRUPTED = 130

USAGE = """\
Makes a map of a scene of any size with the model of a run.

  python -m experiments.predict --run=RUN --output=map.tif                the run's own scene
  python -m experiments.predict --run=RUN --cube=SCENE --output=map.tif   another one
  python -m experiments.predict --model_dir=DIR --cube=SCENE --output=map.hdr \\
      --probabilities=probabilities.tif --confidence=margin.tif

The map keeps the position of the scene, and pixels without data. Beside map.tif come a picture with
its legend, map_legend.png, and the area of each class, map_areas.csv. Ctrl-C, or a kill, loses
nothing: the same command goes on.
"""


@dataclass(frozen=True)
class PredictOptions:
    """What is to be predicted, and what is written.

    Raises:
        InputError: on a value that cannot be used, or any two that contradict each other.
    """

    run: str = option("", "folder of a run, finished or not", path=True, heading="Model")
    model_dir: str = option(
        "", "folder of a saved model, instead of --run", path=True, heading="Model"
    )
    factory: str = option(
        "",
        "package.module:factory that makes the network, where it is not one of hsi_jax; it is "
        "imported and called, so name only what you trust",
        heading="Model",
    )
    cube: str = option(
        "",
        "the scene, as --cube of experiments.run takes it; default the run's own scene",
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
        "the class map: .tif (GeoTIFF), .hdr (ENVI classification), .npy or .png",
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
        check_options(self)
        if bool(self.run) == bool(self.model_dir):
            raise InputError("give either --run=FOLDER or --model_dir=FOLDER")
        if self.model_dir and not self.cube:
            raise InputError("--model_dir needs --cube=FILE, the scene to predict")
        if self.cube_variable and not self.cube:
            raise InputError("--cube_variable goes with --cube=FILE")
        if self.nodata and not self.cube:
            raise InputError("--nodata goes with --cube=FILE, not with the run's own scene")
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
    from hsi_jax.session.map_inputs import load_model, open_source
    from hsi_jax.session.map_writing import Request, make_map

    model = load_model(options.run, options.model_dir, options.factory)
    source, grid, name, files = open_source(
        model, options.run, options.cube, options.cube_variable, nodata=options.nodata
    )
    profile = parse_profile(options.profile) if options.profile else None
    emulate_devices(len(profile) if profile else 1)
    use_compilation_cache()
    use_kernels(options.kernels)
    make_map(
        Request(
            model=model,
            source=source,
            grid=grid,
            scene=name,
            files=files,
            output=Path(options.output),
            probabilities=Path(options.probabilities) if options.probabilities else None,
            probability_type=options.probability_type,
            confidence=Path(options.confidence) if options.confidence else None,
            confidence_kind=options.confidence_kind,
            method=options.method,
            profile=profile,
            overwrite=options.overwrite,
        )
    )


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
