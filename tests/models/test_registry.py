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
    parse_options,
)

NUM_CLASSES = 5
KINDS = ("patch", "image")
SMALLEST = {  # patch size and bands; the networks for images are in test_image_networks.py
    "mlp": (1, 1),
    "cnn1d": (1, 1),
    "cnn2d": (3, 1),
    "cnn3d": (5, 3),
    "hybridsn": (9, 13),
}
SMALL = SMALLEST | {"mlp": (3, 4), "cnn1d": (1, 20), "cnn2d": (5, 3)}
WITH_DROPOUT = {"mlp", "hybridsn"}


@pytest.fixture(params=SMALLEST)
def name(request):
    return request.param


@cache
def initialized(name, patch_size, bands):
    module = MODELS[name](num_classes=NUM_CLASSES)
    zeros = jnp.zeros((1, patch_size, patch_size, bands))
    # This generator compiles several times faster than the default one.
    key = jax.random.key(0, impl="rbg")
    return module, jax.jit(module.init)(key, zeros)


@cache
def compiled_training(name):
    module, _ = initialized(name, *SMALL[name])

    def train(variables, patches, mask, key):
        return module.apply(
            variables,
            patches,
            train=True,
            mask=mask,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )

    return jax.jit(train)


def random_patches(patch_size, bands, batch=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, patch_size, patch_size, bands)).astype(np.float32)


def train_outputs(name, patches, mask=None, seed=0):
    """Logits and new running statistics in training."""
    _, variables = initialized(name, *SMALL[name])
    return compiled_training(name)(variables, patches, mask, jax.random.key(seed))


def parameter_count(name, patch_size, bands, num_classes):
    module = find_model(name)(num_classes=num_classes)
    zeros = jnp.zeros((1, patch_size, patch_size, bands))
    shapes = jax.eval_shape(module.init, jax.random.key(0), zeros)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def test_the_smallest_patch_and_fewest_bands_work(name):
    patch_size, bands = SMALLEST[name]
    check_input(name, patch_size, bands)
    module, variables = initialized(name, patch_size, bands)
    for leaf in jax.tree.leaves(variables):
        assert leaf.size > 0
        assert leaf.dtype == jnp.float32
        assert np.isfinite(leaf).all()
    logits = jax.jit(module.apply)(variables, random_patches(patch_size, bands))
    assert logits.shape == (4, NUM_CLASSES)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()


def test_one_pixel_or_band_fewer_is_refused(name):
    patch_size, bands = SMALLEST[name]
    with pytest.raises(InputError, match=f"patch_size={patch_size - 1}: {name} takes .* at least"):
        check_input(name, patch_size - 1, bands)
    with pytest.raises(InputError, match=f"{name} needs at least {bands} .* gets {bands - 1}"):
        check_input(name, patch_size, bands - 1)


def test_a_spectral_model_takes_no_neighbours():
    with pytest.raises(InputError, match=r"patch_size=3: cnn1d takes patches of at most 1"):
        check_input("cnn1d", 3, 100)


def test_the_default_patch_is_accepted(name):
    check_input(name, MODELS[name].default_patch_size, 30)


def test_every_pixel_and_band_reaches_the_logits(name):
    module, variables = initialized(name, *SMALL[name])
    patches = random_patches(*SMALL[name], batch=16)

    @jax.jit
    @jax.grad
    def gradient(patches, variables):
        return jnp.sum(jnp.square(module.apply(variables, patches)))

    assert (np.abs(gradient(patches, variables)).max(axis=0) > 0).all()


def test_evaluation_needs_no_key_and_treats_each_patch_alone(name):
    module, variables = initialized(name, *SMALL[name])
    patches = random_patches(*SMALL[name])
    evaluate = jax.jit(module.apply)
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
    mask = np.float32([1, 1, 1, 0])
    logits, updates = train_outputs(name, patches, mask)
    patches[3] = 1e3
    same_logits, same_updates = train_outputs(name, patches, mask)
    np.testing.assert_array_equal(same_logits[:3], logits[:3])
    jax.tree.map(np.testing.assert_array_equal, same_updates, updates)


def test_batch_statistics_are_those_of_the_samples_without_padding():
    patches = random_patches(*SMALL["cnn2d"])
    expected, expected_updates = train_outputs("cnn2d", patches[:3])
    logits, updates = train_outputs("cnn2d", patches, np.float32([1, 1, 1, 0]))
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
    with pytest.raises(InputError, match=r"--model=vgg: choose one of mlp, .*, or your own as"):
        find_model("vgg")


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("mlp", "", {}),
        ("mlp", " ; ", {}),
        ("mlp", "hidden=(8, 4)", {"hidden": (8, 4)}),
        ("mlp", "hidden=[8, 4]; dropout=0", {"hidden": (8, 4), "dropout": 0}),
        ("hybridsn", "dropout=0.25;flat_features = 7;", {"dropout": 0.25, "flat_features": 7}),
        ("cnn2d", "features=(3, 4, 5)", {"features": (3, 4, 5)}),
        ("resnet20", "stem=medium; dtype=bfloat16", {"stem": "medium", "dtype": "bfloat16"}),
        ("vgg16", "head='dense'; hidden=8", {"head": "dense", "hidden": 8}),
        ("resnet34", "depths=(1, 1, 2, 1)", {"depths": (1, 1, 2, 1)}),
    ],
)
def test_options_are_read(name, text, options):
    assert parse_options(name, text) == options
    find_model(name)(num_classes=2, **options)


@pytest.mark.parametrize(
    ("text", "names_it"),
    [
        ("width=3", "'width=3': hybridsn has the options features=(8, 16, 32); flat_features=64"),
        ("num_classes=3", "'num_classes=3': hybridsn has the options"),
        ("hidden", "'hidden': give 2 whole numbers"),
        ("hidden=256", "'hidden=256': give 2 whole numbers"),
        ("hidden=(256,)", "give 2 whole numbers"),
        ("hidden=(256, 0)", "give 2 whole numbers"),
        ("hidden=(256, 2.5)", "give 2 whole numbers"),
        ("hidden=(256, True)", "give 2 whole numbers"),
        ("flat_features=0", "'flat_features=0': give a whole number >= 1, such as 64"),
        ("flat_features=(1, 2)", "give a whole number >= 1"),
        ("flat_features=__import__('os')", "give a whole number >= 1"),
        ("dropout=1", "'dropout=1': give a number from 0 to below 1, such as 0.4"),
        ("dropout=-0.1", "give a number from 0 to below 1"),
        ("hidden=(2, 2); dropout=a", "'dropout=a': give a number from 0 to below 1"),
        ("dropout={[]: 1}", "give a number from 0 to below 1"),
    ],
)
def test_bad_options_are_named(text, names_it):
    with pytest.raises(InputError) as caught:
        parse_options("hybridsn", text)
    assert names_it in str(caught.value)


def test_sizes_given_as_options_are_the_sizes_used():
    module = find_model("mlp")(num_classes=3, **parse_options("mlp", "hidden=(7, 2)"))
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 1, 1, 4)))
    kernels = [leaf.shape for leaf in jax.tree.leaves(shapes) if leaf.ndim == 2]
    assert sorted(kernels) == [(2, 3), (4, 7), (7, 2)]


@pytest.mark.parametrize("value", ["huge", "", "1", "(small)"])
def test_a_word_that_an_option_does_not_take_is_answered_with_those_it_does(value):
    message = f"'stem={value}': choose one of auto, small, medium, large"
    with pytest.raises(InputError) as caught:
        parse_options("resnet18", f"stem={value}")
    assert message in str(caught.value)


def test_the_models_say_what_they_take():
    takes = {kind: {n for n in MODELS if kind in find_trait(n, "kinds")} for kind in KINDS}
    assert takes["patch"] == set(SMALLEST)
    assert takes["image"] == (set(MODELS) - set(SMALLEST)) | {"cnn2d"}


def test_a_model_for_the_other_kind_is_refused_with_those_that_fit():
    fitting = r"choose one of mlp, cnn1d, cnn2d, cnn3d, hybridsn$"
    with pytest.raises(InputError, match="--model=vgg16 takes images, but .* patches; " + fitting):
        check_kind("vgg16", "patch")
    with pytest.raises(InputError, match="--model=vgg16 takes images"):
        check_input("vgg16", 64, 3)
    with pytest.raises(
        InputError, match=r"--model=mlp takes patches, .* choose one of cnn2d, resn"
    ):
        check_input("mlp", 64, 3, "image")


def test_the_size_of_images_is_checked():
    check_input("vgg16", 32, 1, "image")
    with pytest.raises(InputError, match=r"^images of side 31: vgg16 takes images of at least 32"):
        check_input("vgg16", 31, 3, "image")


def test_cnn2d_takes_images():
    check_input("cnn2d", 64, 3, "image")
    module = build_model("cnn2d", 4, {"features": (4, 4, 4), "hidden": 8})
    images = random_patches(64, 3, batch=2)
    assert module.init_with_output(jax.random.key(0), images)[0].shape == (2, 4)
