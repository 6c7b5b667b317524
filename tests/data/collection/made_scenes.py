"""Small collections of scenes on disk, whose values tell where they come from."""

import csv
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

CRS = "EPSG:32617"
WAVELENGTHS = (450.0, 550.0, 650.0, 850.0, 1600.0, 2200.0)
NAMES = {1: "water", 2: "forest", 3: "field"}
NORTH_UP, SOUTH_UP, ROTATED = (10, 0, 0, -10), (10, 0, 0, 10), (6, 8, 8, -6)


def write_scene(path, cube, *, place=(500_000, 4_000_000), grid=NORTH_UP, order=None, **profile):
    """Writes a GeoTIFF with wavelengths, [rows, columns, bands], with its bands in an order."""
    a, b, d, e = grid
    order = np.arange(cube.shape[2]) if order is None else np.asarray(order)
    facts = {
        **{"driver": "GTiff", "height": cube.shape[0], "width": cube.shape[1], "crs": CRS},
        **{
            "count": len(order),
            "dtype": cube.dtype,
            "transform": Affine(a, b, place[0], d, e, place[1]),
        },
    }
    with rasterio.open(path, "w", **(facts | profile)) as file:
        for number, band in enumerate(order, 1):
            file.write(cube[:, :, band], number)
            file.update_tags(number, wavelength=WAVELENGTHS[band], wavelength_units="Nanometers")


def write_labels(path, labels, names=None):
    """Writes a label map, with names of its ids beside it as GDAL keeps them."""
    rows, columns = labels.shape
    facts = {"driver": "GTiff", "height": rows, "width": columns, "count": 1, "dtype": "uint8"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **facts) as file:
            file.write(labels.astype(np.uint8), 1)
    if names:
        rows = "".join(
            f"<Category>{names.get(number, '')}</Category>" for number in range(max(names) + 1)
        )
        Path(f"{path}.aux.xml").write_text(
            f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{rows}</CategoryNames>'
            f"</PAMRasterBand></PAMDataset>"
        )


def write_table(path, rows):
    """Writes a table of scenes, a dictionary a row."""
    names = dict.fromkeys(name for row in rows for name in row)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*names])
        writer.writeheader()
        writer.writerows([{name: row.get(name, "") for name in names} for row in rows])
    return path


def coded_cube(number, rows, columns, bands=6):
    """Each value is scene, row, column and band in digits: s rr cc b, exact in float32."""
    scene, row, column, band = np.ix_([number], range(rows), range(columns), range(bands))
    return (scene * 100_000 + row * 1000 + column * 10 + band)[0].astype(np.float32)


def learnable(number, rows, columns, seed=0):
    """A cube and labels 1 to 3 in blocks, each class with a spectrum of its own, and noise."""
    rng = np.random.default_rng([seed, number])
    blocks = rng.integers(1, 4, (-(-rows // 5), -(-columns // 5)))
    labels = np.kron(blocks, np.ones((5, 5), int))[:rows, :columns]
    spectra = np.array([[0.1] * 6, [0.1, 0.2, 0.1, 0.6, 0.4, 0.2], [0.3, 0.3, 0.4, 0.4, 0.6, 0.5]])
    cube = spectra[labels - 1] + rng.normal(0, 0.05, (rows, columns, 6))
    labels[rng.random((rows, columns)) < 0.3] = 0
    return cube.astype(np.float32), labels


def write_collection(folder, scenes=6, rows=40, columns=36, **profile):
    """Scenes that can be learnt, beside each other: their table."""
    roles = ["train"] * (scenes - 3) + ["validation", "test", "test"]
    table = []
    for number in range(scenes):
        cube, labels = learnable(number, rows, columns)
        write_scene(
            folder / f"s{number}.tif", cube, place=(500_000 + 1000 * number, 4_000_000), **profile
        )
        write_labels(folder / f"s{number}_labels.tif", labels, NAMES)
        table.append(
            {
                **{"image": f"s{number}.tif", "labels": f"s{number}_labels.tif"},
                **{
                    "role": roles[number],
                    "site": f"site{number // 2}",
                    "date": f"2024-0{number % 2 + 1}",
                },
            }
        )
    return write_table(folder / "scenes.csv", table)
