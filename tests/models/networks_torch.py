"""SSRN, DBDA and GAHT in PyTorch, written from the papers and the authors' code, to be evaluated.

Run as ``python networks_torch.py NETWORK WEIGHTS.npz INPUTS.npy OUTPUT.npy`` by a Python that has
PyTorch. It uses none of our code: only the weights have our names and layout. As in the authors'
code the bands are the last axis of a patch in SSRN and DBDA, and the channels of an image in GAHT.
"""

import sys

import numpy as np
import torch
from torch.nn import functional as F


class Weights:
    """Weights by name, in PyTorch's layout."""

    def __init__(self, path):
        self._arrays = {name: torch.from_numpy(array) for name, array in np.load(path).items()}

    def __call__(self, name):
        return self._arrays[f"params/{name}"]

    def conv_along_bands(self, x, name, **options):
        kernel = self(f"{name}/kernel").permute(4, 3, 1, 2, 0)  # (k, 1, 1, in, out)
        return F.conv3d(x, kernel, self(f"{name}/bias"), **options)

    def conv_in_space(self, x, name, **options):
        kernel = self(f"{name}/kernel").permute(3, 2, 0, 1)  # (k, k, in, out)
        return F.conv2d(x, kernel, self(f"{name}/bias"), **options)

    def linear(self, x, name):
        return F.linear(x, self(f"{name}/kernel").T, self(f"{name}/bias"))

    def batch_norm(self, x, name, eps):
        mean, var = (self._arrays[f"batch_stats/{name}/{part}"] for part in ("mean", "var"))
        return F.batch_norm(x, mean, var, self(f"{name}/scale"), self(f"{name}/bias"), eps=eps)

    def layer_norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self(f"{name}/scale"), self(f"{name}/bias"))


def ssrn(x, w):
    """Logits of patches [n, h, w, bands]."""

    def norm(x, index):
        return F.relu(w.batch_norm(x, f"BatchNorm_{index}", 1e-3))

    x = w.conv_along_bands(x[:, None], "Conv_0", stride=(1, 1, 2))
    for at in (0, 2):
        y = w.conv_along_bands(norm(x, at), f"Conv_{at + 1}", padding=(0, 0, 3))
        x = x + w.conv_along_bands(norm(y, at + 1), f"Conv_{at + 2}", padding=(0, 0, 3))
    x = w.conv_along_bands(norm(x, 4), "Conv_5")
    x = w.conv_in_space(norm(x, 5).squeeze(-1), "Conv_6")
    for at in (6, 8):
        y = w.conv_in_space(norm(x, at), f"Conv_{at + 1}", padding=1)
        x = x + w.conv_in_space(norm(y, at + 1), f"Conv_{at + 2}", padding=1)
    return w.linear(norm(x, 10).mean((2, 3)), "Dense_0")


def dbda(x, w):
    """Logits of patches [n, h, w, bands]."""

    def norm(x, index):
        return F.mish(w.batch_norm(x, f"BatchNorm_{index}", 1e-3))

    cube = x[:, None]
    spectral = w.conv_along_bands(cube, "Conv_0", stride=(1, 1, 2))
    for at in range(3):
        y = w.conv_along_bands(norm(spectral, at), f"Conv_{at + 1}", padding=(0, 0, 3))
        spectral = torch.cat([spectral, y], 1)
    spectral = w.conv_along_bands(norm(spectral, 3), "Conv_4").squeeze(-1)
    flat = spectral.flatten(2)
    energy = torch.bmm(flat, flat.transpose(1, 2))
    energy = energy.max(-1, keepdim=True)[0] - energy
    taken = torch.bmm(torch.softmax(energy, -1), flat).view(spectral.shape)
    attended = w("ChannelAttention_0/gamma") * taken + spectral
    spectral = norm(attended * spectral, 4).mean((2, 3))

    spatial = w.conv_in_space(x.permute(0, 3, 1, 2), "Conv_5")
    for at in range(3):
        y = w.conv_in_space(norm(spatial, 5 + at), f"Conv_{6 + at}", padding=1)
        spatial = torch.cat([spatial, y], 1)
    flat = spatial.flatten(2).transpose(1, 2)
    query, key, value = (
        w.linear(flat, f"PositionAttention_0/{name}") for name in ("query", "key", "value")
    )
    taken = torch.softmax(query @ key.transpose(1, 2), -1) @ value
    taken = taken.transpose(1, 2).reshape(spatial.shape)
    attended = w("PositionAttention_0/gamma") * taken + spatial
    spatial = norm(attended * spatial, 8).mean((2, 3))
    return w.linear(torch.cat([spectral, spatial], 1), "Dense_0")


def gaht(x, w, groups=4, heads=(8, 4, 2), depths=(1, 2, 1)):
    """Logits of patches [n, h, w, bands]."""
    x = x.permute(0, 3, 1, 2)
    x = torch.cat([x, *[x[:, -1:]] * (-x.shape[1] % groups)], 1)
    block = 0
    for stage in range(3):
        parts = [f"GroupedConv_{stage}/Conv_{group}" for group in range(groups)]
        kernel = torch.cat([w(f"{part}/kernel").permute(3, 2, 0, 1) for part in parts])
        bias = torch.cat([w(f"{part}/bias") for part in parts])
        x = F.conv2d(x, kernel, bias, padding=1, groups=groups)
        x = F.relu(w.batch_norm(x, f"BatchNorm_{stage}", 1e-5))
        shape = x.shape
        x = x.flatten(2).transpose(1, 2)
        for _ in range(depths[stage]):
            at = f"Block_{block}"
            x = x + attend(w.layer_norm(x, f"{at}/LayerNorm_0"), w, at, heads[stage])
            y = w.linear(w.layer_norm(x, f"{at}/LayerNorm_1"), f"{at}/Dense_0")
            x = x + w.linear(F.gelu(y), f"{at}/Dense_1")
            block += 1
        x = w.layer_norm(x, f"LayerNorm_{stage}").transpose(1, 2).reshape(shape)
    return w.linear(x.mean((2, 3)), "Dense_0")


def attend(x, w, block, heads):
    """Attention without a scale, by PyTorch's own function."""
    shape = x.shape
    three = w.linear(x, f"{block}/Attention_0/qkv").chunk(3, -1)
    query, key, value = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in three)
    mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    return w.linear(mixed.transpose(1, 2).reshape(shape), f"{block}/Attention_0/out")


def main(network, weights, inputs, output):
    """Writes the logits of the inputs."""
    network = {"ssrn": ssrn, "dbda": dbda, "gaht": gaht}[network]
    with torch.no_grad():
        logits = network(torch.from_numpy(np.load(inputs)), Weights(weights))
    np.save(output, logits.numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
