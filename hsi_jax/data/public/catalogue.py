"""The public hyperspectral scenes that this package knows by name."""

from collections.abc import Mapping

from hsi_jax.data.public.scene_info import SceneInfo
from hsi_jax.errors import InputError

GIC_UPLOADS = "https://www.ehu.eus/ccwintco/uploads"
HOUSTON_PAGE = "https://machinelearning.ee.uh.edu/2013-ieee-grss-data-fusion-contest/"


def _numbered(*names: str) -> dict[int, str]:
    return dict(enumerate(names, start=1))


_SALINAS_CLASSES = _numbered(  # spelt as on the page
    "Brocoli_green_weeds_1",
    "Brocoli_green_weeds_2",
    "Fallow",
    "Fallow_rough_plow",
    "Fallow_smooth",
    "Stubble",
    "Celery",
    "Grapes_untrained",
    "Soil_vinyard_develop",
    "Corn_senesced_green_weeds",
    "Lettuce_romaine_4wk",
    "Lettuce_romaine_5wk",
    "Lettuce_romaine_6wk",
    "Lettuce_romaine_7wk",
    "Vinyard_untrained",
    "Vinyard_vertical_trellis",
)

_SCENES = (
    SceneInfo(
        name="indian_pines",
        title="Indian Pines",
        cube_file="Indian_pines_corrected.mat",
        label_file="Indian_pines_gt.mat",
        cube_variable="indian_pines_corrected",
        label_variable="indian_pines_gt",
        shape=(145, 145, 200),
        class_names=_numbered(
            "Alfalfa",
            "Corn-notill",
            "Corn-mintill",
            "Corn",
            "Grass-pasture",
            "Grass-trees",
            "Grass-pasture-mowed",
            "Hay-windrowed",
            "Oats",
            "Soybean-notill",
            "Soybean-mintill",
            "Soybean-clean",
            "Wheat",
            "Woods",
            "Buildings-Grass-Trees-Drives",
            "Stone-Steel-Towers",
        ),
        rgb_bands=(24, 15, 6),
        wavelengths_nm=(400.0, 2500.0),
        doi="10.4231/R7RX991C",
        note="AVIRIS, 1992; bands 104-108, 150-163 and 220 of 220 (water vapour) are left out.",
        cube_url=f"{GIC_UPLOADS}/6/67/Indian_pines_corrected.mat",
        label_url=f"{GIC_UPLOADS}/c/c4/Indian_pines_gt.mat",
    ),
    SceneInfo(
        name="salinas",
        title="Salinas",
        cube_file="Salinas_corrected.mat",
        label_file="Salinas_gt.mat",
        cube_variable="salinas_corrected",
        label_variable="salinas_gt",
        shape=(512, 217, 204),
        class_names=_SALINAS_CLASSES,
        rgb_bands=(28, 18, 9),
        wavelengths_nm=(400.0, 2500.0),
        note="AVIRIS; bands 108-112, 154-167 and 224 of 224 (water vapour) are left out.",
        cube_url=f"{GIC_UPLOADS}/a/a3/Salinas_corrected.mat",
        label_url=f"{GIC_UPLOADS}/f/fa/Salinas_gt.mat",
    ),
    SceneInfo(
        name="salinas_a",
        title="Salinas-A",
        cube_file="SalinasA_corrected.mat",
        label_file="SalinasA_gt.mat",
        cube_variable="salinasA_corrected",
        label_variable="salinasA_gt",
        shape=(83, 86, 204),
        class_names=_SALINAS_CLASSES,
        rgb_bands=(28, 18, 9),
        wavelengths_nm=(400.0, 2500.0),
        note="A part of Salinas; its six classes keep the ids they have there, 1 and 10 to 14.",
        cube_url=f"{GIC_UPLOADS}/1/1a/SalinasA_corrected.mat",
        label_url=f"{GIC_UPLOADS}/a/aa/SalinasA_gt.mat",
        sha256={
            "SalinasA_corrected.mat": "d75684ed3ab71a1024cee0f9db9061f5"
            "0a3523a92ff5edfbbb1eed976b9f1721",
            "SalinasA_gt.mat": "17814c1d3296c0e29b27f320f2c4174d2a68adb87e376abe78f02923e2c2e454",
        },
    ),
    SceneInfo(
        name="pavia_university",
        title="Pavia University",
        cube_file="PaviaU.mat",
        label_file="PaviaU_gt.mat",
        cube_variable="paviaU",
        label_variable="paviaU_gt",
        shape=(610, 340, 103),
        class_names=_numbered(
            "Asphalt",
            "Meadows",
            "Gravel",
            "Trees",
            "Painted metal sheets",
            "Bare Soil",
            "Bitumen",
            "Self-Blocking Bricks",
            "Shadows",
        ),
        rgb_bands=(50, 29, 7),
        wavelengths_nm=(430.0, 860.0),
        note="ROSIS.",
        cube_url=f"{GIC_UPLOADS}/e/ee/PaviaU.mat",
        label_url=f"{GIC_UPLOADS}/5/50/PaviaU_gt.mat",
    ),
    SceneInfo(
        name="pavia_centre",
        title="Pavia Centre",
        cube_file="Pavia.mat",
        label_file="Pavia_gt.mat",
        cube_variable="pavia",
        label_variable="pavia_gt",
        shape=(1096, 715, 102),
        class_names=_numbered(
            "Water",
            "Trees",
            "Meadows",
            "Self-Blocking Bricks",
            "Bare Soil",
            "Asphalt",
            "Bitumen",
            "Tiles",
            "Shadows",
        ),
        rgb_bands=(49, 28, 7),
        wavelengths_nm=(430.0, 860.0),
        note="ROSIS. The table on the page has the classes in another order than the file; the "
        "names here go by the file's pixel counts (42,826 pixels of id 8 are roof tiles).",
        cube_url=f"{GIC_UPLOADS}/e/e3/Pavia.mat",
        label_url=f"{GIC_UPLOADS}/5/53/Pavia_gt.mat",
    ),
    SceneInfo(
        name="ksc",
        title="Kennedy Space Center",
        cube_file="KSC.mat",
        label_file="KSC_gt.mat",
        cube_variable="KSC",
        label_variable="KSC_gt",
        shape=(512, 614, 176),
        class_names=_numbered(
            "Scrub",
            "Willow swamp",
            "Cabbage palm hammock",
            "Cabbage palm/oak hammock",
            "Slash pine",
            "Oak/broadleaf hammock",
            "Hardwood swamp",
            "Graminoid marsh",
            "Spartina marsh",
            "Cattail marsh",
            "Salt marsh",
            "Mud flats",
            "Water",
        ),
        rgb_bands=(28, 18, 9),
        wavelengths_nm=(400.0, 2500.0),
        note="AVIRIS, 1996; 176 of 224 bands, which ones is not stated, so rgb_bands are a guess.",
        cube_url=f"{GIC_UPLOADS}/2/26/KSC.mat",
        label_url=f"{GIC_UPLOADS}/a/a6/KSC_gt.mat",
    ),
    SceneInfo(
        name="botswana",
        title="Botswana",
        cube_file="Botswana.mat",
        label_file="Botswana_gt.mat",
        cube_variable="Botswana",
        label_variable="Botswana_gt",
        shape=(1476, 256, 145),
        class_names=_numbered(
            "Water",
            "Hippo grass",
            "Floodplain grasses 1",
            "Floodplain grasses 2",
            "Reeds",
            "Riparian",
            "Firescar",
            "Island interior",
            "Acacia woodlands",
            "Acacia shrublands",
            "Acacia grasslands",
            "Short mopane",
            "Mixed mopane",
            "Exposed soils",
        ),
        rgb_bands=(19, 10, 1),
        wavelengths_nm=(400.0, 2500.0),
        note="EO-1 Hyperion, 2001; bands 10-55, 82-97, 102-119, 134-164 and 187-220 of 242.",
        cube_url=f"{GIC_UPLOADS}/7/72/Botswana.mat",
        label_url=f"{GIC_UPLOADS}/5/58/Botswana_gt.mat",
    ),
    SceneInfo(
        name="houston2013",
        title="Houston 2013",
        cube_file="Houston.mat",
        label_file="Houston_gt.mat",
        cube_variable=None,
        label_variable=None,
        shape=(349, 1905, 144),
        class_names=_numbered(
            "Healthy grass",
            "Stressed grass",
            "Synthetic grass",
            "Trees",
            "Soil",
            "Water",
            "Residential",
            "Commercial",
            "Road",
            "Highway",
            "Railway",
            "Parking Lot 1",
            "Parking Lot 2",
            "Tennis Court",
            "Running Track",
        ),
        rgb_bands=(55, 36, 17),
        wavelengths_nm=(380.0, 1050.0),
        page=HOUSTON_PAGE,
        doi="10.1109/JSTARS.2014.2305441",
        note="CASI, 2012. The contest distributes a TIFF and lists of training and test pixels; "
        "Houston.mat and Houston_gt.mat are what people convert them to, under various names.",
    ),
)

CATALOGUE: Mapping[str, SceneInfo] = {info.name: info for info in _SCENES}


def find_scene(name: str) -> SceneInfo:
    """Returns the entry of a scene in the catalogue.

    Raises:
        InputError: if the name is unknown.
    """
    if name not in CATALOGUE:
        raise InputError(f"There is no scene '{name}'; choose one of {', '.join(CATALOGUE)}.")
    return CATALOGUE[name]
