"""The public image sets that this package knows by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.errors import InputError

# Names of sets that are not in the catalogue.
TFDS_PREFIX = "tfds:"  # before the name of any set of TFDS
FOLDER = "folder"  # of pictures

AITLAS = "AiTLAS Benchmark Arena, doi:10.1016/j.isprsjprs.2023.01.014: 60/20/20, stratified"


@dataclass(frozen=True)
class ImageSetInfo:
    """The facts about an image set that are known before its archive is read.

    Attributes:
        name: name on the command line.
        title: name in print.
        archives: file names of the zip file, as published or repacked, the usual one first.
        folders: names of the folder that unpacking gives.
        urls: addresses of the published archive; empty if it has to be fetched by hand.
        sha256: checksum of the published archive, or "".
        class_names: the folders of the classes, in the order of the class indexes.
        shape: (rows, columns, channels).
        num_images: images in the published archive.
        resized: whether images of another size are resized to this shape; else they are refused.
        train_fraction: usual part of each class that is not for testing.
        validation_fraction: usual part of these samples that validates.
        split_source: who uses these fractions.
        page: where the archive comes from.
        citation: the paper.
        terms: licence or terms of use, or "" where the publisher states none that we know of.
        by_hand: continues the sentence "Get it from <page>" where more has to be done.
    """

    name: str
    title: str
    archives: tuple[str, ...]
    folders: tuple[str, ...]
    urls: tuple[str, ...]
    sha256: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    num_images: int
    resized: bool
    train_fraction: float
    validation_fraction: float
    split_source: str
    page: str
    citation: str
    terms: str
    by_hand: str = ""

    def find(self, folder: Path) -> Path | None:
        """Finds the archive, or the folder that unpacking gave, in a folder or directly below it.

        Args:
            folder: where to look; it may also be the unpacked folder, or the folder of the classes.

        Returns:
            The path, or None if there is none.

        Raises:
            InputError: if there is only an archive that Python cannot unpack.
        """
        if folder.resolve().name in self.folders:
            return folder
        places = [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())]
        for place in places:
            for name in self.archives:
                if (place / name).is_file():
                    return place / name
            for name in self.folders:
                if (place / name).is_dir():
                    return place / name
            if all((place / name).is_dir() for name in self.class_names):
                return place
        for place in places:
            rar = (place / self.archives[0]).with_suffix(".rar")
            if rar.is_file():
                raise InputError(
                    f"Python cannot unpack {rar}; unpack it there (unrar x {rar.name}, or 7z x "
                    f"{rar.name}), which gives the folder {self.folders[0]}."
                )
        return None


_SETS = (
    ImageSetInfo(
        name="eurosat",
        title="EuroSAT (RGB)",
        archives=("EuroSAT.zip", "EuroSAT_RGB.zip"),
        folders=("2750", "EuroSAT_RGB"),
        urls=(
            "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
            "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
            "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
        ),
        sha256="8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd",  # as TFDS has it
        class_names=(
            "AnnualCrop",
            "Forest",
            "HerbaceousVegetation",
            "Highway",
            "Industrial",
            "Pasture",
            "PermanentCrop",
            "Residential",
            "River",
            "SeaLake",
        ),
        shape=(64, 64, 3),
        num_images=27_000,
        resized=False,
        train_fraction=0.8,
        validation_fraction=0.1,
        split_source="Helber et al. test on 20 %; a tenth of the rest validates",
        page="https://github.com/phelber/EuroSAT",
        citation="P. Helber, B. Bischke, A. Dengel, D. Borth: EuroSAT: A Novel Dataset and Deep "
        "Learning Benchmark for Land Use and Land Cover Classification. IEEE JSTARS 12(7), 2019. "
        "doi:10.1109/JSTARS.2019.2918242",
        terms="MIT",
        by_hand=" (the RGB images)",
    ),
    ImageSetInfo(
        name="uc_merced",
        title="UC Merced Land Use",
        archives=("UCMerced_LandUse.zip",),
        folders=("UCMerced_LandUse",),
        urls=(
            "http://weegee.vision.ucmerced.edu/datasets/UCMerced_LandUse.zip",
            "https://huggingface.co/datasets/torchgeo/ucmerced/resolve/main/UCMerced_LandUse.zip",
        ),
        sha256="06c539ef28703a58fb07bd2837991ac7c48b813b00bb12ac197efd813a18daeb",  # as TFDS has it
        class_names=(
            "agricultural",
            "airplane",
            "baseballdiamond",
            "beach",
            "buildings",
            "chaparral",
            "denseresidential",
            "forest",
            "freeway",
            "golfcourse",
            "harbor",
            "intersection",
            "mediumresidential",
            "mobilehomepark",
            "overpass",
            "parkinglot",
            "river",
            "runway",
            "sparseresidential",
            "storagetanks",
            "tenniscourt",
        ),
        shape=(256, 256, 3),
        num_images=2_100,
        resized=True,  # 44 images are not quite 256 x 256, says TFDS
        train_fraction=0.8,
        validation_fraction=0.25,
        split_source=AITLAS,
        page="http://weegee.vision.ucmerced.edu/datasets/landuse.html",
        citation="Y. Yang, S. Newsam: Bag-of-Visual-Words and Spatial Extensions for Land-Use "
        "Classification. ACM SIGSPATIAL GIS, 2010. doi:10.1145/1869790.1869829",
        terms="imagery of the USGS National Map, in the public domain",
    ),
    ImageSetInfo(
        name="resisc45",
        title="NWPU-RESISC45",
        archives=("NWPU-RESISC45.zip",),
        folders=("NWPU-RESISC45",),
        urls=(),
        sha256="",  # published as a .rar file, which is not read here
        class_names=(
            "airplane",
            "airport",
            "baseball_diamond",
            "basketball_court",
            "beach",
            "bridge",
            "chaparral",
            "church",
            "circular_farmland",
            "cloud",
            "commercial_area",
            "dense_residential",
            "desert",
            "forest",
            "freeway",
            "golf_course",
            "ground_track_field",
            "harbor",
            "industrial_area",
            "intersection",
            "island",
            "lake",
            "meadow",
            "medium_residential",
            "mobile_home_park",
            "mountain",
            "overpass",
            "palace",
            "parking_lot",
            "railway",
            "railway_station",
            "rectangular_farmland",
            "river",
            "roundabout",
            "runway",
            "sea_ice",
            "ship",
            "snowberg",
            "sparse_residential",
            "stadium",
            "storage_tank",
            "tennis_court",
            "terrace",
            "thermal_power_station",
            "wetland",
        ),
        shape=(256, 256, 3),
        num_images=31_500,
        resized=False,
        train_fraction=0.8,
        validation_fraction=0.25,
        split_source=AITLAS,
        page="https://1drv.ms/u/s!AmgKYzARBl5ca3HNaHIlzp_IXjs",
        citation="G. Cheng, J. Han, X. Lu: Remote Sensing Image Scene Classification: Benchmark "
        "and State of the Art. Proceedings of the IEEE 105(10), 2017. "
        "doi:10.1109/JPROC.2017.2675998",
        terms="",
        by_hand=" as NWPU-RESISC45.rar and unpack that (unrar x NWPU-RESISC45.rar) or pack it "
        "again as a zip file",
    ),
)

IMAGE_CATALOGUE: Mapping[str, ImageSetInfo] = {info.name: info for info in _SETS}
