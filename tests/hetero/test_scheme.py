import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.hetero import (
    SCHEMES,
    Scheme,
    deal,
    even_partition,
    exact_sum,
    make_plan,
    parse_profile,
)

PROFILE = parse_profile("3:2:1")
BATCH_SIZE, MICROBATCH_SIZE = 22, 4


def test_the_schemes_and_their_order():
    assert list(SCHEMES) == ["balanced", "adaptive", "speed", "uniform", "even"]
    assert [scheme.name for scheme in SCHEMES.values()] == list(SCHEMES)
    assert [name for name, scheme in SCHEMES.items() if scheme.exact] == ["balanced", "adaptive"]
    assert [name for name, scheme in SCHEMES.items() if scheme.retimed] == ["adaptive"]
    for scheme in SCHEMES.values():
        assert scheme.description
        assert "\n" not in scheme.description


def test_a_scheme_is_found_by_its_name():
    for name, scheme in SCHEMES.items():
        assert SCHEMES.find(name) is scheme
        plan = make_plan(name, PROFILE, BATCH_SIZE, MICROBATCH_SIZE)
        same = make_plan(scheme, PROFILE, BATCH_SIZE, MICROBATCH_SIZE)
        assert plan.scheme is same.scheme is scheme
        assert (plan.shares, plan.weights) == (same.shares, same.weights)
    with pytest.raises(InputError, match="`scheme`=fair"):
        SCHEMES.find("fair")


@pytest.fixture
def squares(monkeypatch):
    """A further scheme: equal shares, weighed by the square of the speed."""

    def weigh(profile, counts):
        return np.square(profile.speeds) * (counts > 0)

    scheme = Scheme("squares", "equal shares, weights by squared speed", even_partition, weigh)
    monkeypatch.setattr(SCHEMES, "_targets", dict(SCHEMES))
    SCHEMES.register("squares", scheme)
    return scheme


def test_a_further_scheme_costs_one_entry(squares):
    plan = make_plan("squares", PROFILE, BATCH_SIZE, MICROBATCH_SIZE)
    assert plan.scheme is squares
    assert (plan.shares, plan.counts) == ((2, 2, 2), (8, 8, 6))
    assert plan.weights == pytest.approx((9 / 14, 4 / 14, 1 / 14))
    expected = np.array([9 / 14 / 8, 4 / 14 / 8, 1 / 14 / 6], np.float32)
    np.testing.assert_array_equal(plan.sample_weights, expected)


def test_training_follows_a_further_scheme(squares):
    """Least squares on three devices, against the same steps in NumPy."""
    plan = make_plan("squares", PROFILE, BATCH_SIZE, MICROBATCH_SIZE)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(BATCH_SIZE, 3)).astype(np.float32)
    targets = rng.normal(size=BATCH_SIZE).astype(np.float32)
    rows, values = jnp.asarray(inputs), jnp.asarray(targets)

    def step(slopes, work):
        def gradient(index):
            ids, weights = work.ids[index], work.sample_weight * work.mask[index]

            def loss(slopes):
                return jnp.sum(weights * jnp.square(rows[ids] @ slopes - values[ids]))

            return jax.grad(loss)(slopes)

        total = exact_sum(gradient, work.count, plan.microbatches, axis_name="d")
        return slopes - 0.1 * total

    train = jax.pmap(step, axis_name="d", in_axes=(None, 0), devices=jax.devices()[:3])
    slopes, expected = np.zeros(3, np.float32), np.zeros(3)
    weights = np.repeat(np.array(plan.weights) / plan.counts, plan.counts)
    for _ in range(4):
        slopes = np.asarray(train(slopes, deal(np.arange(BATCH_SIZE, dtype=np.int32), plan))[0])
        errors = inputs @ expected - targets
        expected -= 0.1 * 2 * (weights * errors) @ inputs
    np.testing.assert_allclose(slopes, expected, rtol=1e-5)
