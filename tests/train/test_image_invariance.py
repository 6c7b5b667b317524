"""The headline for images: a residual network, augmented, streamed or resident, on any devices."""

import numpy as np
import optax
import pytest

from hsi_jax.data.sampler import batch_ids
from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.models import build_model
from hsi_jax.train import Replicas, Samples, Stream, create_state
from hsi_jax.train.augmentation import Preparation
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import train_step
from tests.train.small_scene import assert_same_bits

pytestmark = pytest.mark.slow

COUNT, SIDE, CLASSES, STEPS = 40, 8, 3, 6
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
LABELS = np.random.default_rng(1).integers(0, CLASSES, COUNT).astype(np.int32)
FEEDS = {
    "resident": Samples((IMAGES, LABELS)),
    "streamed": Stream(lambda ids: (IMAGES[ids], LABELS[ids])),
}


@pytest.fixture(scope="module")
def train():
    module = build_model("resnet20", CLASSES, {"depths": (1, 1, 1), "width": 4})
    prepare = Preparation((120.0,) * 3, (70.0,) * 3, ("flip", "rotate", "crop"))
    state = create_state(
        module, optax.sgd(0.1, momentum=0.9), (SIDE, SIDE, 3), seed=0, prepare=prepare
    )

    def run(profile, feed, seed=0):
        profile = parse_profile(profile)
        plan = make_plan("balanced", profile, 21, 4)  # the sixth microbatch holds one sample
        replicas = Replicas(len(profile), FEEDS[feed])
        live, losses = replicas.replicate(state.replace(seed=np.uint32(seed))), []
        for step in range(STEPS):
            work = deal(batch_ids(np.arange(COUNT), 21, 0, step), plan)
            live, loss = replicas.parallel(train_step)(live, *replicas.ready(work))
            losses.append(float(fetch(loss)))
        return losses, fetch(live)

    return run


@pytest.mark.long
def test_any_devices_and_either_feed_give_the_same_bits(train):
    losses, trained = train("1", "resident")
    assert len(set(losses)) == STEPS
    assert np.isfinite(losses).all()
    for feed, profile in (("resident", "2:1:1"), ("streamed", "1"), ("streamed", "7:1")):
        other_losses, other = train(profile, feed)
        assert other_losses == losses, (feed, profile)
        assert_same_bits(other, trained)


def test_the_seed_decides_the_augmentation(train):
    assert train("1", "resident")[0] != train("1", "resident", seed=1)[0]
