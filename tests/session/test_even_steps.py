from functools import partial
from types import SimpleNamespace
from typing import Any

import flax.linen as nn
import numpy as np
import optax
import pytest

from hsi_jax.data import batch_ids
from hsi_jax.errors import InputError
from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.session.even_steps import REPEATS, EvenSteps
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import resolve
from hsi_jax.train import Course, Patches, Replicas, create_state, fit
from tests.train.small_scene import assert_same_bits

IDS = np.arange(40, dtype=np.int32)


class Linear(nn.Module):
    @nn.compact
    def __call__(self, x, train=False, mask=None):
        return nn.Dense(2)(x.reshape(len(x), -1))


def test_even_steps_are_timed_and_leave_the_bits_of_the_training():
    rng = np.random.default_rng(0)
    profile = parse_profile("4:1")
    plan = make_plan("balanced", profile, 20, 2)
    cube = rng.normal(size=(8, 5, 3)).astype(np.float32)
    labels = rng.integers(0, 2, (8, 5)).astype(np.int32)
    replicas = Replicas(2, Patches.of_scene(cube, labels, 1))
    state = create_state(Linear(), optax.adam(0.01), (1, 1, 3), seed=0)
    setup: Any = SimpleNamespace(
        dataset=SimpleNamespace(batches=lambda recipe: partial(batch_ids, IDS, 20, recipe.seed)),
        recipe=SimpleNamespace(seed=0),
        profile=profile,
        replicas=replicas,
        state=state,
    )
    even = EvenSteps(setup, plan)
    course = Course.shuffled(IDS, 20, 3)
    without = fit(replicas, state, course, plan=plan)
    beside = fit(replicas, state, course, plan=plan, hooks=[even])
    assert beside.losses == without.losses
    assert_same_bits(beside.state, without.state)
    measured = even.measured
    assert measured is not None
    assert (measured.even_shares, measured.own_shares) == ((5, 5), (8, 2))
    assert measured.repeats == REPEATS
    assert measured.even_ms > 0
    assert measured.speedup == measured.even_ms / measured.own_ms


def test_they_need_real_devices_whose_memory_holds_an_even_share(tmp_path):
    with pytest.raises(InputError, match="`measure_even`"):
        resolve(RunOptions.of(measure_even=True), in_cluster=False)
    capped = tmp_path / "capped.json"
    capped.write_text('{"devices": [{"speed": 4}, {"speed": 1, "memory_cap": 16}]}')
    asked = {"profile": str(capped), "batch_size": 64, "microbatch_size": 16}
    assert resolve(RunOptions.of(**asked), in_cluster=True)
    with pytest.raises(InputError, match="memory"):
        resolve(RunOptions.of(**asked, measure_even=True), in_cluster=True)
