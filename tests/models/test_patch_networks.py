"""The networks of the field against published sizes and published weights."""

import os
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.models import build_model, find_trait, published_variables
from tests.models.narrow import NARROW, quick_jit
from tests.models.random_variables import random_variables

HERE = Path(__file__).parent
# Parameters of the authors' PyTorch code as counted by PyTorch: bands, classes, options, number.
# SSRN's is that of the PyTorch version in the repository of DBDA; 364.17 K in publications.
PUBLISHED = {
    "ssrn": (200, 16, {}, 364_168),
    "dbda": (200, 16, {}, 382_328),
    "spectralformer": (200, 16, {}, 355_577),  # also the sizes of the published weights
    "ssftt": (30, 16, {}, 153_224),  # likewise
    "gaht": (176, 14, {}, 816_846),
    "gaht_salinas": (204, 16, {"groups": 16, "depths": (2, 1, 1)}, 972_624),
}
NORMALISED = ("ssrn", "dbda", "ssftt", "gaht")


def parameter_count(model, patch_size, bands, num_classes, options):
    module = build_model(model, num_classes, options)
    zeros = jnp.zeros((1, patch_size, patch_size, bands))
    shapes = jax.eval_shape(module.init, jax.random.key(0), zeros)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_parameters_are_as_many_as_in_the_published_code(name):
    bands, num_classes, options, expected = PUBLISHED[name]
    model = name.removesuffix("_salinas")
    patch_size = find_trait(model, "default_patch_size")
    assert parameter_count(model, patch_size, bands, num_classes, options) == expected


def test_the_pixelwise_spectralformer_has_as_many_parameters_as_its_published_weights():
    assert parameter_count("spectralformer", 1, 200, 16, {}) == 346_361


def test_ssrn_has_the_layers_of_its_paper():
    # 200 bands leave 97 positions; 7x7 patches leave 5x5.
    spectral = 24 * (7 + 1) + 4 * 24 * (24 * 7 + 1) + 128 * (24 * 97 + 1)
    spatial = 24 * (9 * 128 + 1) + 4 * 24 * (9 * 24 + 1)
    norms = 2 * (5 * 24 + 128 + 5 * 24)
    assert parameter_count("ssrn", 7, 200, 16, {}) == spectral + spatial + norms + 25 * 16


def test_mamba_has_the_layers_it_says():
    def mamba(width):  # Gu and Dao: inner width 2 * width, 16 states, steps of rank width / 16
        inner, rank = 2 * width, -(-width // 16)
        dense = width * 2 * inner + inner * (rank + 32) + (rank + 1) * inner + inner * width
        return dense + inner * (4 + 1) + inner * 16 + inner

    block = 2 * mamba(64) + mamba(16) + 2 * (2 * 64) + 2
    assert parameter_count("mamba", 7, 200, 16, {}) == 201 * 64 + 128 + 2 * block + 65 * 16


def test_vit_has_the_layers_it_says():
    attention = 64 * 3 * 64 + 3 * 64 + 64 * 64 + 64
    dense = 64 * 256 + 256 + 256 * 64 + 64
    block = attention + dense + 2 * 2 * 64
    tokens = 201 * 64 + 64 + (49 + 1) * 64
    assert parameter_count("vit", 7, 200, 16, {}) == tokens + 4 * block + 2 * 64 + 65 * 16


@pytest.mark.parametrize(
    ("model", "weights", "patch_size", "bands"),
    [
        ("ssftt", "ssftt", 13, 30),
        ("spectralformer", "spectralformer_patch", 7, 200),
        ("spectralformer", "spectralformer_pixel", 1, 200),
    ],
)
@pytest.mark.slow
def test_published_weights_give_the_logits_of_pytorch(
    real_data, tmp_path, model, weights, patch_size, bands
):
    path = real_data / "reference_weights" / f"{weights}_indian_pines.npz"
    patches = random_patches(patch_size, bands)
    expected = logits_of_pytorch("published_torch.py", path, patches, tmp_path)
    with np.load(path) as arrays:
        variables = published_variables(model, arrays)
    logits = build_model(model, 16, {}).apply(variables, patches)
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "patch_size", "bands"), [("ssrn", 7, 200), ("dbda", 9, 103), ("gaht", 7, 103)]
)
def test_the_logits_are_those_of_pytorch(tmp_path, model, patch_size, bands):
    module = build_model(model, 16, {})
    patches = random_patches(patch_size, bands)
    rng = np.random.default_rng(1)
    # Far from their initial values, of which many are 0 or 1; those of variances are above 0.
    variables = jax.tree.map(
        lambda leaf: leaf + np.abs(0.1 * rng.normal(size=leaf.shape)).astype(np.float32),
        random_variables(module, patches),
    )
    named = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
    }
    np.savez(tmp_path / "weights.npz", **named)
    expected = logits_of_pytorch(
        "networks_torch.py", tmp_path / "weights.npz", patches, tmp_path, model
    )
    logits = module.apply(variables, patches)
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


def random_patches(patch_size, bands):
    patches = np.random.default_rng(0).normal(size=(5, patch_size, patch_size, bands))
    return patches.astype(np.float32)


def logits_of_pytorch(program, weights, patches, folder, *network):
    """What a program beside this file computes by PyTorch."""
    python = os.environ.get("HSI_JAX_TEST_TORCH_PYTHON")
    if python is None:
        pytest.skip("set HSI_JAX_TEST_TORCH_PYTHON to a Python that has PyTorch")
    np.save(folder / "inputs.npy", patches)
    paths = (weights, folder / "inputs.npy", folder / "logits.npy")
    subprocess.run([python, HERE / program, *network, *paths], check=True, timeout=300)
    logits = np.load(folder / "logits.npy")
    assert np.abs(logits).max() > 1
    return logits


def test_weights_of_another_network_are_refused():
    with pytest.raises(InputError, match="`weights` lack 'cls_token'"):
        published_variables("spectralformer", {"patch_to_embedding.weight": np.zeros((64, 147))})
    with pytest.raises(InputError, match="`model`=gaht"):
        published_variables("gaht", {})


@pytest.mark.slow
@pytest.mark.parametrize("model", NORMALISED)
def test_padding_enters_no_statistic(model):
    """The statistics and logits of three samples and one of padding are those of the three."""
    options = NARROW[model] | ({"dropout": 0.0} if model != "gaht" else {})
    module = build_model(model, 5, options)
    patches = np.random.default_rng(0).normal(size=(4, 5, 5, 9)).astype(np.float32)
    variables = random_variables(module, patches)

    @quick_jit
    def train(patches, mask):
        return module.apply(variables, patches, train=True, mask=mask, mutable=["batch_stats"])

    logits, statistics = train(patches, jnp.array([1.0, 1, 1, 0]))
    expected, expected_statistics = train(patches[:3], jnp.ones(3))
    np.testing.assert_allclose(logits[:3], expected, rtol=1e-3, atol=1e-4)
    others = train(patches, jnp.ones(4))[1]
    for ours, theirs, unmasked in zip(
        *map(jax.tree.leaves, (statistics, expected_statistics, others)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
        assert not np.allclose(ours, unmasked, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", NARROW)
def test_a_patch_alone_is_predicted_as_in_a_batch(model):
    module = build_model(model, 5, NARROW[model])
    patches = np.random.default_rng(0).normal(size=(3, 5, 5, 9)).astype(np.float32)
    variables = random_variables(module, patches)
    predict = quick_jit(module.apply)
    alone = np.concatenate([predict(variables, patch[None]) for patch in patches])
    np.testing.assert_allclose(predict(variables, patches), alone, rtol=1e-4, atol=1e-5)


def test_the_scan_of_mamba_is_the_recurrence():
    """The state of each token by the formula of Gu and Dao (2023), one token after the other."""
    from hsi_jax.models.mamba import Mamba

    module = Mamba(states=3)
    tokens = np.random.default_rng(0).normal(size=(2, 7, 6)).astype(np.float32)
    params = random_variables(module, tokens)["params"]
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def silu(x):
        return x / (1 + np.exp(-x))

    inner, found = 12, quick_jit(module.apply)({"params": params}, tokens)
    for sample, out in zip(tokens, found, strict=True):
        x, gate = np.split(sample @ p["Dense_0"]["kernel"], 2, axis=-1)
        late = np.vstack([np.zeros((3, inner)), x])
        kernel = p["kernel"] - 0.5  # PyTorch's bound of a kernel of 4 inputs
        x = silu(np.stack([(late[t : t + 4] * kernel).sum(0) + p["bias"] for t in range(7)]))
        state = np.zeros((inner, 3))
        for t in range(7):
            mixed = x[t] @ p["Dense_1"]["kernel"]
            low, enter, leave = mixed[:1], mixed[1:4], mixed[4:]
            step = np.log1p(np.exp(low @ p["Dense_2"]["kernel"] + p["Dense_2"]["bias"]))
            kept = np.exp(step[:, None] * -np.exp(p["log_decay"]))
            state = kept * state + np.outer(step * x[t], enter)
            y = (state @ leave + p["direct"] * x[t]) * silu(gate[t])
            np.testing.assert_allclose(out[t], y @ p["Dense_3"]["kernel"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("spectralformer", {"group": 2}),
        ("ssftt", {"heads": 3}),
        ("gaht", {"groups": 3}),
        ("gaht", {"heads": (3, 4, 2)}),
        ("mamba", {"groups": 3}),
        ("vit", {"heads": 3}),
    ],
)
def test_sizes_that_do_not_fit_are_refused(model, options):
    module = build_model(model, 5, options)
    patches = jnp.zeros((1, 5, 5, 9))
    with pytest.raises(InputError, match="`model_options`"):
        jax.eval_shape(module.init, jax.random.key(0), patches)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("cnn2d", {"features": (4, 4, 8), "hidden": 8}),
        ("cnn3d", {"features": 2, "deep_features": 3}),
        ("hybridsn", {"features": (2, 2, 2), "flat_features": 4, "hidden": (8, 8)}),
        ("ssrn", NARROW["ssrn"]),
    ],
)
def test_bfloat16_is_for_activations_only(model, options):
    patches = random_patches(9, 16)
    exact, rounded = (
        build_model(model, 5, options | {"dtype": d}) for d in ("float32", "bfloat16")
    )
    variables = random_variables(exact, patches)
    expected, logits = (quick_jit(each.apply)(variables, patches) for each in (exact, rounded))
    assert logits.dtype == jnp.float32
    difference = np.abs(logits - expected).max()
    assert 0 < difference < 0.1 * np.abs(expected).max()

    def grads(params):
        others = {key: value for key, value in variables.items() if key != "params"}

        def loss(params):
            keys = {"dropout": jax.random.key(0)}
            made = others | {"params": params}
            logits, new = rounded.apply(made, patches, train=True, rngs=keys, mutable="batch_stats")
            return jnp.sum(logits**2), new

        return jax.grad(loss, has_aux=True)(params)

    trained = jax.eval_shape(grads, variables["params"])
    assert {leaf.dtype for leaf in jax.tree.leaves(trained)} == {np.dtype("float32")}
