"""The parts of summary.json on the scenes of a collection."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SceneResult:
    """The test in one scene of a collection.

    Attributes:
        name: of the scene.
        test_pixels: how many were tested.
        overall_accuracy: OA on them.
        average_accuracy: AA, over the classes that are among them.
        kappa: Cohen's kappa.
    """

    name: str
    test_pixels: int
    overall_accuracy: float
    average_accuracy: float
    kappa: float


@dataclass(frozen=True, kw_only=True)
class SceneSpread:
    """How much the OA differs from scene to scene, where several are tested.

    Attributes:
        scenes: that have test pixels.
        mean: of their OA, each scene counting once.
        deviation: standard deviation of their OA (divided by scenes - 1).
        min: the lowest OA.
        max: the highest OA.
    """

    scenes: int
    mean: float
    deviation: float
    min: float
    max: float
