"""The step against references written without microbatches, without pmap, without our kernels."""

import jax
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax import lax

from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.models import find_model
from hsi_jax.models.patch_layers import PatchLayers
from hsi_jax.train.step import train_step
from tests.models.narrow import quick_jit
from tests.train.small_scene import BANDS, CLASSES, COLUMNS, assert_same_bits, one_step

pytestmark = pytest.mark.slow

IDS = np.random.default_rng(4).permutation(150)[:42].astype(np.int32)
PLAIN = {  # models without batch normalisation, with dropout off: the batch's gradient is one sum
    "mlp": (3, {"hidden": (32, 16), "dropout": 0.0}),
    "cnn1d": (1, {}),
    "cnn3d": (5, {"features": 4, "deep_features": 6}),
    "hybridsn": (
        9,
        {"features": (2, 3, 4), "flat_features": 8, "hidden": (32, 16), "dropout": 0.0},
    ),
}
LONG = ("cnn3d", "hybridsn")


def cut(cube, ids, size):
    """Patches by NumPy alone."""
    border = size // 2
    padded = np.pad(cube, ((border, border), (border, border), (0, 0)), mode="reflect")
    rows, columns = np.divmod(ids, COLUMNS)
    return np.stack(
        [padded[r : r + size, c : c + size] for r, c in zip(rows, columns, strict=True)]
    )


@pytest.fixture
def lax_convolutions(monkeypatch):
    """Puts lax's own convolution back, for a reference that shares no kernel with us."""

    def restore():
        def convolve(lhs, rhs, *args, **kwargs):
            return lax.conv_general_dilated(lhs, rhs, *args, **kwargs)

        monkeypatch.setattr("hsi_jax.models.cnn1d.convolve", convolve)
        monkeypatch.setattr(PatchLayers, "convolve", staticmethod(convolve))

    return restore


def assert_close(tree, reference, tolerance=1e-5):
    """Each leaf within the tolerance relative to the reference's largest entry."""
    for leaf, wanted in zip(jax.tree.leaves(tree), jax.tree.leaves(reference), strict=True):
        scale = np.abs(wanted).max()
        assert scale > 0
        assert np.abs(leaf - wanted).max() <= tolerance * scale


@pytest.mark.parametrize(
    "model",
    [
        "mlp",
        "cnn1d",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("cnn3d", "hybridsn")),
    ],
)
def test_the_gradient_is_that_of_the_whole_batch(
    model, gradient_of, state_of, cube, labels, lax_convolutions
):
    size, options = PLAIN[model]
    module = find_model(model)(CLASSES, **options)
    found = [gradient_of(module, IDS, profile, size)[:2] for profile in ("1", "5:1:1")]

    lax_convolutions()
    params = state_of(module, size).params

    def mean_loss(params):
        logits = module.apply({"params": params}, cut(cube, IDS, size))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels.flat[IDS]).mean()

    wanted_loss, wanted = quick_jit(jax.value_and_grad(mean_loss))(params)
    for loss, grads in found:
        assert loss == pytest.approx(float(wanted_loss), rel=1e-6)
        assert_close(grads, wanted)


@pytest.mark.parametrize("profile", ["1", "5:1:1"])
def test_batch_normalisation_sees_each_microbatch(
    profile, gradient_of, state_of, cube, labels, lax_convolutions
):
    module = find_model("cnn2d")(CLASSES, features=(16, 16), hidden=16)
    loss, grads, state = gradient_of(module, IDS, profile, 5, microbatch_size=8)

    lax_convolutions()
    first = state_of(module, 5)

    def summed_loss(params, patches, truth):
        logits, updates = module.apply(
            {"params": params, "batch_stats": first.batch_stats},
            patches,
            train=True,
            mutable=["batch_stats"],
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, truth)
        return losses.sum() / len(IDS), updates["batch_stats"]

    gradient = quick_jit(jax.value_and_grad(summed_loss, has_aux=True))
    total, grads_of_parts, stats_of_parts = 0.0, [], []
    for start in range(0, len(IDS), 8):  # the last microbatch has 2 samples, and no padding here
        ids = IDS[start : start + 8]
        (part, new), grad = gradient(first.params, cut(cube, ids, 5), labels.flat[ids])
        total += float(part)
        grads_of_parts.append(grad)
        stats_of_parts.append(jax.tree.map(np.float64, new))
    parts = np.array([8, 8, 8, 8, 8, 2]) / len(IDS)
    wanted = jax.tree.map(lambda *leaves: sum(leaves), *grads_of_parts)
    stats = jax.tree.map(lambda *leaves: np.tensordot(parts, leaves, 1), *stats_of_parts)
    assert loss == pytest.approx(total, rel=1e-6)
    assert_close(grads, wanted, tolerance=2e-5)
    assert_close(state.batch_stats, stats)


class Softmax(nn.Module):
    """Softmax regression, whose gradient has a closed form."""

    @nn.compact
    def __call__(self, patches, *, train=False, mask=None):
        return nn.Dense(CLASSES)(patches.reshape(len(patches), -1))


@pytest.mark.parametrize("scheme", ["even", "uniform", "speed", "balanced"])
@pytest.mark.parametrize("profile", ["5:1:1", "3:2:1:0", "1"])
def test_each_scheme_weighs_as_its_formula_says(
    scheme, profile, gradient_of, state_of, cube, labels
):
    loss, grads, _ = gradient_of(Softmax(), IDS, profile, scheme=scheme)

    plan = make_plan(scheme, parse_profile(profile), len(IDS), 4)
    params = state_of(Softmax(), 1).params["Dense_0"]
    kernel, bias = (np.asarray(params[name], np.float64) for name in ("kernel", "bias"))
    speeds = [float(speed) for speed in profile.split(":")]
    wanted_loss, wanted_kernel, wanted_bias = 0.0, 0.0, 0.0
    ends = np.cumsum(plan.counts)
    for device, (end, count) in enumerate(zip(ends, plan.counts, strict=True)):
        if count == 0:
            continue
        weight = {
            "even": 1 / np.count_nonzero(speeds),
            "uniform": 1 / np.count_nonzero(speeds),
            "speed": speeds[device] / sum(speeds),
            "balanced": count / len(IDS),
        }[scheme]
        ids = IDS[end - count : end]
        inputs = cube.reshape(-1, BANDS)[ids].astype(np.float64)
        exponentials = np.exp(inputs @ kernel + bias)
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        truth = np.eye(CLASSES)[labels.flat[ids]]
        wanted_loss -= weight * np.mean(np.sum(truth * np.log(probabilities), axis=1))
        wanted_kernel += weight * inputs.T @ (probabilities - truth) / count
        wanted_bias += weight * np.mean(probabilities - truth, axis=0)
    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    assert_close(grads["Dense_0"]["kernel"], wanted_kernel)
    assert_close(grads["Dense_0"]["bias"], wanted_bias)


def test_speed_is_balanced_where_shares_are_whole(gradient_of):
    whole, uneven = IDS[:40], IDS
    for ids, equal in ((whole, True), (uneven, False)):
        _, by_speed, _ = gradient_of(Softmax(), ids, "3:1:1", scheme="speed")
        _, balanced, _ = gradient_of(Softmax(), ids, "3:1:1", scheme="balanced")
        gap = np.abs(by_speed["Dense_0"]["kernel"] - balanced["Dense_0"]["kernel"]).max()
        assert (gap < 1e-7) == equal


@pytest.mark.parametrize("batch_size", [1, 3, 4, 5, 8])
def test_batches_that_are_no_multiple_of_the_microbatch(
    batch_size, gradient_of, state_of, cube, labels
):
    ids = IDS[:batch_size]
    loss, grads, _ = gradient_of(Softmax(), ids, "2:1:1")
    params = state_of(Softmax(), 1).params

    def mean_loss(params):
        logits = Softmax().apply({"params": params}, cut(cube, ids, 1))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels.flat[ids]).mean()

    wanted_loss, wanted = jax.value_and_grad(mean_loss)(params)
    assert loss == pytest.approx(float(wanted_loss), rel=1e-6)
    assert_close(grads, wanted)


COMPILATIONS = []


@pytest.fixture(scope="module", autouse=True)
def count_compilations():
    def listen(event, duration, **kwargs):
        if event.endswith("backend_compile_duration"):
            COMPILATIONS.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)


def test_new_shares_do_not_compile_again(machine_of, state_of):
    machine = machine_of("1:1:1:1")
    state = state_of(Softmax(), 1)
    before = len(COMPILATIONS)
    even = one_step(machine.replicas, state, IDS[:40], machine.plan)
    compiled = len(COMPILATIONS)
    assert compiled > before
    for profile in ("4:2:1:1", "1:0:0:0", "0:1:1:1"):
        plan = make_plan("balanced", parse_profile(profile), 40, 4)
        assert plan.shares != machine.plan.shares
        assert_same_bits(one_step(machine.replicas, state, IDS[:40], plan), even)
    assert len(COMPILATIONS) == compiled


def test_all_replicas_stay_alike(machine_of, state_of):
    machine = machine_of("7:0.5:0.5:0")
    state, _ = machine.replicas.parallel(train_step)(
        machine.replicas.replicate(state_of(find_model("cnn1d")(CLASSES), 1)),
        *machine.ready(IDS[:40]),
    )
    for leaf in jax.tree.leaves(state.params):
        first, *others = (np.asarray(shard.data) for shard in leaf.addressable_shards)
        assert len(others) == 3
        assert all(np.array_equal(first, other) for other in others)
