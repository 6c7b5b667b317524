"""SSFTT and SpectralFormer in PyTorch, written from the papers, for published weights.

Run as ``python published_torch.py WEIGHTS.npz INPUTS.npy OUTPUT.npy`` by a Python that has PyTorch.
It uses none of our code. Which network it is, the names of the weights tell.
"""

import sys

import numpy as np
import torch
from torch.nn import functional as F


def attend(x, qkv, bias, out, out_bias, heads, scale):
    batch, count, _ = x.shape
    parts = F.linear(x, qkv, bias).view(batch, count, 3, heads, -1).permute(2, 0, 3, 1, 4)
    mixed = torch.softmax(parts[0] @ parts[1].transpose(-1, -2) * scale, -1) @ parts[2]
    return F.linear(mixed.transpose(1, 2).reshape(batch, count, -1), out, out_bias)


def block(x, w, layer, out, heads, scale):
    at = f"transformer.layers.{layer}."
    normal = F.layer_norm(x, x.shape[-1:], w[at + "0.fn.norm.weight"], w[at + "0.fn.norm.bias"])
    qkv = at + "0.fn.fn.to_qkv."
    out = at + f"0.fn.fn.{out}."
    x = x + attend(
        normal,
        w[qkv + "weight"],
        w.get(qkv + "bias"),
        w[out + "weight"],
        w[out + "bias"],
        heads,
        scale,
    )
    normal = F.layer_norm(x, x.shape[-1:], w[at + "1.fn.norm.weight"], w[at + "1.fn.norm.bias"])
    net = at + "1.fn.fn.net."
    hidden = F.gelu(F.linear(normal, w[net + "0.weight"], w[net + "0.bias"]))
    return x + F.linear(hidden, w[net + "3.weight"], w[net + "3.bias"])


def norm(x, w, at):
    names = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(w[f"{at}.{name}"] for name in names), eps=1e-5)


def ssftt(x, w):
    """Logits of patches [n, h, w, bands]."""
    x = x.permute(0, 3, 1, 2)[:, None]
    x = F.conv3d(x, w["conv3d_features.0.weight"], w["conv3d_features.0.bias"])
    x = F.relu(norm(x, w, "conv3d_features.1")).flatten(1, 2)
    x = F.conv2d(x, w["conv2d_features.0.weight"], w["conv2d_features.0.bias"])
    x = F.relu(norm(x, w, "conv2d_features.1")).flatten(2).transpose(1, 2)
    weights = torch.softmax(w["token_wA"] @ x.transpose(1, 2), -1)
    tokens = weights @ (x @ w["token_wV"])
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), tokens], 1) + w["pos_embedding"]
    x = block(x, w, 0, "nn1", 8, 64**-0.5)
    return F.linear(x[:, 0], w["nn1.weight"], w["nn1.bias"])


def spectralformer(x, w):
    """Logits of patches [n, h, w, bands]; groups of three bands, ring-shaped."""
    bands = x.shape[-1]
    pixels = x.flatten(1, 2).transpose(1, 2)
    near = [[(band + step) % bands for band in range(bands)] for step in (-1, 0, 1)]
    x = torch.cat([pixels[:, at] for at in near], -1)
    x = F.linear(x, w["patch_to_embedding.weight"], w["patch_to_embedding.bias"])
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], 1) + w["pos_embedding"]
    earlier = []
    for layer in range(5):
        earlier.append(x)
        if layer > 1:
            at = f"transformer.skipcat.{layer - 2}."
            both = torch.stack([x, earlier[layer - 2]], -1)  # tokens are the channels
            x = F.conv2d(both, w[at + "weight"], w[at + "bias"]).squeeze(-1)
        x = block(x, w, layer, "to_out.0", 4, 16**-0.5)
    x = F.layer_norm(x[:, 0], (64,), w["mlp_head.0.weight"], w["mlp_head.0.bias"])
    return F.linear(x, w["mlp_head.1.weight"], w["mlp_head.1.bias"])


def main(weights, inputs, output):
    """Writes the logits of the inputs."""
    w = {name: torch.from_numpy(array) for name, array in np.load(weights).items()}
    network = ssftt if "token_wA" in w else spectralformer
    with torch.no_grad():
        logits = network(torch.from_numpy(np.load(inputs)), w)
    np.save(output, logits.numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
