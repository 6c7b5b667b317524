"""What one of four devices has or does otherwise is found, and the device is named."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from hsi_jax.errors import AuditError
from hsi_jax.hetero import Work, deal, make_plan, parse_profile
from hsi_jax.models import find_model
from hsi_jax.train import Course, Patches, Replicas, Stream, audit, create_state, fit
from hsi_jax.train.audit import Audit, Auditing, draw_pairs, find_kinds, pick
from hsi_jax.train.step import AXIS
from tests.train.small_scene import BANDS, CLASSES, COLUMNS, ROWS, Watcher

PROFILE = parse_profile("3:2:1:1")
PLAN = make_plan("uniform", PROFILE, 42, 6)
IDS = np.arange(42, dtype=np.int32)
WRONG = 2  # the device
ALIKE = Auditing(1, 0, ["cpu"] * 4)
CUBE = np.random.default_rng(1).normal(size=(ROWS, COLUMNS, BANDS)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, CLASSES, (ROWS, COLUMNS)).astype(np.int32)


@pytest.fixture(scope="module")
def state():
    module = find_model("mlp")(CLASSES, hidden=(8,), dropout=0.5)
    return create_state(module, optax.sgd(0.05), (1, 1, BANDS), seed=3)


@pytest.fixture
def replicas():
    return Replicas(4, Patches.of_scene(CUBE, LABELS, 1))


def on_one(array, change):
    """A mapped array of which one device holds something else."""
    parts = [
        jax.device_put(change(np.array(s.data)) if number == WRONG else s.data, s.device)
        for number, s in enumerate(array.addressable_shards)
    ]
    return jax.make_array_from_single_device_arrays(array.shape, array.sharding, parts)


def check(replicas, live, done=1):
    work = deal(IDS, PLAN)
    Audit(replicas, live, work, ALIKE).check(live, work, done)


def test_devices_that_have_the_same_agree(replicas, state):
    live = replicas.replicate(state)
    audited = Audit(replicas, live, deal(IDS, PLAN), ALIKE)
    assert audited.is_due(1)
    for done in range(5):
        audited.check(live, deal(IDS, PLAN), done)
    assert find_kinds(replicas) == find_kinds(replicas)[:1] * 4


@pytest.mark.parametrize("fault", ["labels", "cube", "seed", "step", "parameter"])
def test_what_one_device_has_otherwise_names_it(replicas, state, fault):
    live = replicas.replicate(state)
    samples = replicas.samples
    if fault == "labels":
        changed = on_one(samples.labels, lambda labels: (labels + 1) % CLASSES)
        replicas.samples = samples.replace(labels=changed)
    elif fault == "cube":
        replicas.samples = samples.replace(cube=on_one(samples.cube, lambda c: c + np.float32(0.1)))
    elif fault == "parameter":
        params, tree = jax.tree.flatten(live.params)
        params[-1] = on_one(params[-1], lambda leaf: leaf + np.float32(1e-6))
        live = live.replace(params=tree.unflatten(params))
    else:
        changed = on_one(getattr(live, fault), lambda number: number + np.ones((), number.dtype))
        live = live.replace(**{fault: changed})
    with pytest.raises(AuditError, match=f"^device {WRONG} does not compute .* audit of step 6 "):
        check(replicas, live, 7)


def test_one_value_of_a_cube_is_found_as_soon_as_it_is_drawn(replicas, state):
    def change(cube):
        cube[0].reshape(-1)[5 * BANDS] += 0.5
        return cube

    live, samples = replicas.replicate(state), replicas.samples
    replicas.samples = samples.replace(cube=on_one(samples.cube, change))
    work = deal(IDS, PLAN)
    audited = Audit(replicas, live, work, ALIKE)

    def check_many():
        for done in range(40):
            audited.check(live, work, done)

    with pytest.raises(AuditError, match=f"^device {WRONG} does not"):
        check_many()


def test_a_core_that_multiplies_wrongly_is_named_and_nothing_is_saved(replicas, state, monkeypatch):
    planted = audit.audit_step

    def wrong(state, samples, work):
        factor = jnp.where(lax.axis_index(AXIS) == WRONG, 1 + 2.0**-20, 1.0)
        return planted(state, samples, work.replace(sample_weight=work.sample_weight * factor))

    monkeypatch.setattr(audit, "audit_step", wrong)
    saved = []
    course = Course.shuffled(IDS, 42, 4, save_every=1)
    hooks = [Watcher(save=saved.append)]
    with pytest.raises(AuditError, match=f"^device {WRONG} does not compute .* audit of step 0 "):
        fit(replicas, state, course, plan=PLAN, hooks=hooks, auditing=ALIKE)
    assert not saved


def test_two_devices_do_not_tell_which_is_wrong(replicas, state):
    live = replicas.replicate(state)
    live = live.replace(seed=on_one(live.seed, lambda seed: seed + np.uint32(1)))
    work = deal(IDS, PLAN)
    two = Auditing(1, 0, ["a", "b", "c", "c"])
    with pytest.raises(AuditError, match=r"^devices 2 and 3 differ on the same microbatch"):
        Audit(replicas, live, work, two).check(live, work, 1)
    unlike = Auditing(1, 0, ["a", "b", "c", "d"])
    Audit(replicas, live, work, unlike).check(live, work, 1)


@pytest.mark.long
def test_an_audited_training_keeps_its_bits_also_of_streams(replicas, state):
    course = Course.shuffled(IDS, 42, 3)
    flat = CUBE.reshape(-1, 1, 1, BANDS)
    streamed = Replicas(4, Stream(lambda ids: (flat[ids], LABELS.ravel()[ids])))
    plain = fit(replicas, state, course, plan=PLAN)
    for each in (replicas, streamed):
        audited = fit(each, state, course, plan=PLAN, auditing=ALIKE)
        assert audited.losses == plain.losses


def test_devices_of_a_kind_go_round_in_a_circle():
    kinds, counts = ["a", "b", "a", "a", "b", "c", "a"], [1, 2, 3, 0, 1, 4, 5]
    drawn = [draw_pairs(kinds, counts, {6}, np.random.default_rng((0, t))) for t in range(20)]
    assert all(pairs == {0: 2, 2: 0, 1: 4, 4: 1} for pairs in drawn)
    drawn = [draw_pairs(kinds, counts, (), np.random.default_rng((0, t))) for t in range(20)]
    for pairs in drawn:
        assert set(pairs) == set(pairs.values()) == {0, 1, 2, 4, 6}
        assert all(owner != checker for owner, checker in pairs.items())
        assert all(kinds[owner] == kinds[checker] for owner, checker in pairs.items())
    assert len({tuple(sorted(pairs.items())) for pairs in drawn}) == 2  # circles of three


def test_a_picked_microbatch_is_that_of_its_owner():
    work = deal(np.arange(100, 142, dtype=np.int32), PLAN)
    owners, places = np.array([1, 0, 0, 3]), np.array([2, 1, 0, 0])
    picked = pick(work, owners, places)
    assert isinstance(picked, Work)
    for device, owner in enumerate(owners):
        at = places[owner]
        assert picked.ids[device, 0].tolist() == work.ids[owner, at].tolist()
        assert picked.first[device] == work.first[owner] + at
        assert picked.sample_weight[device] == work.sample_weight[owner]
    assert picked.count.tolist() == [1] * 4
