"""Published weights of PyTorch, by their names there, as parameters of our networks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.registry import Registry

Arrays = Mapping[str, np.ndarray]


def published_variables(model: str, weights: Arrays) -> dict[str, Any]:
    """What a network's `apply` takes, from the weights that its authors published.

    Args:
        model: "ssftt", "spectralformer", or package.module:function of your own, which maps the
            weights to variables.
        weights: float32 arrays under the names of the authors' PyTorch code.

    Raises:
        InputError: if the model is another, or the weights are not those of it.
    """
    convert = _CONVERTERS.find(model)
    try:
        return convert(weights)
    except KeyError as error:
        raise InputError(f"`weights` lack {error}; they are not those of {model}") from None


def _spectralformer(w: Arrays) -> dict[str, Any]:
    depth = sum(name.endswith("to_qkv.weight") for name in w)
    params = {
        "embed": _dense(w, "patch_to_embedding"),
        "class_token": w["cls_token"],
        "places": w["pos_embedding"],
        "LayerNorm_0": _norm(w, "mlp_head.0"),
        "Dense_0": _dense(w, "mlp_head.1"),
    }
    for layer in range(depth):
        params[f"Block_{layer}"] = _block(w, layer, "to_out.0")
    for layer in range(depth - 2):
        at = f"transformer.skipcat.{layer}"
        kernel = w[f"{at}.weight"][:, :, 0]  # [tokens out, tokens in, the two layers]
        kernel = np.concatenate([kernel[..., 0].T, kernel[..., 1].T])
        params[f"_Fusion_{layer}"] = {"Dense_0": {"kernel": kernel, "bias": w[f"{at}.bias"]}}
    return {"params": params}


def _ssftt(w: Arrays) -> dict[str, Any]:
    params = {
        "Conv_0": _conv(w, "conv3d_features.0"),
        "BatchNorm_0": _norm(w, "conv3d_features.1"),
        "Conv_1": _conv(w, "conv2d_features.0"),
        "BatchNorm_1": _norm(w, "conv2d_features.1"),
        "token_weights": w["token_wA"][0].T,
        "token_values": w["token_wV"][0],
        "class_token": w["cls_token"],
        "places": w["pos_embedding"],
        "Block_0": _block(w, 0, "nn1"),
        "Dense_0": _dense(w, "nn1"),
    }
    statistics = {
        f"BatchNorm_{number}": {
            "mean": w[f"conv{dims}d_features.1.running_mean"],
            "var": w[f"conv{dims}d_features.1.running_var"],
        }
        for number, dims in enumerate((3, 2))
    }
    return {"params": params, "batch_stats": statistics}


def _block(w: Arrays, layer: int, out: str) -> dict[str, Any]:
    at = f"transformer.layers.{layer}"
    attention = f"{at}.0.fn"
    dense = f"{at}.1.fn"
    return {
        "LayerNorm_0": _norm(w, f"{attention}.norm"),
        "Attention_0": {
            "qkv": _dense(w, f"{attention}.fn.to_qkv"),
            "out": _dense(w, f"{attention}.fn.{out}"),
        },
        "LayerNorm_1": _norm(w, f"{dense}.norm"),
        "Dense_0": _dense(w, f"{dense}.fn.net.0"),
        "Dense_1": _dense(w, f"{dense}.fn.net.3"),
    }


def _dense(w: Arrays, name: str) -> dict[str, np.ndarray]:
    return _with_bias(w, name, w[f"{name}.weight"].T)


def _conv(w: Arrays, name: str) -> dict[str, np.ndarray]:
    return _with_bias(w, name, np.moveaxis(w[f"{name}.weight"], (0, 1), (-1, -2)))


def _with_bias(w: Arrays, name: str, kernel: np.ndarray) -> dict[str, np.ndarray]:
    bias = w.get(f"{name}.bias")
    return {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}


def _norm(w: Arrays, name: str) -> dict[str, np.ndarray]:
    return {"scale": w[f"{name}.weight"], "bias": w[f"{name}.bias"]}


_CONVERTERS: Registry[Callable[[Arrays], dict[str, Any]]] = Registry(
    "model", {"spectralformer": _spectralformer, "ssftt": _ssftt}
)
