"""Work of lost devices, dealt once more: every microbatch once, with its number and weight."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.hetero.redeal import plan_without, profile_without, redeal, without_lost


def microbatches(works):
    """Number in the batch, ids, mask and weight of each microbatch that some device has."""
    return sorted(
        (
            int(work.first[device]) + row,
            work.ids[device, row].tolist(),
            work.mask[device, row].tolist(),
            float(work.sample_weight[device]),
        )
        for work in works
        for device in range(len(work.count))
        for row in range(int(work.count[device]))
    )


@given(
    speeds=st.lists(st.integers(0, 5), min_size=2, max_size=6).filter(any),
    batch=st.integers(1, 50),
    scheme=st.sampled_from(["balanced", "even", "speed"]),
    data=st.data(),
)
def test_every_microbatch_stays_once_whoever_is_lost_one_after_the_other(
    speeds, batch, scheme, data
):
    plan = make_plan(scheme, parse_profile(":".join(map(str, speeds))), batch, 4)
    whole = deal(np.arange(100, 100 + batch, dtype=np.int32), plan)
    order = data.draw(st.permutations(range(len(speeds))))
    works = [whole]
    for count in range(1, len(speeds)):
        lost = order[:count]
        works = [
            each
            for work in works
            for each in (without_lost(work, lost), *redeal(work, lost, plan.shares))
        ]
        assert microbatches(works) == microbatches([whole])
        assert not any(work.count[list(lost)].any() for work in works)


def test_lost_work_is_dealt_by_speed():
    plan = make_plan("balanced", parse_profile("4:2:1:1"), 64, 2)
    (work,) = redeal(deal(np.arange(64, dtype=np.int32), plan), [0], plan.shares)
    assert work.count.tolist() == [0, 8, 4, 4]
    both = redeal(deal(np.arange(64, dtype=np.int32), plan), [2, 3], plan.shares)
    assert sum(work.count for work in both).tolist() == [6, 2, 0, 0]


def test_a_plan_without_lost_devices_keeps_the_weights():
    plan = make_plan("balanced", parse_profile("4:2:1:1"), 62, 2)
    left = plan_without(plan, [0])
    assert left.shares == (0, 17, 8, 6)  # by shares of 16, 8, 4 and 3
    assert (left.sample_weights == plan.sample_weights).all()
    assert plan_without(make_plan("balanced", parse_profile("1:0"), 8, 2), [0]).shares == (0, 4)


def test_a_profile_of_which_only_idle_devices_are_left():
    assert profile_without(parse_profile("3:0:0"), [0]).speeds == (0, 1, 1)
    assert profile_without(parse_profile("3:2:0"), [0]).speeds == (0, 2, 0)
