"""Protocols by name: a scene and a split of it that papers have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError
from hsi_jax.registry import Registry

# Options that say which samples there are and which of them train: a protocol has the last word.
FIXED = (
    *("dataset", "cube", "cube_variable", "labels", "labels_variable"),
    *("labels_attribute", "labels_touched", "unlabelled"),
    *("split", "train_fraction", "train_per_class", "small_classes", "block_size"),
)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which pixels of which scene train and test, as somebody has published it.

    Attributes:
        name: of `protocol`.
        options: fields of `RunOptions` that it sets; the others of `FIXED` keep their defaults.
        files: those of them that are names of files (or patterns) in `data_dir`.
        class_ids: where the split has class maps in an order of its own: the id in the ground truth
            of each of its classes 1, 2, ...; the labels are then those of the split.
        whose: who uses it.
        source: where it is published.
        split: what trains and what tests, for people.
        leakage: by side of the patch, the part of the test pixels that have a training pixel in
            it; measured with seed 0.
        patch_size: side of the patches that its papers use, or None where they differ.
    """

    name: str
    options: Mapping[str, Any]
    files: tuple[str, ...] = ()
    class_ids: tuple[int, ...] = ()
    whose: str
    source: str
    split: str
    leakage: Mapping[int, float]
    patch_size: int | None = None

    @property
    def file_names(self) -> str:
        """The files of its own, for messages."""
        return " and ".join(self.options[name] for name in self.files)

    def find(self, option: str, data_dir: str) -> str:
        """The path, or pattern, of a file of its own, in a folder or a direct subfolder.

        Raises:
            InputError: if it is not there.
        """
        name, folder = self.options[option], Path(data_dir)
        if folder.is_dir():
            for place in (folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())):
                if any(place.glob(name)):
                    return str(place / name)
        raise InputError(
            f"`protocol`={self.name}: {name} is not in `data_dir`={data_dir} or its direct "
            f"subfolders; put it there ({self.source})"
        )


def check_protocol(name: str, given: Mapping[str, Any], unset: Mapping[str, Any]) -> None:
    """Checks that the options of a run are those of its protocol.

    Args:
        name: of the protocol.
        given: the options of the run, by name.
        unset: their defaults.

    Raises:
        InputError: naming the option that contradicts it, or the folder that it needs.
    """
    protocol = PROTOCOLS.find(name)
    for option in FIXED:
        value = given[option]
        if option not in protocol.options:
            if value != unset[option]:
                raise InputError(
                    f"`{option}`={value} changes the samples or the split of `protocol`={name}; "
                    f"leave one of them out"
                )
        elif value != protocol.options[option]:
            raise InputError(
                f"`{option}`={value} contradicts `protocol`={name}, which has "
                f"`{option}`={protocol.options[option]}; leave one of them out"
            )
    if protocol.files and not given["data_dir"]:
        raise InputError(
            f"`protocol`={name} needs `data_dir`=FOLDER, with {protocol.file_names}"
            f"{'' if protocol.options['dataset'] == 'file' else ' and the files of the scene'}"
        )


_IEEE = "https://doi.org/10.1109"
_ALL = (
    Protocol(
        name="indian_pines_random10",
        options={"dataset": "indian_pines", "split": "random", "train_fraction": 0.1},
        whose="SSFTT (Sun et al. 2022) and others",
        source=f"{_IEEE}/TGRS.2022.3144158",
        split="a random 10 % of each class trains, all others test",
        leakage={3: 0.536, 7: 0.977, 13: 0.999},
        patch_size=13,
    ),
    Protocol(
        name="indian_pines_random30",
        options={"dataset": "indian_pines", "split": "random", "train_fraction": 0.3},
        whose="HybridSN (Roy et al. 2020)",
        source=f"{_IEEE}/LGRS.2019.2918719",
        split="a random 30 % of each class trains, all others test",
        leakage={3: 0.911, 7: 1.0, 13: 1.0},
        patch_size=25,
    ),
    Protocol(
        name="indian_pines_fixed695",
        options={"dataset": "indian_pines", "split": "fixed_split_695.npz"},
        files=("split",),
        class_ids=(2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16, 1, 7, 9),
        whose="miniGCN (Hong et al. 2021), SpectralFormer (Hong et al. 2022) and followers",
        source="https://github.com/danfenghong/IEEE_TGRS_SpectralFormer",
        split="50 pixels of each class train, 15 of the three smallest; 9,671 others test",
        leakage={3: 0.316, 7: 0.789, 13: 0.983},
        patch_size=7,
    ),
    Protocol(
        name="indian_pines_dase",
        options={"dataset": "indian_pines", "split": "dase_disjoint_split.npz"},
        files=("split",),
        whose="IEEE GRSS, its Data and Algorithm Standard Evaluation (DASE)",
        source="http://dase.grss-ieee.org",
        split="each field is cut in two: 5,528 pixels train, 4,711 in the other parts test",
        leakage={3: 0.155, 7: 0.558, 13: 0.91},
    ),
    Protocol(
        name="indian_pines_disjoint",
        options={
            "dataset": "indian_pines",
            "split": "disjoint",
            "train_fraction": 0.1,
            "block_size": 8,
        },
        whose="ours",
        source="docs/guide.md, Split and leakage",
        split="blocks of 8 x 8 pixels with 10 % of each class train; pixels near them are unused",
        leakage={3: 0.0, 7: 0.0, 13: 0.0},
    ),
    Protocol(
        name="salinas_a_random10",
        options={"dataset": "salinas_a", "split": "random", "train_fraction": 0.1},
        whose="usual",
        source="no single paper",
        split="a random 10 % of each class trains, all others test",
        leakage={3: 0.543, 7: 0.979, 13: 1.0},
    ),
    Protocol(
        name="salinas_a_disjoint",
        options={
            "dataset": "salinas_a",
            "split": "disjoint",
            "train_fraction": 0.1,
            "block_size": 8,
        },
        whose="ours",
        source="docs/guide.md, Split and leakage",
        split="blocks of 8 x 8 pixels with 10 % of each class train; pixels near them are unused",
        leakage={3: 0.0, 7: 0.0, 13: 0.0},
    ),
    Protocol(
        name="landsat_polygons",
        options={
            "dataset": "file",
            "cube": "lsat7_2000_*.tif",
            "labels": "landsat96_polygons.shp",
            "split": "polygons",
            "train_fraction": 0.5,
        },
        files=("cube", "labels"),
        whose="ours, on Landsat 7 of North Carolina (the GRASS sample data)",
        source="https://grass.osgeo.org/download/data/",
        split="whole polygons with about half of the pixels of each class train, the others test",
        leakage={3: 0.0, 7: 0.0, 13: 0.0},
        patch_size=3,
    ),
)
PROTOCOLS: Registry[Protocol] = Registry(
    "protocol", {protocol.name: protocol for protocol in _ALL}, Protocol
)
