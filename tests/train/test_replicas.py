import jax
import numpy as np
import pytest

from hsi_jax.hetero import deal, make_plan, parse_profile


def work_of(first_id, profile="2:1:1", batch_size=42):
    plan = make_plan("speed", parse_profile(profile), batch_size, 4)
    return deal(np.arange(first_id, first_id + batch_size, dtype=np.int32), plan)


@pytest.mark.parametrize("devices", [1, 3])
def test_what_is_placed_is_what_was_given(replicas_of, devices):
    profiles = {1: ["1"] * 4, 3: ["2:1:1", "1:1:1", "0:0:1", "2:1:1"]}[devices]
    replicas = replicas_of(profiles[0], 42, patch_size=3)
    works = [work_of(at, profile) for profile in profiles for at in (0, 9)]
    works += [work_of(9, profiles[0], size) for size in (41, 42, 12, 42)]
    for work in works:
        _, placed = replicas.ready(work)
        for array, there in zip(jax.tree.leaves(work), jax.tree.leaves(placed), strict=True):
            assert there.dtype == array.dtype
            assert np.array_equal(np.asarray(there)[:devices], array)


def test_what_has_not_changed_is_not_sent_again(replicas_of):
    replicas = replicas_of("2:1:1", 42, patch_size=3)
    _, first = replicas.ready(work_of(0))
    _, second = replicas.ready(work_of(9))
    assert second.ids is not first.ids
    assert all(getattr(second, n) is getattr(first, n) for n in ("mask", "count", "sample_weight"))
