"""Heterogeneous data parallelism: profiles, partition, weights and exact sums.

Nothing here knows of scenes or models; bring any loss to `exact_sum`.
"""

from hsi_jax.hetero.devices import emulate_devices, take_devices
from hsi_jax.hetero.exact import exact_sum
from hsi_jax.hetero.partition import even_partition, partition
from hsi_jax.hetero.plan import SCHEMES, Plan, make_plan
from hsi_jax.hetero.profile import PRESETS, Device, Profile, parse_profile, read_profile
from hsi_jax.hetero.work import Work, deal

__all__ = [
    "PRESETS",
    "SCHEMES",
    "Device",
    "Plan",
    "Profile",
    "Work",
    "deal",
    "emulate_devices",
    "even_partition",
    "exact_sum",
    "make_plan",
    "parse_profile",
    "partition",
    "read_profile",
    "take_devices",
]
