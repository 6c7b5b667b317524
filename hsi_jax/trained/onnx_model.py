"""A pipeline as an ONNX model, which needs neither JAX nor this library.

jax2onnx converts the network. It does not convert programs that mix float32 and float64 (0.17), so
the scaling, which must be done in float64, is written in ONNX here.
"""

import contextlib
import io
import json
import logging
import warnings
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun

from hsi_jax.errors import InputError
from hsi_jax.trained.pipeline import Pipeline

OPSET = 21  # onnxruntime 1.20 and later
IR_VERSION = 10
INPUT, OUTPUT = "bands", "probabilities"


def to_onnx(pipeline: Pipeline, metadata: dict[str, Any]) -> bytes:
    """The bytes of an ONNX model.

    Args:
        pipeline: of a trained model.
        metadata: entries by key, each written as JSON.

    Raises:
        InputError: if jax2onnx is not installed, or cannot convert the network, or it computes in
            bfloat16.
    """
    onnx, jax2onnx = _import()
    network = _convert(pipeline, jax2onnx)
    _refuse_bfloat16(network, onnx)
    network = onnx.compose.add_prefix(network, "network/")
    (given,), (made,) = network.graph.input, network.graph.output
    model = onnx.compose.merge_models(
        _prepare(pipeline, onnx), network, io_map=[("scaled", given.name)]
    )
    joined = [(made.name, "classified"), ("absent", "missing")]
    if pipeline.preprocessing is None:
        joined = joined[:1]
    model = onnx.compose.merge_models(model, _finish(pipeline, onnx), io_map=joined)
    model.producer_name = "hsi_jax"
    onnx.helper.set_model_props(
        model, {key: json.dumps(value, allow_nan=False) for key, value in metadata.items()}
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _import() -> tuple[Any, Any]:
    # They tell of operations of other libraries, and of types that the checker finds again.
    for name in ("jax2onnx", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        import jax2onnx
        import onnx
        import onnx.compose
        import onnx.parser
    except ImportError:
        raise InputError(
            "`format`=onnx needs jax2onnx, which is not installed: python -m pip install -e "
            "'.[onnx]'; or give `format`=stablehlo"
        ) from None
    return onnx, jax2onnx


def _convert(pipeline: Pipeline, jax2onnx: Any) -> Any:
    classify = pipeline.classify
    if pipeline.tile:
        # As it stands, jax2onnx would put a convolution of its own into the place of `nn.Conv`,
        # which knows nothing of `TileLayers`.
        given = jax.ShapeDtypeStruct(pipeline.scaled_shape, np.float32)
        traced = jaxpr_as_fun(jax.make_jaxpr(classify)(given))

        def classify(scaled):
            return traced(scaled)[0]

    try:
        # Its warnings, such as of float64 that is cut, and what it prints for its authors.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return jax2onnx.to_onnx(
                classify,
                [pipeline.scaled_shape],
                model_name=pipeline.description.architecture,
                opset=OPSET,
            )
    except Exception as error:  # of whatever kind jax2onnx has for what it does not know
        raise InputError(
            f"`format`=onnx: jax2onnx cannot convert {pipeline.description.architecture} "
            f"({str(error)[:200]}); give `format`=stablehlo"
        ) from error


def _refuse_bfloat16(network: Any, onnx: Any) -> None:
    nodes = [*network.graph.node, *(node for each in network.functions for node in each.node)]
    for node in nodes:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == onnx.TensorProto.BFLOAT16:
                raise InputError(
                    "`format`=onnx: the network computes in bfloat16, in which onnxruntime has no "
                    "convolutions; give `format`=stablehlo, or train without dtype=bfloat16"
                )


def _header() -> str:
    return f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>'


def _shape(shape: tuple[str | int, ...]) -> str:
    return ", ".join(map(str, shape))


def _prepare(pipeline: Pipeline, onnx: Any) -> Any:
    """The model from raw bands to what the network is given, and which pixels have no data."""
    mean, scale, components = pipeline.constants
    constants = {"mean": mean, "scale": scale, "bands_axis": np.array([1], np.int64)}
    lines = [
        f"last = Transpose <perm = [0, 2, 3, 1]> ({INPUT})",
        "exact = Cast <to = 11> (last)",
        "centred = Sub (exact, mean)",
    ]
    if components is not None:
        constants["components"] = np.ascontiguousarray(components.T)
        lines.append("projected = MatMul (centred, components)")
    lines.append(f"divided = Div ({'centred' if components is None else 'projected'}, scale)")
    whole = "divided"
    if pipeline.preprocessing is not None:
        more, extra = _find_absent(pipeline)
        lines += [*more, "marked = Unsqueeze (absent, last_axis)"]
        lines.append("whole = Where (marked, nothing, divided)")
        constants |= extra | {"last_axis": np.array([3], np.int64), "nothing": np.array(0.0)}
        whole = "whole"
    if pipeline.border:
        around = pipeline.border
        constants["pads"] = np.array([0, around, around, 0, 0, around, around, 0], np.int64)
        lines.append(f'padded = Pad <mode = "reflect"> ({whole}, pads)')
        whole = "padded"
    lines.append(f"scaled = Cast <to = 1> ({whole})")
    first, _, rows, columns = pipeline.input_shape
    outputs = f"float[{_shape(pipeline.scaled_shape)}] scaled"
    if pipeline.preprocessing is not None:
        outputs += f", bool[{_shape((first, rows, columns))}] absent"
    inputs = f"float[{_shape(pipeline.input_shape)}] {INPUT}"
    return _model(onnx, f"prepare ({inputs}) => ({outputs})", lines, constants)


def _find_absent(pipeline: Pipeline) -> tuple[list[str], dict[str, np.ndarray]]:
    """Lines that find the pixels without data, and their constants; see `Pipeline.prepare`."""
    constants: dict[str, np.ndarray] = {}
    lines = [
        f"nan = IsNaN ({INPUT})",
        f"infinite = IsInf ({INPUT})",
        "bad = Or (nan, infinite)",
        "bad_number = Cast <to = 1> (bad)",
        "bad_most = ReduceMax <keepdims = 0> (bad_number, bands_axis)",
        "found = Cast <to = 9> (bad_most)",
    ]
    found = "found"
    for number, (low, high, everywhere) in enumerate(pipeline.nodata_bounds):
        constants[f"low{number}"] = np.array(low, np.float32)
        constants[f"high{number}"] = np.array(high, np.float32)
        reduce = "ReduceMin" if everywhere else "ReduceMax"
        lines += [
            f"above{number} = GreaterOrEqual ({INPUT}, low{number})",
            f"below{number} = LessOrEqual ({INPUT}, high{number})",
            f"held{number} = And (above{number}, below{number})",
            f"number{number} = Cast <to = 1> (held{number})",
            f"reduced{number} = {reduce} <keepdims = 0> (number{number}, bands_axis)",
            f"here{number} = Cast <to = 9> (reduced{number})",
            f"found{number} = Or ({found}, here{number})",
        ]
        found = f"found{number}"
    return [*lines, f"absent = Identity ({found})"], constants


def _finish(pipeline: Pipeline, onnx: Any) -> Any:
    """The model that gives NaN where a pixel has no data."""
    classes = len(pipeline.description.class_names)
    first, _, rows, columns = pipeline.input_shape
    shape = (1, classes, rows, columns) if pipeline.tile else (first, classes)
    output = f"float[{_shape(shape)}] {OUTPUT}"
    inputs, lines, constants = f"float[{_shape(shape)}] classified", [], {}
    if pipeline.preprocessing is None:
        lines = [f"{OUTPUT} = Identity (classified)"]
    else:
        inputs += f", bool[{_shape((first, rows, columns))}] missing"
        missing = "missing"
        constants = {"one": np.array([1], np.int64), "unknown": np.array(np.nan, np.float32)}
        if centre := pipeline.centre:
            constants |= {
                "row": np.array(centre[0], np.int64),
                "column": np.array(centre[1], np.int64),
            }
            lines += [
                "of_row = Gather <axis = 1> (missing, row)",
                "of_pixel = Gather <axis = 1> (of_row, column)",
            ]
            missing = "of_pixel"
        lines += [
            f"spread = Unsqueeze ({missing}, one)",
            f"{OUTPUT} = Where (spread, unknown, classified)",
        ]
    return _model(onnx, f"finish ({inputs}) => ({output})", lines, constants)


def _model(onnx: Any, signature: str, lines: list[str], constants: dict[str, np.ndarray]) -> Any:
    model = onnx.parser.parse_model(f"{_header()} {signature} {{ {' '.join(lines)} }}")
    for name, value in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model
