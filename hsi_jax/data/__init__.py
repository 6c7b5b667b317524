"""Scenes, splits, scaling of spectra and the order of batches; nothing here knows of JAX."""

from hsi_jax.data.catalogue import CATALOGUE, SceneInfo, file_scene, load_scene
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.reader import read_array
from hsi_jax.data.sampler import batch_ids, steps_for_epochs
from hsi_jax.data.scene import UNLABELLED, Scene
from hsi_jax.data.split import (
    Split,
    class_counts,
    count_leakage,
    disjoint_split,
    file_split,
    hold_out,
    random_split,
)
from hsi_jax.data.synthetic import synthetic_scene

__all__ = [
    "CATALOGUE",
    "UNLABELLED",
    "Preprocessing",
    "Scene",
    "SceneInfo",
    "Split",
    "batch_ids",
    "class_counts",
    "count_leakage",
    "disjoint_split",
    "file_scene",
    "file_split",
    "hold_out",
    "load_scene",
    "random_split",
    "read_array",
    "steps_for_epochs",
    "synthetic_scene",
]
