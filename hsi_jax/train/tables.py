"""What a training can be told to use, by name; each part is imported when it is used.

So a program can list the names without waiting for JAX. `register` adds a part of your own, and
`package.module:name` names one without registering it.
"""

from collections.abc import Callable
from typing import Any

from hsi_jax.registry import Registry

Part = Callable[..., Any]

# loss(logits, label, weights) of one sample; see `hsi_jax.train.losses`.
LOSSES: Registry[Part] = Registry(
    "loss",
    {
        "cross_entropy": "hsi_jax.train.losses:cross_entropy",
        "weighted": "hsi_jax.train.losses:weighted",
        "focal": "hsi_jax.train.losses:focal",
    },
)

# optimizer(schedule, momentum, weight_decay), of Optax; see `hsi_jax.train.optimizer`.
OPTIMIZERS: Registry[Part] = Registry(
    "optimizer",
    {name: f"hsi_jax.train.optimizer:{name}" for name in ("sgd", "adam", "adamw")},
)

# schedule(learning_rate, num_steps), of Optax; see `hsi_jax.train.optimizer`.
SCHEDULES: Registry[Part] = Registry(
    "schedule",
    {
        name: f"hsi_jax.train.optimizer:{name}"
        for name in ("constant", "cosine", "warmup_cosine", "linear")
    },
)

# change(image, key) of one image [h, w, c]; see `hsi_jax.train.augmentation`. The place of a name
# decides what it draws, so new ones come at the end.
AUGMENTATIONS: Registry[Part] = Registry(
    "augment",
    {
        name: f"hsi_jax.train.augmentation:{name}"
        for name in ("flip", "rotate", "crop", "noise", "bands")
    },
)

SAMPLINGS = ("shuffled", "balanced")  # recipe.py
METHODS = ("auto", "one_pass", "patches")  # of a map: hsi_jax/trained/scene_map.py
