import gc
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.hetero.plan import make_plan
from hsi_jax.hetero.profile import Device, Profile, parse_profile
from hsi_jax.hetero.scheme import SCHEMES
from hsi_jax.hetero.work import deal


@given(
    scheme=st.sampled_from(list(SCHEMES)),
    text=st.sampled_from(["1", "4:2:1:1", "0:3:1", "16:1:1:1", "7:0.5:0.5:0"]),
    batch_size=st.integers(1, 100),
    microbatch_size=st.integers(1, 20),
)
def test_every_id_is_dealt_once_and_keeps_its_place(scheme, text, batch_size, microbatch_size):
    plan = make_plan(scheme, parse_profile(text), batch_size, microbatch_size)
    # All above 0, which padding holds.
    ids = 1 + np.random.default_rng(batch_size).permutation(batch_size).astype(np.int32)
    work = deal(ids, plan)

    taken = np.zeros((plan.microbatches, microbatch_size), np.int32)
    masks = np.full((plan.microbatches, microbatch_size), np.nan, np.float32)
    for device in range(len(plan.shares)):
        for row in range(work.count[device]):
            place = work.first[device] + row
            assert np.isnan(masks[place]).all(), "dealt twice"
            taken[place] = work.ids[device, row]
            masks[place] = work.mask[device, row]
    expected = np.zeros(taken.size, np.int32)
    expected[:batch_size] = ids
    np.testing.assert_array_equal(taken.ravel(), expected)
    np.testing.assert_array_equal(masks.ravel(), np.arange(taken.size) < batch_size)


def test_the_arrays_are_what_the_step_expects():
    plan = make_plan("speed", parse_profile("2:1:0"), 70, microbatch_size=16)
    work = deal(np.arange(70, dtype=np.int32), plan)
    assert work.ids.shape == work.mask.shape == (3, 5, 16)
    assert [work.ids.dtype, work.first.dtype, work.count.dtype] == [np.int32] * 3
    floats = (work.mask, work.sample_weight, work.sample_fraction)
    assert [array.dtype for array in floats] == [np.float32] * 3
    assert work.count.tolist() == [4, 1, 0]
    assert work.first.tolist() == [0, 4, 5]
    np.testing.assert_allclose(work.sample_weight, [2 / 3 / 64, 1 / 3 / 6, 0], rtol=1e-7)
    np.testing.assert_array_equal(work.sample_fraction, np.float32(1 / 70))


def test_rows_beyond_a_device_share_are_masked():
    plan = make_plan("balanced", parse_profile("3:1"), 64, microbatch_size=16)
    work = deal(np.arange(64, dtype=np.int32), plan)
    np.testing.assert_array_equal(work.mask.sum(axis=2), [[16, 16, 16, 0], [16, 0, 0, 0]])


@pytest.mark.parametrize("number", [0, 63, 65])
def test_a_batch_of_another_size_than_planned_is_refused(number):
    plan = make_plan("balanced", parse_profile("3:1"), 64, microbatch_size=16)
    with pytest.raises(ValueError, match=f"{number} ids for a plan of 64"):
        deal(np.zeros(number, np.int32), plan)


def steps_of_python(call):
    """How many lines of Python a call executes."""
    lines = 0

    def count(frame, event, argument):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    gc.disable()  # what it would clean up has lines of its own
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return lines


def test_another_batch_costs_as_much_for_many_devices_as_for_one():
    ids = np.arange(1024, dtype=np.int32)
    lines = set()
    for devices in (1, 4, 256):
        profile = Profile(tuple(Device(f"device {d}", 1.0 + d % 4) for d in range(devices)))
        plan = make_plan("balanced", profile, 1024, microbatch_size=16)
        first, second = deal(ids, plan), deal(ids[::-1], plan)
        for name in ("mask", "first", "count", "sample_weight", "sample_fraction"):
            assert getattr(first, name) is getattr(second, name)
        lines.add(steps_of_python(lambda plan=plan: deal(ids, plan)))
    assert len(lines) == 1
    assert lines.pop() > 5  # lines have been counted


def test_what_batches_share_cannot_be_changed():
    work = deal(np.arange(64), make_plan("balanced", parse_profile("3:1"), 64, 16))
    with pytest.raises(ValueError, match="read-only"):
        work.mask[0] = 0
