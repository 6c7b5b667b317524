"""Replicas: like copies of a scene and a state on several devices, that work as one."""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from flax import jax_utils

from hsi_jax.hetero import Plan, Profile, take_devices
from hsi_jax.train.patches import Patches
from hsi_jax.train.step import AXIS, predict_step, train_step

Tree = TypeVar("Tree")


class Replicas:
    """The devices of a profile, each with a copy of the scene.

    Attributes:
        profile: speeds, by which work is shared out.
        plan: how each training batch is divided.
        devices: JAX's devices, in the order of the profile.
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
        self.patches = self.replicate(patches)

    def replicate(self, tree: Tree) -> Tree:
        """Copies a tree of arrays to every device; each array gains a leading [devices]."""
        # From NumPy, or JAX would compile a stacking program for each shape.
        arrays = jax.tree.map(np.asarray, tree)
        return jax_utils.replicate(arrays, self.devices, axis_name=AXIS)

    @property
    def train_step(self) -> Callable:
        """`train_step` on these devices; it consumes the state it is given."""
        return _pmapped(train_step, self.devices, donate=0)

    @property
    def predict_step(self) -> Callable:
        """`predict_step` on these devices."""
        return _pmapped(predict_step, self.devices)


def fetch(tree: Tree) -> Tree:
    """The first replica's copy of a tree, as NumPy arrays without the leading [devices]."""
    return jax.tree.map(lambda array: np.asarray(array.addressable_shards[0].data)[0], tree)


@functools.cache
def _pmapped(step: Callable, devices: tuple[jax.Device, ...], donate: int | tuple = ()) -> Callable:
    """One pmapped function for each set of devices, so that JAX finds what it compiled before."""
    return jax.pmap(step, axis_name=AXIS, devices=devices, donate_argnums=donate)
