import jax
import numpy as np
import optax
import pytest

from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.models import find_model
from hsi_jax.train import host_stepper
from hsi_jax.train.replicas import fetch
from hsi_jax.train.speeds import Rebalancing
from hsi_jax.train.stepper import Stepper
from tests.train.small_scene import CLASSES, assert_same_bits

IDS = np.arange(42, dtype=np.int32)
TRAIN = np.arange(0, 150, 2, dtype=np.int32)


@pytest.fixture
def state(state_of):
    module = find_model("cnn2d")(CLASSES, features=(4, 4), hidden=8)
    return state_of(module, 3, optax.adam(0.1))


def test_a_timed_step_gives_the_same_bits_and_a_time_for_each_device(machine_of, state):
    machine = machine_of("2:1:1", 42, patch_size=3)
    ready = machine.ready(IDS)
    stepper = Stepper(machine.replicas, machine.replicas.replicate(state), ready, timed=True)
    whole, parts = machine.replicas.replicate(state), machine.replicas.replicate(state)
    for _ in range(3):
        whole, loss = stepper.step(whole, ready)
        parts, same_loss, seconds = stepper.timed_step(parts, ready)
        clock = stepper.clocks[-1]
        began, worked, ended = clock.stamp
        assert seconds.max() <= worked - began + 1e-6
        assert sum(clock.seconds.values()) == pytest.approx(ended - began, abs=1e-5)
        assert all(clock.seconds[phase] > 0 for phase in ("computing", "sum", "update"))
        assert ended > worked
        assert same_loss == loss
        assert seconds.shape == (3,)
        assert (seconds > 0).all()
    assert_same_bits(fetch(parts), fetch(whole))


@pytest.fixture
def large_state(state_of):
    """Of its first layer 32 bits of the sums are sent, and with large gradients all 64."""

    def make(scale):
        module = find_model("mlp")(CLASSES, hidden=(300,), dropout=0)
        state = state_of(module, 1, optax.sgd(0.1 / scale, momentum=0.9))
        return state.replace(params=jax.tree.map(lambda leaf: scale * leaf, state.params))

    return make


@pytest.mark.long
@pytest.mark.parametrize("scale", [1, 100])
def test_large_arrays_have_the_same_bits_on_one_device_on_two_and_timed(
    machine_of, large_state, scale
):
    state, results = large_state(scale), []
    for profile in ("1", "2:1"):
        machine = machine_of(profile, 42)
        ready = machine.ready(IDS)
        whole, parts = machine.replicas.replicate(state), machine.replicas.replicate(state)
        stepper = Stepper(machine.replicas, whole, ready, timed=True)
        for _ in range(3):
            whole, loss = stepper.step(whole, ready)
            parts, timed_loss, _ = stepper.timed_step(parts, ready)
        results += [(fetch(whole), loss), (fetch(parts), timed_loss)]
    assert np.isfinite(results[0][1])
    for result in results[1:]:
        assert_same_bits(result, results[0])


@pytest.mark.parametrize("scale", [1, 100])
def test_hosts_add_to_the_same_bits(machine_of, large_state, scale, monkeypatch):
    state, seen = large_state(scale), []
    is_whole = host_stepper.is_whole
    monkeypatch.setattr(host_stepper, "is_whole", lambda t: seen.append(is_whole(t)) or seen[-1])
    machine = machine_of("2:1", 42)
    ready = machine.ready(IDS)
    whole, by_host = machine.replicas.replicate(state), machine.replicas.replicate(state)
    stepper = Stepper(machine.replicas, whole, ready)
    hosts = host_stepper.HostStepper(machine.replicas, by_host, ready)
    for _ in range(2):
        whole, loss = stepper.step(whole, ready)
        by_host, same_loss = hosts.step(by_host, ready)
        assert same_loss == loss
    assert np.isfinite(loss)
    assert_same_bits(fetch(by_host), fetch(whole))
    assert seen == [scale == 1] * 2


def test_shares_may_change_between_compiled_steps(machine_of, state):
    machine = machine_of("1:1:1", 42, patch_size=3)
    ready = machine.ready(IDS)
    stepper = Stepper(machine.replicas, machine.replicas.replicate(state), ready, timed=True)
    results = []
    for profile in ("1:1:1", "5:1:1", "0:0:1"):
        plan = make_plan("balanced", parse_profile(profile), 42, 4)
        ready = machine.replicas.ready(deal(IDS, plan))
        live, loss = stepper.step(machine.replicas.replicate(state), ready)
        timed, timed_loss, _ = stepper.timed_step(machine.replicas.replicate(state), ready)
        results.append((fetch(live), loss))
        results.append((fetch(timed), timed_loss))
    for result in results[1:]:
        assert_same_bits(result, results[0])


def test_the_state_that_was_given_is_not_changed(machine_of, state):
    before = jax.tree.map(np.array, state.params)
    machine = machine_of("1:1", 42, patch_size=3)
    machine.fit(state, TRAIN, 2, seed=0)
    assert_same_bits(state.params, before)


SEESAW = [(4, 4, 3), (10, 1, 0), (0, 2, 9), (10, 1, 0)]


class Seesaw:
    """Stands for a controller that moves the shares at every observation."""

    settled = True

    def __init__(self):
        self.seen = []

    def observe(self, shares, seconds):
        self.seen.append((tuple(shares), tuple(seconds)))
        profile = parse_profile("5:1:0" if len(self.seen) % 2 else "0:1:5")
        return make_plan("adaptive", profile, 42, 4)


def test_forced_changes_of_shares_give_the_bits_of_fixed_shares(machine_of, state):
    fixed = machine_of("1:1:1", 42, patch_size=3).fit(state, TRAIN, 9, seed=1)
    controller = Seesaw()
    rebalancing = Rebalancing(controller, every=2)
    machine = machine_of("1:1:1", 42, scheme="adaptive", patch_size=3)
    moved = machine.fit(state, TRAIN, 9, seed=1, rebalancing=rebalancing)
    assert moved.losses == fixed.losses
    assert_same_bits(moved.state, fixed.state)
    assert [record.step for record in rebalancing.records] == [1, 3, 5, 7]
    assert moved.timeline.shape == (4, 1, 3)
    assert (np.diff(moved.timeline.ravel()) > 0).all()
    assert fixed.timeline.shape[0] == 0
    assert [shares for shares, _ in controller.seen] == SEESAW
    assert rebalancing.records[-1].shares == [0, 2, 9]
    assert moved.plan.shares == (0, 2, 9)
