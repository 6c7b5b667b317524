"""Replicas: like copies of a scene and a state on several devices, that work as one."""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np

from hsi_jax.hetero import Plan, Profile, take_devices
from hsi_jax.train.patches import Patches
from hsi_jax.train.step import AXIS

Tree = TypeVar("Tree")


class Replicas:
    """The devices of a profile, each with a copy of the scene.

    They may belong to several processes (`hsi_jax.hetero.join_cluster`). Every process then calls
    the same methods with the same values, and each holds the rows of its own devices.

    Attributes:
        profile: speeds, by which work is shared out.
        plan: how each training batch is divided; may be replaced by another of the same sizes.
        devices: JAX's devices, in the order of the profile. One emulated device has an idle second
            beside it: XLA compiles a program for one device by another way than for several, and
            that can round differently.
        patches: the scene, replicated.
    """

    def __init__(self, profile: Profile, plan: Plan, patches: Patches):
        """Copies the scene to the devices.

        Raises:
            InputError: if JAX has fewer devices than the profile.
        """
        self.profile = profile
        self.plan = plan
        self.devices = tuple(take_devices(len(profile)))
        if len(profile) == 1 and self.devices[0].platform == "cpu" and jax.device_count() > 1:
            self.devices = tuple(take_devices(2))
        self.patches = self.replicate(patches)

    def place(self, tree: Tree) -> Tree:
        """Sends row d of every NumPy array [devices, ...] of a tree to device d."""
        sharding = jax.NamedSharding(jax.sharding.Mesh(self.devices, (AXIS,)), jax.P(AXIS))

        def send(array):
            idle = len(self.devices) - len(array)
            if idle:  # a count of 0 is no work
                array = np.concatenate([array, np.zeros((idle, *array.shape[1:]), array.dtype)])
            return jax.make_array_from_callback(array.shape, sharding, lambda rows: array[rows])

        return jax.tree.map(send, tree)

    def replicate(self, tree: Tree) -> Tree:
        """Copies a tree of arrays to every device; each array gains a leading [devices]."""
        count = len(self.devices)
        return self.place(jax.tree.map(lambda a: np.broadcast_to(a, (count, *np.shape(a))), tree))

    def pmap(self, step: Callable, donate: tuple[int, ...] = ()) -> Callable:
        """A step of `hsi_jax.train.step` on these devices; arguments in `donate` are consumed."""
        return _pmapped(step, self.devices, donate)


def fetch(tree: Tree) -> Tree:
    """This process's first copy of a tree, as NumPy arrays without the leading [devices]."""
    return jax.tree.map(lambda array: np.asarray(array.addressable_shards[0].data)[0], tree)


@functools.cache
def _pmapped(step: Callable, devices: tuple[jax.Device, ...], donate: tuple[int, ...]) -> Callable:
    """One pmapped function for each set of devices, so that JAX finds what it compiled before."""
    return jax.pmap(step, axis_name=AXIS, devices=devices, donate_argnums=donate)
