"""Measures of a classification and pictures of a run; nothing here knows of JAX."""

from hsi_jax.evaluate.confusion import draw_confusion
from hsi_jax.evaluate.curves import draw_curves
from hsi_jax.evaluate.map import draw_map, rgb_composite
from hsi_jax.evaluate.metrics import Scores, confusion_matrix, scores
from hsi_jax.evaluate.palette import class_colours
from hsi_jax.evaluate.shares import draw_shares

__all__ = [
    "Scores",
    "class_colours",
    "confusion_matrix",
    "draw_confusion",
    "draw_curves",
    "draw_map",
    "draw_shares",
    "rgb_composite",
    "scores",
]
