"""A made-up scene, for notebooks and tests without a download."""

import numpy as np

from hsi_jax.data.scene.scene import UNLABELLED, Scene

NOTE = (
    "Synthetic scene: its spectra and fields are made up; do not compare its results with those of "
    "real scenes."
)

_SIDE = 96  # pixels
_WAVELENGTHS = np.linspace(400.0, 2500.0, 64)  # nm
_SITES_PER_SIDE = 6  # fields are the Voronoi cells of a jittered grid of 6 x 6 sites
_SITE_JITTER = 0.35  # of the grid's spacing
_BORDER_BLUR = 0.6  # pixels, standard deviation of the sensor's point spread
_MIXING_NOISE = 0.05  # standard deviation of a pixel's material fractions
_BRIGHTNESS_NOISE = 0.05  # standard deviation of a pixel's log brightness
_ILLUMINATION_CHANGE = 0.08  # standard deviation of log illumination over the scene
_SENSOR_NOISE = 0.015  # reflectance; twice that at the ends of the spectrum
_UNLABELLED_GAPS = 0.12  # part of the pixels that is unlabelled at random

# class name: (fields,
#     fractions of grass leaf, broad leaf, straw, litter, soil, shade, water, built surface)
_CLASSES = {
    "Maize": (9, (0.50, 0.00, 0.00, 0.00, 0.40, 0.10, 0.00, 0.00)),
    "Soybean": (6, (0.00, 0.50, 0.00, 0.00, 0.40, 0.10, 0.00, 0.00)),
    "Woodland": (5, (0.00, 0.75, 0.00, 0.05, 0.00, 0.20, 0.00, 0.00)),
    "Meadow": (4, (0.75, 0.00, 0.05, 0.00, 0.00, 0.20, 0.00, 0.00)),
    "Wheat stubble": (3, (0.00, 0.00, 0.60, 0.00, 0.30, 0.10, 0.00, 0.00)),
    "Fallow": (2, (0.00, 0.00, 0.00, 0.60, 0.30, 0.10, 0.00, 0.00)),
    "Bare soil": (1, (0.00, 0.00, 0.00, 0.00, 0.85, 0.15, 0.00, 0.00)),
    "Built-up": (1, (0.05, 0.05, 0.00, 0.00, 0.10, 0.05, 0.00, 0.75)),
    "Pond": (1, (0.00, 0.00, 0.00, 0.00, 0.00, 0.10, 0.90, 0.00)),
}
_UNLABELLED_FIELDS = _SITES_PER_SIDE**2 - sum(fields for fields, _ in _CLASSES.values())


def synthetic_scene(seed: int = 0) -> Scene:
    """Makes a scene of fields with mixed spectra, 96 x 96 pixels and 64 bands.

    Each field is covered by one class, a mixture of eight materials with smooth spectra
    (reflectance, 400 to 2500 nm); three pairs of classes are nearly alike. The mixture varies from
    pixel to pixel, borders are blurred, illumination changes smoothly and the sensor adds noise.
    Some fields and some scattered pixels are unlabelled; borders are labelled. So a classifier of
    single pixels makes errors, one that looks at neighbourhoods makes fewer, and none is perfect.

    Args:
        seed: seed of fields and noise, 0 or more; the same seed gives the same scene.

    Returns:
        The scene, with nine classes of very uneven size.
    """
    from scipy.ndimage import gaussian_filter  # slow to import

    rng = np.random.Generator(np.random.PCG64(seed))
    mixtures = np.array([fractions for _, fractions in _CLASSES.values()])
    field_map, class_of_field, labelled_field = _fields(rng)
    class_map = class_of_field[field_map]

    fractions = mixtures[class_map] + rng.normal(
        0, _MIXING_NOISE, (*class_map.shape, mixtures.shape[1])
    )
    fractions = np.maximum(fractions, 0)
    fractions /= fractions.sum(axis=2, keepdims=True)
    fractions = gaussian_filter(fractions, (_BORDER_BLUR, _BORDER_BLUR, 0))
    cube = fractions @ _material_spectra() * _brightness(rng)[..., None]
    edges = np.abs(np.linspace(-1, 1, len(_WAVELENGTHS)))
    cube += rng.normal(0, _SENSOR_NOISE, cube.shape) * (1 + edges**2)

    gaps = rng.random((_SIDE, _SIDE)) < _UNLABELLED_GAPS
    labels = np.where(labelled_field[field_map] & ~gaps, class_map, UNLABELLED)
    return Scene.from_arrays(
        "synthetic",
        cube,
        labels + 1,
        class_names=dict(enumerate(_CLASSES, start=1)),
        rgb_bands=[int(np.argmin(np.abs(_WAVELENGTHS - nm))) for nm in (640, 550, 460)],
        source="the synthetic scene",
        note=NOTE,
    )


def _fields(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the field of each pixel, the class of each field, and which fields are labelled."""
    from scipy.spatial import KDTree  # slow to import

    grid = np.moveaxis(np.mgrid[:_SITES_PER_SIDE, :_SITES_PER_SIDE], 0, -1).reshape(-1, 2) + 0.5
    sites = (grid + rng.uniform(-_SITE_JITTER, _SITE_JITTER, grid.shape)) / _SITES_PER_SIDE
    pixels = (np.moveaxis(np.mgrid[:_SIDE, :_SIDE], 0, -1) + 0.5) / _SIDE
    field_map = np.asarray(KDTree(sites).query(pixels)[1])

    counts = [fields for fields, _ in _CLASSES.values()]
    labelled = np.repeat(np.arange(len(_CLASSES)), counts)
    unlabelled = rng.integers(len(_CLASSES), size=_UNLABELLED_FIELDS)
    order = rng.permutation(_SITES_PER_SIDE**2)
    class_of_field = np.concatenate([labelled, unlabelled])[order]
    return field_map, class_of_field, order < len(labelled)


def _material_spectra() -> np.ndarray:
    """Reflectance of the eight materials, [8, bands]: smooth curves with their main features."""
    w = _WAVELENGTHS

    def peak(centre: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((w - centre) / width) ** 2)

    water_bands = 0.10 * peak(970, 40) + 0.15 * peak(1200, 50)
    water_bands += 0.65 * peak(1450, 80) + 0.75 * peak(1940, 100)

    def leaf(red_edge: float, green: float, moisture: float) -> np.ndarray:
        plateau = np.exp(-((w - 800) / 1500).clip(0)) / (1 + np.exp(-(w - red_edge) / 18))
        return (0.04 + green * peak(550, 35) + 0.46 * plateau) * (1 - moisture * water_bands)

    def residue(cellulose: float, lignin: float) -> np.ndarray:
        rise = 0.08 + 0.34 * (1 - np.exp(-(w - 400) / 450))
        return rise * (1 - cellulose * peak(2100, 70) - lignin * peak(2300, 50) - 0.3 * water_bands)

    soil = 0.06 + 0.40 * (1 - np.exp(-(w - 400) / 700))
    soil *= 1 - 0.15 * peak(2200, 40) - 0.2 * water_bands
    water = 0.06 * np.exp(-(w - 400) / 250) + 0.03 * peak(560, 60)
    built = 0.16 + 0.06 * (w - 400) / 2100 - 0.03 * peak(2310, 60)
    return np.stack(
        [
            leaf(red_edge=712, green=0.07, moisture=0.95),
            leaf(red_edge=720, green=0.05, moisture=1.05),
            residue(cellulose=0.24, lignin=0.10),
            residue(cellulose=0.14, lignin=0.20),
            soil,
            np.full_like(w, 0.02),
            water,
            built,
        ]
    )


def _brightness(rng: np.random.Generator) -> np.ndarray:
    """Factor on each pixel's spectrum, [rows, columns]: smooth illumination times speckle."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(rng.normal(size=(_SIDE, _SIDE)), _SIDE / 6, mode="wrap")
    speckle = rng.normal(0, _BRIGHTNESS_NOISE, (_SIDE, _SIDE))
    return np.exp(_ILLUMINATION_CHANGE * smooth / smooth.std() + speckle)
