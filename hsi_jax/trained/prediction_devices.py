"""The devices on which a trained model predicts."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from hsi_jax.cluster.devices import emulate_devices
from hsi_jax.hetero import Device, Profile, deal, make_plan
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.samples import SampleSource
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import logits_step


class PredictionDevices:
    """Devices that share predictions by their speeds; the model is sent to them once.

    Attributes:
        profile: of the devices, without caps: a share is worked through in microbatches.
        microbatch_size: samples that are predicted together.
    """

    def __init__(
        self, state: TrainState, microbatch_size: int, profile: Profile | int | None = None
    ):
        """Takes the devices.

        Args:
            state: that predicts, not replicated.
            microbatch_size: samples that are predicted together.
            profile: of the devices; or how many share the work evenly; or None for all
                accelerators, or for one device on a CPU.

        Raises:
            InputError: if JAX has fewer devices.
        """
        if not isinstance(profile, Profile):
            profile = _even_profile(profile)
        emulate_devices(len(profile))
        self.profile, self.microbatch_size = profile.uncapped, microbatch_size
        self._state, self._live = state, None

    def arguments(self, samples: SampleSource) -> dict[str, Any]:
        """What the functions of `hsi_jax.train.evaluation` take besides the ids of samples."""
        size, count = self.microbatch_size, len(self.profile)
        return {
            "replicas": Replicas(count, samples),
            "state": self._state,
            "profile": self.profile,
            "plan": make_plan("balanced", self.profile, count * size, size),
        }

    def logits(self, samples: SampleSource, ids: np.ndarray, room: int) -> Iterator[np.ndarray]:
        """The logits of samples, call by call of the devices.

        Args:
            samples: that the ids are of.
            ids: int32 [n].
            room: microbatches of a call.

        Yields:
            float32 [samples of the call, ..., C], in the order of the ids.
        """
        replicas = Replicas(len(self.profile), samples)
        if self._live is None:
            self._live = replicas.replicate(self._state)
        call, size = replicas.parallel(logits_step), self.microbatch_size
        for start in range(0, len(ids), room * size):
            part = ids[start : start + room * size]
            plan = make_plan("balanced", self.profile, len(part), size)
            out = fetch(call(self._live, *replicas.ready(deal(part, plan, room))))  # [U, m, ..., C]
            yield out.reshape(-1, *out.shape[2:])[: len(part)]  # the rest is padding


def _even_profile(count: int | None) -> Profile:
    if count is None:
        emulate_devices(1)
        count = 1 if jax.default_backend() == "cpu" else jax.local_device_count()
    return Profile(tuple(Device(f"device {number}", 1.0) for number in range(count)))
