"""What is known of a public scene before its files are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

GIC_PAGE = "https://www.ehu.eus/ccwintco/index.php/Hyperspectral_Remote_Sensing_Scenes"


@dataclass(frozen=True)
class SceneInfo:
    """The facts about a scene that are known before its files are read.

    Attributes:
        name: name on the command line.
        title: name in print.
        cube_file: file name of the cube as distributed.
        label_file: file name of the ground truth as distributed.
        cube_variable: array in cube_file; None takes the only 3-D one.
        label_variable: array in label_file; None takes the only 2-D one.
        shape: (rows, columns, bands) of the distributed cube.
        class_names: name of each id in the ground truth (0 is unlabelled).
        rgb_bands: 0-based bands of the distributed cube that are near 640, 550 and 460 nm.
        wavelengths_nm: nominal wavelengths of the first and last band of the sensor, in nm.
        page: where the files come from.
        doi: DOI of the data set, or else of the paper that describes it, or "" if there is none.
        note: what else a user has to know.
        cube_url: address of cube_file, or "" if it has to be fetched by hand.
        label_url: address of label_file, or "" if it has to be fetched by hand.
        sha256: checksum of each file by its name, where it is known.
        terms: licence or terms of use, or "" where the publisher states none that we know of.
    """

    name: str
    title: str
    cube_file: str
    label_file: str
    cube_variable: str | None
    label_variable: str | None
    shape: tuple[int, int, int]
    class_names: Mapping[int, str]
    rgb_bands: tuple[int, int, int]
    wavelengths_nm: tuple[float, float]
    page: str = GIC_PAGE
    doi: str = ""
    note: str = ""
    cube_url: str = ""
    label_url: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    terms: str = ""

    def find(self, folder: Path) -> tuple[Path, Path] | None:
        """Finds the files of the cube and of the ground truth.

        Args:
            folder: where to look, and in its direct subfolders.

        Returns:
            Their paths, or None if one of them is missing.
        """
        places = [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())]
        paths = [
            next((place / name for place in places if (place / name).is_file()), None)
            for name in (self.cube_file, self.label_file)
        ]
        cube, labels = paths
        return None if cube is None or labels is None else (cube, labels)
