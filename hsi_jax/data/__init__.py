"""Scenes, image sets, splits, normalising and the order of batches; nothing here knows of JAX."""

from hsi_jax.data.catalogue import CATALOGUE, SceneInfo
from hsi_jax.data.decoded_cache import DecodedCache
from hsi_jax.data.image_catalogue import IMAGE_CATALOGUE, ImageSetInfo
from hsi_jax.data.image_loader import load_image_set
from hsi_jax.data.image_set import ImageSet, channel_statistics
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.reader import read_array
from hsi_jax.data.sampler import batch_ids, steps_for_epochs
from hsi_jax.data.scene import UNLABELLED, Scene
from hsi_jax.data.scene_cache import cached_scene
from hsi_jax.data.scene_file import file_scene, load_scene
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
    "IMAGE_CATALOGUE",
    "UNLABELLED",
    "DecodedCache",
    "ImageSet",
    "ImageSetInfo",
    "Preprocessing",
    "Scene",
    "SceneInfo",
    "Split",
    "batch_ids",
    "cached_scene",
    "channel_statistics",
    "class_counts",
    "count_leakage",
    "disjoint_split",
    "file_scene",
    "file_split",
    "hold_out",
    "load_image_set",
    "load_scene",
    "random_split",
    "read_array",
    "steps_for_epochs",
    "synthetic_scene",
]
