"""Replicas: like copies of samples and a state on several devices, that work as one."""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np

from hsi_jax.hetero import Plan, Profile, Work, take_devices
from hsi_jax.train.patches import Patches
from hsi_jax.train.samples import Rows, Samples
from hsi_jax.train.step import AXIS, AnySamples
from hsi_jax.train.stream import Stream

Tree = TypeVar("Tree")
Ready = tuple[AnySamples, Work]


class Replicas:
    """The devices of a profile, each with a copy of the samples, or with those of its own.

    They may belong to several processes (`hsi_jax.hetero.join_cluster`). Every process then calls
    the same methods with the same values, and each holds the rows of its own devices.

    Attributes:
        profile: speeds, by which work is shared out.
        plan: how each training batch is divided; may be replaced by another of the same sizes.
        devices: JAX's devices, in the order of the profile; see `choose_devices`.
        samples: replicated, or a `Stream` of them.
    """

    def __init__(self, profile: Profile, plan: Plan, samples: Patches | Samples | Stream):
        """Copies the samples to the devices, unless they are streamed.

        Raises:
            InputError: if JAX has fewer devices than the profile.
        """
        self.profile = profile
        self.plan = plan
        self.devices = choose_devices(len(profile))
        self._sharding = jax.NamedSharding(jax.sharding.Mesh(self.devices, (AXIS,)), jax.P(AXIS))
        self.samples = samples if isinstance(samples, Stream) else self.replicate(samples)
        self._last: tuple[Work, Work] | None = None  # as it was given, and as it was placed

    @property
    def is_streamed(self) -> bool:
        """Whether samples are sent for each step."""
        return isinstance(self.samples, Stream)

    def ready(self, work: Work) -> Ready:
        """The samples and the work of a step, on the devices."""
        placed = self._place_work(work)
        return (self._send_rows(work) if self.is_streamed else self.samples), placed

    def _place_work(self, work: Work) -> Work:
        """Sends what differs from the last step's: most often the ids alone.

        Sending an array costs about 0.1 ms of a step, because nothing of it is in the CPU's caches.
        """

        def send(array, before, there):
            return there if np.array_equal(array, before) else self.place(array)

        last = self._last  # read and set at once: validation may run beside a stream's reader
        placed = jax.tree.map(send, work, *last) if last else self.place(work)
        self._last = work, placed
        return placed

    def _send_rows(self, work: Work) -> Rows:
        """Reads and sends the rows of this process's devices."""
        rows = [
            jax.device_put(_with_axis(self._rows(work, number)), device)
            for number, device in enumerate(self.devices)
            if device in self._sharding.addressable_devices
        ]

        def join(*arrays):
            shape = (len(self.devices), *arrays[0].shape[1:])
            return jax.make_array_from_single_device_arrays(shape, self._sharding, list(arrays))

        return jax.tree.map(join, *rows)

    def _rows(self, work: Work, device: int) -> Rows:
        if device < len(work.count):
            return self.samples.rows(work.ids[device], work.count[device])
        return self.samples.rows(np.zeros_like(work.ids[0]), 0)  # the idle one

    def place(self, tree: Tree) -> Tree:
        """Sends row d of every NumPy array [devices, ...] of a tree to device d."""

        def send(array):
            idle = len(self.devices) - len(array)
            if idle:  # a count of 0 is no work
                array = np.concatenate([array, np.zeros((idle, *array.shape[1:]), array.dtype)])
            return jax.make_array_from_callback(
                array.shape, self._sharding, lambda rows: array[rows]
            )

        return jax.tree.map(send, tree)

    def replicate(self, tree: Tree) -> Tree:
        """Copies a tree of arrays to every device; each array gains a leading [devices]."""
        count = len(self.devices)
        return self.place(jax.tree.map(lambda a: np.broadcast_to(a, (count, *np.shape(a))), tree))

    def pmap(self, step: Callable, donate: tuple[int, ...] = ()) -> Callable:
        """A step of `hsi_jax.train.step` on these devices; arguments in `donate` are consumed."""
        return _pmapped(step, self.devices, donate)


def choose_devices(count: int) -> tuple[jax.Device, ...]:
    """The devices of a profile of so many.

    One emulated device has an idle second beside it: XLA compiles a program for one device by
    another way than for several, and that can round differently.

    Raises:
        InputError: if JAX has fewer.
    """
    devices = take_devices(count)
    if count == 1 and devices[0].platform == "cpu" and jax.device_count() > 1:
        devices = take_devices(2)
    return tuple(devices)


def fetch(tree: Tree) -> Tree:
    """This process's first copy of a tree, as NumPy arrays without the leading [devices]."""
    return jax.tree.map(lambda array: np.asarray(array.addressable_shards[0].data)[0], tree)


def _with_axis(tree: Tree) -> Tree:
    return jax.tree.map(lambda array: array[None], tree)


@functools.cache
def _pmapped(step: Callable, devices: tuple[jax.Device, ...], donate: tuple[int, ...]) -> Callable:
    """One pmapped function for each set of devices, so that JAX finds what it compiled before."""
    return jax.pmap(step, axis_name=AXIS, devices=devices, donate_argnums=donate)
