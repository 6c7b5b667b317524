from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.models import (
    MODELS,
    build_model,
    check_input,
    check_kind,
    find_model,
    find_trait,
)
from tests.models.narrow import NARROW, quick_jit
from tests.models.random_variables import random_variables

NUM_CLASSES = 5
KINDS = ("patch", "image")
BASELINES = ("svm", "random_forest")
MIN_SIZES = {  # patch size and bands; the networks for images are in test_image_networks.py
    "mlp": (1, 1),
    "cnn1d": (1, 1),
    "cnn2d": (3, 1),
    "cnn3d": (5, 3),
    "hybridsn": (9, 13),
    "ssrn": (3, 7),
    "dbda": (1, 7),
    "spectralformer": (1, 1),
    "ssftt": (5, 3),
    "gaht": (1, 1),
    "mamba": (1, 1),
    "vit": (1, 1),
}
SMALL = MIN_SIZES | {
    "mlp": (3, 4),
    "cnn1d": (1, 20),
    "cnn2d": (5, 3),
    "ssrn": (5, 9),
    "dbda": (3, 9),
    "spectralformer": (3, 6),
    "gaht": (3, 6),
    "mamba": (3, 6),
    "vit": (3, 6),
}
KEY = jax.random.key(0, impl="rbg")  # compiles several times faster than the default generator
WITH_DROPOUT = {"mlp", "hybridsn", "ssrn", "dbda", "spectralformer", "ssftt", "mamba", "vit"}


@pytest.fixture(params=MIN_SIZES)
def name(request):
    return request.param


def module_of(name):
    return find_model(name)(num_classes=NUM_CLASSES, **NARROW.get(name, {}))


@cache
def initialized(name):
    """A module and variables for the sizes of `SMALL`."""
    patch_size, bands = SMALL[name]
    module = module_of(name)
    return module, random_variables(module, jnp.zeros((1, patch_size, patch_size, bands)))


@cache
def compiled_training(name):
    module, _ = initialized(name)

    def train(variables, patches, mask, key):
        return module.apply(
            variables,
            patches,
            train=True,
            mask=mask,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )

    return quick_jit(train)


def random_patches(patch_size, bands, batch=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, patch_size, patch_size, bands)).astype(np.float32)


def train_outputs(name, patches, mask=None, seed=0):
    """Logits and new running statistics in training."""
    _, variables = initialized(name)
    return compiled_training(name)(variables, patches, mask, jax.random.key(seed))


def parameter_count(name, patch_size, bands, num_classes):
    module = find_model(name)(num_classes=num_classes)
    zeros = jnp.zeros((1, patch_size, patch_size, bands))
    shapes = jax.eval_shape(module.init, jax.random.key(0), zeros)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def test_the_smallest_patch_and_fewest_bands_work(name):
    patch_size, bands = MIN_SIZES[name]
    check_input(name, patch_size, bands)
    module = module_of(name)
    patches = random_patches(patch_size, bands)
    logits, variables = quick_jit(module.init_with_output)(KEY, patches)
    for leaf in jax.tree.leaves(variables):
        assert leaf.size > 0
        assert leaf.dtype == jnp.float32
        assert np.isfinite(leaf).all()
    assert logits.shape == (4, NUM_CLASSES)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()


def test_one_pixel_or_band_fewer_is_refused(name):
    patch_size, bands = MIN_SIZES[name]
    with pytest.raises(InputError, match=f"`patch_size`={patch_size - 1}: .* at least"):
        check_input(name, patch_size - 1, bands)
    with pytest.raises(InputError, match=f"at least {bands} .* gets {bands - 1}; .*`components`"):
        check_input(name, patch_size, bands - 1)


def test_a_spectral_model_takes_no_neighbours():
    with pytest.raises(InputError, match=r"`patch_size`=3: .* at most 1"):
        check_input("cnn1d", 3, 100)


def test_the_default_patch_is_accepted(name):
    patch_size = find_trait(name, "default_patch_size")
    check_input(name, patch_size, 30)
    patches = jnp.zeros((2, patch_size, patch_size, 30))
    module = find_model(name)(num_classes=NUM_CLASSES)
    logits, _ = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), patches))
    assert logits.shape == (2, NUM_CLASSES)


def test_every_pixel_and_band_reaches_the_logits(name):
    module, variables = initialized(name)
    patches = random_patches(*SMALL[name], batch=16)

    @quick_jit
    @jax.grad
    def gradient(patches, variables):
        return jnp.sum(jnp.square(jnp.asarray(module.apply(variables, patches))))

    assert (np.abs(gradient(patches, variables)).max(axis=0) > 0).all()


def test_evaluation_needs_no_key_and_treats_each_patch_alone(name):
    module, variables = initialized(name)
    patches = random_patches(*SMALL[name])
    evaluate = quick_jit(module.apply)
    logits = evaluate(variables, patches)
    np.testing.assert_array_equal(evaluate(variables, patches), logits)
    reverse = evaluate(variables, patches[::-1])[::-1]
    np.testing.assert_allclose(reverse, logits, rtol=1e-4, atol=1e-6)
    assert np.abs(logits[0] - logits[1]).max() > 1e-4


def test_dropout_acts_in_training_only(name):
    patches = random_patches(*SMALL[name])
    first, _ = train_outputs(name, patches, seed=0)
    again, _ = train_outputs(name, patches, seed=0)
    other, _ = train_outputs(name, patches, seed=1)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() == (name in WITH_DROPOUT)


def test_what_padding_holds_does_not_matter(name):
    patches = random_patches(*SMALL[name])
    mask = np.array([1, 1, 1, 0], np.float32)
    logits, updates = train_outputs(name, patches, mask)
    patches[3] = 1e3
    same_logits, same_updates = train_outputs(name, patches, mask)
    np.testing.assert_array_equal(same_logits[:3], logits[:3])
    jax.tree.map(np.testing.assert_array_equal, same_updates, updates)


def test_batch_statistics_are_those_of_the_samples_without_padding():
    patches = random_patches(*SMALL["cnn2d"])
    expected, expected_updates = train_outputs("cnn2d", patches[:3])
    logits, updates = train_outputs("cnn2d", patches, np.array([1, 1, 1, 0], np.float32))
    np.testing.assert_allclose(logits[:3], expected, rtol=1e-4, atol=1e-5)
    assert len(jax.tree.leaves(updates)) == 6
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6),
        updates,
        expected_updates,
    )


def test_hybridsn_has_as_many_parameters_as_its_paper_says():
    # Roy et al. (2020), table I: Indian Pines, 16 classes, 30 components.
    assert parameter_count("hybridsn", 25, 30, 16) == 5_122_176


def test_cnn1d_has_the_layers_of_its_paper():
    # Hu et al. (2015), table 2, Salinas: 224 bands, 20 kernels, 40 pooled values, 100 hidden units.
    assert parameter_count("cnn1d", 1, 224, 16) == 20 * (25 + 1) + (20 * 40 + 1) * 100 + 101 * 16


def test_cnn3d_has_the_layers_of_its_paper():
    # 103 bands (Pavia University) shrink to 101, 51, 51, 26, 26, 14.
    convolutions = 20 * (27 + 1) + 20 * (20 * 3 + 1) + 35 * (20 * 27 + 1)
    convolutions += 2 * 35 * (35 * 3 + 1) + 35 * (35 * 2 + 1)
    assert parameter_count("cnn3d", 5, 103, 9) == convolutions + (14 * 35 + 1) * 9


def test_an_unknown_model_is_answered_with_those_there_are():
    with pytest.raises(InputError, match=f"`model`=vgg: .*{', '.join(MODELS)}"):
        find_model("vgg")


def test_the_models_say_what_they_take():
    takes = {kind: {n for n in MODELS if kind in find_trait(n, "kinds")} for kind in KINDS}
    assert takes["patch"] == {*MIN_SIZES, *BASELINES}
    assert takes["image"] == (set(MODELS) - {*MIN_SIZES, *BASELINES}) | {"cnn2d"}


def test_a_model_for_the_other_kind_is_refused_with_those_that_fit():
    with pytest.raises(
        InputError, match=f"`model`=vgg16 .* {', '.join([*MIN_SIZES, *BASELINES])}$"
    ):
        check_kind("vgg16", "patch")
    with pytest.raises(InputError, match="`model`=vgg16"):
        check_input("vgg16", 64, 3)
    with pytest.raises(InputError, match=r"`model`=mlp .* cnn2d, resn"):
        check_input("mlp", 64, 3, "image")


def test_the_size_of_images_is_checked():
    check_input("vgg16", 32, 1, "image")
    with pytest.raises(InputError, match=r"side 31: .* at least 32; .*`image_size`"):
        check_input("vgg16", 31, 3, "image")


def test_cnn2d_takes_images():
    check_input("cnn2d", 64, 3, "image")
    module = build_model("cnn2d", 4, {"features": (4, 4, 4), "hidden": 8})
    images = random_patches(64, 3, batch=2)
    assert quick_jit(module.init_with_output)(KEY, images)[0].shape == (2, 4)
