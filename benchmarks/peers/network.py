"""`hsi_jax.models.cnn2d` in PyTorch, with our parameters where they are handed over."""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn


def make_model(
    bands: int, patch_size: int, *, features: Sequence[int], hidden: int, num_classes: int
) -> nn.Sequential:
    """The cnn2d: patches [n, bands, p, p] to logits [n, num_classes]."""
    layers = []
    channels = bands
    for layer, width in enumerate(features):
        layers += [
            nn.Conv2d(channels, width, 3, padding="same", bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        if layer == 1:
            layers.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * (patch_size // 2) ** 2, hidden),
        nn.ReLU(),
        nn.Linear(hidden, num_classes),
    )


def model_of(parameters: Mapping[str, np.ndarray], patch_size: int) -> nn.Sequential:
    """The cnn2d with our parameters, by their names in Flax such as "Conv_0/kernel"."""
    convolutions = sorted(name for name in parameters if name.startswith("Conv_"))
    kernels = [parameters[name] for name in convolutions]  # [3, 3, in, out]
    hidden, num_classes = parameters["Dense_1/kernel"].shape
    features = [kernel.shape[-1] for kernel in kernels]
    bands = kernels[0].shape[2]
    model = make_model(bands, patch_size, features=features, hidden=hidden, num_classes=num_classes)
    with torch.no_grad():
        for index, layer in enumerate(_layers(model, nn.Conv2d)):
            _set(layer.weight, kernels[index].transpose(3, 2, 0, 1))
        for index, layer in enumerate(_layers(model, nn.BatchNorm2d)):
            _set(layer.weight, parameters[f"BatchNorm_{index}/scale"])
            _set(layer.bias, parameters[f"BatchNorm_{index}/bias"])
        for index, layer in enumerate(_layers(model, nn.Linear)):
            kernel = parameters[f"Dense_{index}/kernel"]
            if index == 0:  # Flax flattens rows, columns, channels; PyTorch channels first
                side = round((len(kernel) / features[-1]) ** 0.5)
                kernel = kernel.reshape(side, side, features[-1], hidden)
                kernel = kernel.transpose(2, 0, 1, 3).reshape(-1, hidden)
            _set(layer.weight, kernel.T)
            _set(layer.bias, parameters[f"Dense_{index}/bias"])
    return model


def _layers(model: nn.Sequential, kind: type[nn.Module]) -> list:
    return [layer for layer in model if isinstance(layer, kind)]


def _set(parameter: nn.Parameter, values: np.ndarray) -> None:
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
