"""Replicas: equal copies of samples and a state on several devices, which work as one.

All that is said of `jax.pmap` and of placing arrays on devices stands here, so another way to run
one program on many devices changes this file alone.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol, TypeVar

import jax
import numpy as np
import psutil

from hsi_jax.cluster.devices import JaxDevice, choose_devices
from hsi_jax.cluster.exchange import gather, own_devices, reduction
from hsi_jax.hetero import Work
from hsi_jax.train.samples import Rows, SampleSource, Stream
from hsi_jax.train.step import AXIS

PART_OF_MEMORY = 0.25  # for samples; the rest is for parameters, activations and other programs

Tree = TypeVar("Tree")


@dataclass(frozen=True)
class Ready:
    """The input of a step; it unpacks to what the programs take.

    Attributes:
        samples: on the devices.
        work: on the devices.
        dealt: the same work, of all devices, as NumPy arrays.
    """

    samples: SampleSource
    work: Work
    dealt: Work

    def __iter__(self) -> Iterator[Any]:
        return iter((self.samples, self.work))


class Parallel(Protocol):
    """A function that runs on all devices of some replicas at once."""

    def __call__(self, *arrays: Any) -> Any:
        """Runs it; every array leads with [devices]."""
        ...

    def lower(self, *arrays: Any) -> Any:
        """Lowers it for arrays of these sizes, to be compiled ahead; see `jax.jit`."""
        ...


class Replicas:
    """Some devices, each with a copy of all samples, or with the samples of its own work.

    They may belong to several processes (`hsi_jax.cluster.join_cluster`). Every process then calls
    the same methods with the same values, and each holds the rows of its own devices. Where sums
    are added by the hosts, a program spans the devices of its own process alone.

    Attributes:
        count: devices of all processes that are dealt work, D.
        own: the numbers of this process's devices among them.
        devices: JAX's devices that a program spans, in the order of the profile; see
            `choose_devices`.
        by_host: whether the sums of the processes are added by their hosts.
        samples: replicated, or a `Stream` of them.
    """

    def __init__(self, count: int, samples: SampleSource | Stream):
        """Copies the samples to the devices, unless they are streamed.

        Raises:
            InputError: if JAX has fewer devices.
        """
        self.count = count
        self.devices = choose_devices(count)
        self.by_host = reduction() == "host"
        own = own_devices()
        self.own = range(count)[own.start : own.stop]  # JAX may have more than are dealt work
        self._sharding = jax.NamedSharding(jax.sharding.Mesh(self.devices, (AXIS,)), jax.P(AXIS))
        self.samples = samples if isinstance(samples, Stream) else self.replicate(samples)
        self._last: tuple[Work, Work] | None = None  # as it was given, and as it was placed

    @property
    def is_streamed(self) -> bool:
        """Whether samples are sent for each step."""
        return isinstance(self.samples, Stream)

    def parallel(self, step: Callable, donate: tuple[int, ...] = ()) -> Parallel:
        """Makes a function of one device run on all of them at once.

        Args:
            step: a function of `hsi_jax.train.step`, which sees the arrays of its own device.
            donate: places of the arguments that the call may consume.

        Returns:
            The function of arrays that lead with [devices].
        """
        return _pmapped(step, self.devices, donate)

    def ready(self, work: Work) -> Ready:
        """The samples and the work of a step, on the devices."""
        placed = self._place_work(work)
        samples = self.samples
        if isinstance(samples, Stream):
            samples = self._send_rows(samples, work)
        return Ready(samples, placed, work)

    def _place_work(self, work: Work) -> Work:
        """Sends what differs from the last step's work, which is most often the ids alone.

        Sending an array costs about 0.1 ms of a step, because nothing of it is in the CPU's caches.
        """

        def send(array, before, there):
            same = array is before or np.array_equal(array, before)
            return there if same else self.place(array)

        last = self._last  # read and set at once: validation may run beside a stream's reader
        placed = jax.tree.map(send, work, *last) if last else self.place(work)
        self._last = work, placed
        return placed

    def _send_rows(self, stream: Stream, work: Work) -> Rows:
        """Reads and sends the rows of this process's devices."""
        own = [d for d in self.devices if d in self._sharding.addressable_devices]
        rows = [
            jax.device_put(_with_axis(_rows(stream, work, number)), device)
            for number, device in zip_longest(self.own, own)
        ]

        def join(*arrays):
            shape = (len(self.devices), *arrays[0].shape[1:])
            return jax.make_array_from_single_device_arrays(shape, self._sharding, list(arrays))

        return jax.tree.map(join, *rows)

    def place(self, tree: Tree) -> Tree:
        """Sends row d of every NumPy array [D, ...] of a tree to device d."""

        def send(array):
            return self._place(array[self.own.start : self.own.stop] if self.by_host else array)

        return jax.tree.map(send, tree)

    def _place(self, array: np.ndarray) -> jax.Array:
        """Sends the rows of an array to `devices`, in their order."""
        idle = len(self.devices) - len(array)
        if idle:  # a count of 0 is no work
            array = np.concatenate([array, np.zeros((idle, *array.shape[1:]), array.dtype)])
        return jax.make_array_from_callback(array.shape, self._sharding, lambda rows: array[rows])

    def replicate(self, tree: Tree) -> Tree:
        """Copies a tree of arrays to every device; each array gains a leading [devices]."""
        count = len(self.devices)

        def copy(array):
            return self._place(np.broadcast_to(array, (count, *np.shape(array))))

        return jax.tree.map(copy, tree)


def fetch(tree: Tree) -> Tree:
    """This process's first copy of a tree, as NumPy arrays without the leading [devices]."""
    return jax.tree.map(lambda array: np.asarray(array.addressable_shards[0].data)[0], tree)


def fits_on_devices(num_bytes: int, devices: Sequence[JaxDevice]) -> bool:
    """Whether a copy of this many bytes may stay on each of the devices.

    An accelerator may be filled by a quarter of its memory. Emulated devices share the machine's
    memory, so the copies of all of them together may take a quarter of what is free. In a cluster
    every process must have the room, because all run the same program.

    Args:
        num_bytes: of one copy.
        devices: of all processes; each looks at its own.
    """
    own = [device for device in devices if device.process_index == jax.process_index()]
    fits = all(num_bytes * copies <= PART_OF_MEMORY * room for room, copies in _memories(own))
    return bool(gather(np.array([fits])).all())


def _memories(devices: Sequence[JaxDevice]) -> list[tuple[float, int]]:
    """Bytes of each memory and how many copies it must hold."""
    if devices[0].platform == "cpu":
        return [(psutil.virtual_memory().available, len(devices))]
    return [((device.memory_stats() or {}).get("bytes_limit", 0), 1) for device in devices]


def _rows(stream: Stream, work: Work, device: int | None) -> Rows:
    if device is None:  # the idle one
        return stream.rows(np.zeros_like(work.ids[0]), 0)
    return stream.rows(work.ids[device], work.count[device])


def _with_axis(tree: Any) -> Any:
    return jax.tree.map(lambda array: array[None], tree)


@functools.cache
def _pmapped(step: Callable, devices: tuple[JaxDevice, ...], donate: tuple[int, ...]) -> Parallel:
    """One pmapped function for each set of devices, so that JAX finds what it compiled before."""
    return jax.pmap(
        step,
        axis_name=AXIS,
        axis_size=len(devices),  # else JAX wants as many in every process
        devices=devices,
        donate_argnums=donate,
    )
