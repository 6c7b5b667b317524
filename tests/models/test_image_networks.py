"""What the networks for images have in common, in small versions, and their published sizes."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hsi_jax.errors import InputError
from hsi_jax.models import MODELS, build_model, find_trait
from hsi_jax.models.image_layers import Stem, he_normal
from hsi_jax.models.resnet import Block
from tests.models.narrow import quick_jit
from tests.models.random_variables import random_variables

pytestmark = pytest.mark.slow

SMALL = {  # model, side of its images and sizes
    "resnet18": ("resnet18", 8, {"depths": (1, 1), "width": 4}),
    "resnet20": ("resnet20", 8, {"depths": (1, 1), "width": 4}),
    "resnet50 large": ("resnet50", 16, {"depths": (1,), "width": 2, "stem": "large"}),
    "vgg16 dense": ("vgg16", 32, {"widths": (2, 3, 4, 4, 5), "head": "dense", "hidden": 8}),
    "densenet121": ("densenet121", 8, {"depths": (1, 1), "growth": 4}),
}
NUM_CLASSES = 5


@pytest.fixture(params=SMALL)
def name(request):
    return request.param


def small(name, dtype="float32"):
    model, _, sizes = SMALL[name]
    return build_model(model, NUM_CLASSES, sizes | {"dtype": dtype})


def random_images(side, batch=4):
    return np.random.default_rng(0).normal(size=(batch, side, side, 3)).astype(np.float32)


@cache
def evaluated(name, dtype="float32"):
    """The variables of a small network, its images, and their logits in evaluation."""
    images = random_images(SMALL[name][1])
    variables = random_variables(small(name), images)
    evaluate = quick_jit(small(name, dtype).apply)
    return variables, images, evaluate, evaluate(variables, images)


@cache
def compiled(name, dtype="float32"):
    """Logits, new statistics, and the gradients of parameters and images, in training."""
    module = small(name, dtype)

    def run(variables, images, mask):
        def loss(params, images):
            logits, updates = module.apply(
                {**variables, "params": params},
                images,
                train=True,
                mask=mask,
                rngs={"dropout": jax.random.key(0)},
                mutable=["batch_stats"],
            )
            return jnp.sum(jnp.square(logits) * mask[:, None]), (logits, updates)

        gradient = jax.grad(loss, argnums=(0, 1), has_aux=True)
        (params, inputs), (logits, updates) = gradient(variables["params"], images)
        return logits, updates, params, inputs

    return quick_jit(run)


def train(name, images, mask):
    return compiled(name)(evaluated(name)[0], images, np.float32(mask))


def test_what_padding_holds_does_not_matter(name):
    images = evaluated(name)[1].copy()
    logits, *rest = train(name, images, [1, 1, 1, 0])
    images[3] = 1e3
    same_logits, *same_rest = train(name, images, [1, 1, 1, 0])
    np.testing.assert_array_equal(same_logits[:3], logits[:3])
    jax.tree.map(np.testing.assert_array_equal, same_rest, rest)
    assert len(jax.tree.leaves(rest[0])) > 6  # statistics
    assert not np.any(rest[2][3])  # the padding's gradient


def test_every_pixel_and_parameter_has_a_gradient(name):
    _, _, params, inputs = train(name, evaluated(name)[1], [1, 1, 1, 1])
    assert (np.abs(inputs).max(axis=(0, 3)) > 0).all()
    for gradient in jax.tree.leaves(params):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def test_evaluation_treats_each_image_alone(name):
    variables, images, evaluate, logits = evaluated(name)
    assert logits.shape == (4, NUM_CLASSES)
    assert np.abs(logits[0] - logits[1]).max() > 1e-3
    reverse = evaluate(variables, images[::-1])[::-1]
    np.testing.assert_allclose(reverse, logits, rtol=1e-3, atol=1e-5)


def test_bfloat16_is_for_activations_only(name):
    variables, images, _, logits = evaluated(name, "bfloat16")
    exact = evaluated(name)[-1]
    assert logits.dtype == jnp.float32
    difference = np.abs(logits - exact).max()
    assert 0 < difference < 0.1 * np.abs(exact).max()
    mask = np.ones(4, np.float32)
    trained = jax.eval_shape(compiled(name, "bfloat16"), variables, images, mask)
    first = jax.eval_shape(small(name, "bfloat16").init, jax.random.key(0), images)
    assert {leaf.dtype for leaf in jax.tree.leaves((trained, first))} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        # torchvision 0.15, docs/source/models: "num_params" of its weights.
        ("resnet18", {"stem": "large"}, 11_689_512),
        ("resnet34", {"stem": "large"}, 21_797_672),
        ("resnet50", {"stem": "large"}, 25_557_032),
        ("resnet101", {"stem": "large"}, 44_549_160),
        ("densenet121", {"stem": "large"}, 7_978_856),
        # It adds biases, which the normalisation takes away again.
        ("vgg16", {"head": "dense"}, 138_365_992 - 2 * (64 + 128) - 3 * (256 + 512 + 512)),
    ],
)
def test_the_parameters_are_as_many_as_torchvision_says(name, options, count):
    assert parameter_count(name, 1000, 224, options) == count


def test_resnet20_has_as_many_parameters_as_its_paper_says():
    assert round(parameter_count("resnet20", 10, 32, {}) / 1e6, 2) == 0.27  # He et al., table 6
    convolutions = 9 * (3 * 16 + 6 * 16**2 + 16 * 32 + 5 * 32**2 + 32 * 64 + 5 * 64**2)
    norms = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    assert parameter_count("resnet20", 10, 32, {}) == convolutions + norms + 65 * 10


def parameter_count(name, num_classes, side, options):
    module = build_model(name, num_classes, options)
    images = jnp.zeros((1, side, side, 3))
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize(
    ("side", "size", "reduced", "window"),
    [
        (63, "auto", 63, 3),
        (64, "auto", 32, 3),
        (127, "auto", 64, 3),
        (128, "auto", 32, 7),
        (8, "large", 2, 7),
        (9, "medium", 5, 3),
        (130, "small", 130, 3),
    ],
)
def test_the_stem_fits_the_image(side, size, reduced, window):
    stem = Stem(2, size)
    images = jnp.zeros((1, side, side + 1, 3))
    out, variables = jax.eval_shape(
        lambda: stem.init_with_output(jax.random.key(0), images, False, None)
    )
    assert out.shape[:2] == (1, reduced)
    assert variables["params"]["Conv_0"]["kernel"].shape == (window, window, 3, 2)


@pytest.mark.parametrize("name", [n for n in MODELS if find_trait(n, "kinds") == ("image",)])
def test_the_smallest_image_is_large_enough(name):
    side = find_trait(name, "min_patch_size")
    module = build_model(name, 5, {})
    images = jnp.zeros((1, side, side, 1))
    out, _ = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), images))
    assert out.shape == (1, 5)
    assert out.dtype == jnp.float32


def test_an_image_too_small_for_a_large_stem_is_told():
    module = build_model("densenet121", 5, {"stem": "large"})
    with pytest.raises(InputError, match=r"pool by 2; .*`image_size`.* stem"):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


@pytest.mark.parametrize(("expansion", "stride"), [(1, 1), (1, 2), (4, 2)])
def test_a_block_computes_what_pytorch_defines(expansion, stride):
    """BasicBlock and Bottleneck of torchvision, written with lax alone."""
    x = random_images(7)
    block = Block(5, stride, expansion, True, "float32")
    variables = random_variables(block, x, False, None)
    strides = [stride, 1] if expansion == 1 else [1, stride, 1]
    params = variables["params"]
    layers = [(params[f"Conv_{i}"], params[f"BatchNorm_{i}"]) for i in range(len(strides) + 1)]
    sides = [conv["kernel"].shape[0] for conv, _ in layers]
    assert sides == ([3, 3, 1] if expansion == 1 else [1, 3, 1, 1])

    def conv_norm(x, layer, stride):
        conv, norm = layer
        pad = (conv["kernel"].shape[0] // 2,) * 2
        numbers = ("NHWC", "HWIO", "NHWC")
        x = lax.conv_general_dilated(
            x, conv["kernel"], (stride, stride), (pad, pad), dimension_numbers=numbers
        )
        x = (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + 1e-5)
        return x * norm["scale"] + norm["bias"]

    def expected(x):
        y = x
        for layer, step in zip(layers[:-2], strides[:-1], strict=True):
            y = jnp.maximum(conv_norm(y, layer, step), 0)
        y = conv_norm(y, layers[-2], strides[-1])
        return jnp.maximum(y + conv_norm(x, layers[-1], stride), 0)

    def actual(x):
        return block.apply(variables, x, True, None, mutable=["batch_stats"])[0]

    results = quick_jit(lambda x: (actual(x), expected(x)))(x)
    np.testing.assert_allclose(*results, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_begins_as_its_shortcut(stride):
    x = random_images(6)
    block = Block(3 * stride, stride, 1, False, "float32")
    key = jax.random.key(0, impl="rbg")  # compiles faster than the default
    variables = quick_jit(block.init, static_argnums=2)(key, x, False, None)
    out = np.asarray(block.apply(variables, x, False, None))
    np.testing.assert_array_equal(out[..., :3], np.maximum(x[:, ::stride, ::stride], 0))
    np.testing.assert_array_equal(out[..., 3:], 0)


def test_kernels_begin_as_he_et_al_say():
    kernel = he_normal(jax.random.key(0), (3, 3, 64, 512))
    assert np.std(kernel) == pytest.approx(np.sqrt(2 / (9 * 512)), rel=0.01)
    assert np.mean(kernel) == pytest.approx(0, abs=1e-3)
