"""What a map is to be: of which model and scene, and in which files."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from hsi_jax.data.scene.scene_tiles import CubeSource
from hsi_jax.evaluate.maps.map_grid import Grid
from hsi_jax.hetero import Profile
from hsi_jax.run.summary import Summary
from hsi_jax.run.tile_store import Layout, unfinished_folder
from hsi_jax.trained import TrainedModel

LEVELS, NO_LEVEL = 250, 255  # of a probability as uint8
SIZE = "classes in the set"  # the first band of a file of sets


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A map that is to be made.

    Attributes:
        model: of patches.
        source: of the scene.
        grid: of the scene.
        scene: name or path of the scene.
        summary: of the run whose test pixels lie in the scene, or None.
        files: of the scene, where it is read from files.
        output: file of the classes.
        probabilities: file of the probabilities, or None.
        probability_type: of `hsi_jax.commands.predict.PROBABILITY_TYPES`.
        confidence: file of the confidence, or None.
        confidence_kind: of `hsi_jax.commands.predict.CONFIDENCES`.
        thresholds: of the classes for sets of them, or () for none.
        method: of `hsi_jax.train.METHODS`.
        profile: of the devices, or None.
        overwrite: whether files may be replaced.
        began: when the processes that make the map together were started, seconds since the epoch.
    """

    model: TrainedModel
    source: CubeSource
    grid: Grid
    scene: str
    summary: Summary | None = None
    files: tuple[Path, ...] = ()
    output: Path
    probabilities: Path | None = None
    probability_type: str = "float32"
    confidence: Path | None = None
    confidence_kind: str = "margin"
    thresholds: tuple[float, ...] = ()
    method: str = "auto"
    profile: Profile | None = None
    overwrite: bool = False
    began: float = field(default_factory=time.time)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.grid.rows, self.grid.columns

    @property
    def legend(self) -> Path:
        """The picture with the legend."""
        return self.output.with_name(f"{self.output.stem}_legend.png")

    @property
    def areas(self) -> Path:
        """The table of areas."""
        return self.output.with_name(f"{self.output.stem}_areas.csv")

    @property
    def sets(self) -> Path | None:
        """The file of the sets of classes, a GeoTIFF unless the map is a .npy; None without."""
        suffix = ".npy" if self.output.suffix == ".npy" else ".tif"
        return (
            self.output.with_name(f"{self.output.stem}_sets{suffix}") if self.thresholds else None
        )

    @property
    def no_set(self) -> int:
        """What stands for no data in the file of sets: the highest number of its dtype."""
        return 2**8 - 1 if self.model.num_classes < 2**8 - 1 else 2**16 - 1

    @property
    def unfinished(self) -> Path:
        """The folder of the map while it is made."""
        return unfinished_folder(self.output)

    @property
    def is_made(self) -> bool:
        """Whether others have made the map since this process was started with them."""
        return self.output.exists() and self.output.stat().st_mtime > self.began

    @property
    def layouts(self) -> dict[str, Layout]:
        """Shape and dtype of each array."""
        shape, classes = self.shape, self.model.num_classes
        layouts: dict = {"classes": (shape, "uint8" if classes < 2**8 else "uint16")}
        if self.probabilities:
            layouts["probabilities"] = (*shape, classes), self.probability_type
        if self.confidence:
            layouts["confidence"] = shape, "float32"
        if self.thresholds:
            layouts["sets"] = (*shape, 1 + classes), "uint8" if self.no_set < 2**8 else "uint16"
        return layouts
