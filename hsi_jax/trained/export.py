"""A trained model as a file that other programs run: ONNX, or StableHLO for JAX alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import msgspec

from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.errors import InputError, StorageError
from hsi_jax.kernels import kernels_in_use, use_kernels
from hsi_jax.models import Model
from hsi_jax.registry import Registry
from hsi_jax.trained.description import Description
from hsi_jax.trained.onnx_model import to_onnx
from hsi_jax.trained.pipeline import Pipeline

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(pipeline: Pipeline, metadata: dict[str, Any]) -> bytes:
    """The bytes of `jax.export`, which `jax.export.deserialize` reads.

    Args:
        pipeline: of a trained model.
        metadata: it has no place there.
    """
    shape = jax.export.symbolic_shape(", ".join(map(str, pipeline.input_shape)))
    given = jax.ShapeDtypeStruct(shape, jnp.float32)
    exported = jax.export.export(jax.jit(pipeline.probabilities), platforms=PLATFORMS)(given)
    return bytes(exported.serialize())


FORMATS: Registry[Callable[[Pipeline, dict[str, Any]], bytes]] = Registry(
    "format", {"onnx": to_onnx, "stablehlo": to_stablehlo}
)


class Exportable(Protocol):
    """What is needed of a trained model."""

    @property
    def description(self) -> Description: ...  # noqa: D102, as of `TrainedModel`
    @property
    def preprocessing(self) -> Preprocessing | None: ...  # noqa: D102
    @property
    def params(self) -> Any: ...  # noqa: D102
    @property
    def batch_stats(self) -> Any: ...  # noqa: D102
    @property
    def network(self) -> Model: ...  # noqa: D102


def export_model(
    model: Exportable,
    path: Path,
    *,
    file_format: str = "onnx",
    tile: int | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a file that maps raw bands to probabilities, and holds what its reader must know.

    It takes patches, float32 [n, bands, p, p], of any number, and gives [n, C]; or a tile, [1,
    bands, side, side], and gives [1, C, side, side].

    Args:
        model: trained.
        path: of the file; beside one of StableHLO is also FILE.json, with what `describe` tells.
        file_format: of `FORMATS`: "onnx", or "stablehlo" for `jax.export.deserialize`.
        tile: side of a tile, pixels, or None for patches.
        overwrite: whether files may be replaced.

    Raises:
        InputError: if a file exists, a library is missing, or the model has no such form.
        StorageError: if a file cannot be written.
    """
    convert = FORMATS.find(file_format)
    pipeline = Pipeline.of(
        model.description,
        model.preprocessing,
        {"params": model.params, "batch_stats": model.batch_stats},
        network=model.network,
        tile=tile,
    )
    beside = path.with_name(f"{path.name}.json")
    files = [path] if file_format == "onnx" else [path, beside]
    _check_files(files, overwrite)
    metadata, used = describe(pipeline), kernels_in_use()
    use_kernels("xla")  # the bundled kernels are of this machine
    try:
        content = convert(pipeline, metadata)
    finally:
        use_kernels(used)
    try:
        path.write_bytes(content)
        if beside in files:
            beside.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}") from None


def _check_files(files: list[Path], overwrite: bool) -> None:
    for file in files:
        if file.exists() and not overwrite:
            raise InputError(f"{file} exists already; choose another name, or give `overwrite`")
    folder = files[0].absolute().parent
    if not folder.is_dir():
        raise InputError(f"`output`={files[0]}: there is no folder {folder}")


def describe(pipeline: Pipeline) -> dict[str, Any]:
    """What a file says of its model, by key; each value can be written as JSON.

    Those of the first group are read by Deepness, the plugin of QGIS. It divides all values by 255,
    which the deviations that it is told undo.
    """
    known = pipeline.description
    names = {str(number): name for number, name in enumerate(known.class_names)}
    of_gis: dict[str, Any] = {"class_names": names}
    if pipeline.tile:
        overlap = -(-100 * 2 * pipeline.border // pipeline.tile)
        of_gis |= {
            "model_type": "Segmentor",
            "tile_size": pipeline.tile,
            "tiles_size": pipeline.tile,
            "tiles_overlap": overlap,
            "standardization_mean": [0.0] * known.num_bands,
            "standardization_std": [1 / 255] * known.num_bands,
        }
    return of_gis | {
        "class_ids": known.class_ids,
        "class_colours": known.colours,
        "unlabelled_id": known.unlabelled_id,
        "wavelengths_nm": known.wavelengths,
        "band_names": known.band_names,
        "nodata_values": known.nodata_values,
        "patch_size": known.input_shape[0],
        "input": f"bands, float32 {list(pipeline.input_shape)}, as they are in the scene",
        "output": "probabilities of the classes; NaN where a pixel has no data",
        "hsi_jax": _to_json(known),
    }


def _to_json(description: Description) -> Any:
    return json.loads(msgspec.json.encode(description))
