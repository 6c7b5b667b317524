"""What a run learns from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.image_set import ImageSet
from hsi_jax.data.scene import Scene
from hsi_jax.data.split import Split
from hsi_jax.train import Patches, Samples, Stream


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled samples, divided and ready for the devices.

    Attributes:
        name: as reports call it.
        note: what a reader of results has to know, or "".
        class_names: C names.
        class_ids: the id that each class has in the files.
        labels: class index of each sample, -1 where unlabelled, int32 [n].
        split: which samples train, validate and test.
        samples: for `Replicas`.
        input_shape: of the model's input.
        prepare: see `hsi_jax.train.task.Classification`.
        scene: whose pixels they are, or None.
        images: that they are, or None.
    """

    name: str
    note: str
    class_names: tuple[str, ...]
    class_ids: tuple[int, ...]
    labels: np.ndarray
    split: Split
    samples: Patches | Samples | Stream
    input_shape: tuple[int, int, int]
    prepare: Callable | None = None
    scene: Scene | None = None
    images: ImageSet | None = None

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)
