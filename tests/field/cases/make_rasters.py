"""GeoTIFF, ENVI and vector files as people have them: how they are made."""

import json
import warnings
from pathlib import Path

import numpy as np

from tests.field.cases.scenes import scene_case, small_scene

CUBE, LABELS = small_scene()
LINE = np.zeros(LABELS.shape, bool)
LINE[:, :8] = True
UTM = (10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0)


def geotiff(path: Path, array: np.ndarray, **keywords) -> None:
    """Writes [rows, columns, bands] or [rows, columns]; what is not of rasterio sets attributes."""
    import rasterio
    from affine import Affine

    layers = np.moveaxis(array, 2, 0) if array.ndim == 3 else array[None]
    after = {
        k: keywords.pop(k)
        for k in (
            "scales",
            "offsets",
            "descriptions",
            "mask",
            "colormap",
            "colorinterp",
            "subdataset",
        )
        if k in keywords
    }
    transform = keywords.pop("transform", None)
    if transform:
        keywords["transform"] = Affine(*transform)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=layers.shape[1],
            width=layers.shape[2],
            count=len(layers),
            dtype=layers.dtype.name,
            **keywords,
        ) as file:
            file.write(layers)
            for name, value in after.items():
                if name == "mask":
                    file.write_mask(value)
                elif name == "colormap":
                    file.write_colormap(1, value)
                else:
                    setattr(file, name, value)


def tif(cube=None, labels=None, *, both=True, lab=None, **keywords):
    """cube.tif, and labels.tif or labels.npy."""

    def make(folder: Path, own_cube: np.ndarray, own_labels: np.ndarray):
        geotiff(folder / "cube.tif", own_cube if cube is None else cube, **dict(keywords))
        if lab is None:
            np.save(folder / "labels.npy", own_labels if labels is None else labels)
            return {"cube": "cube.tif"}
        geotiff(folder / "labels.tif", own_labels if labels is None else labels, **dict(lab))
        return {"cube": "cube.tif", "labels": "labels.tif"}

    return make


def several(order=range(20), joined=None, change=None):
    """Several."""

    def make(folder, cube, labels):
        for b in order:
            geotiff(folder / f"B{b + 1}.tif", cube[..., b], transform=UTM, crs="EPSG:32633")
        if change:
            change(folder)
        np.save(folder / "labels.npy", labels)
        return {"cube": joined or "B*.tif"}

    return make


def smaller(folder):
    """Smaller."""

    geotiff(folder / "B7.tif", CUBE[:-1, ..., 6], transform=UTM, crs="EPSG:32633")


def shifted(folder):
    """Shifted."""

    geotiff(
        folder / "B7.tif",
        CUBE[..., 6],
        transform=(*UTM[:2], UTM[2] + 30, *UTM[3:]),
        crs="EPSG:32633",
    )


def stack(folder, cube, labels):
    """Pages of a TIFF, one a band."""
    import tifffile

    tifffile.imwrite(folder / "cube.tif", np.moveaxis(cube, 2, 0), photometric="minisblack")
    np.save(folder / "labels.npy", labels)
    return {"cube": "cube.tif"}


def stack_labels(folder, cube, labels):
    """Stack labels."""

    import tifffile

    np.save(folder / "cube.npy", cube)
    tifffile.imwrite(folder / "labels.tif", np.stack([labels, labels]), photometric="minisblack")
    return {"labels": "labels.tif"}


def by_tifffile(folder, cube, labels):
    """By tifffile."""

    import tifffile

    tifffile.imwrite(folder / "cube.tif", cube, photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(folder / "labels.tif", labels)
    return {"cube": "cube.tif", "labels": "labels.tif"}


def envi(
    interleave="bsq",
    order=0,
    name="cube",
    suffix=".img",
    header=".hdr",
    give=".hdr",
    dtype=None,
    code=2,
    change=lambda h: h,
    cut=0,
    data=None,
    raw_suffix=None,
):
    """An ENVI cube whose header a function changes."""

    def make(folder: Path, cube, labels):
        numbers = cube if data is None else data
        axes = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}[interleave]
        numbers = numbers.astype(numbers.dtype.newbyteorder(">" if order else "<"))
        content = np.ascontiguousarray(numbers.transpose(axes)).tobytes()
        (folder / f"{name}{suffix}").write_bytes(content[: len(content) - cut])
        fields = {
            "samples": 50,
            "lines": 40,
            "bands": numbers.shape[2],
            "header offset": 0,
            "file type": "ENVI Standard",
            "data type": code,
            "interleave": interleave,
            "byte order": order,
        }
        fields = change(fields)
        text = "ENVI\n" + "".join(f"{k} = {v}\n" for k, v in fields.items())
        (folder / f"{name}{header}").write_text(text)
        np.save(folder / "labels.npy", labels)
        return {"cube": f"{name}{give}"}

    return make


def has(**fields):
    """Has."""

    return lambda header: header | {k.replace("_", " "): v for k, v in fields.items()}


def lacks(*names):
    """Lacks."""

    return lambda header: {k: v for k, v in header.items() if k not in names}


def envi_labels(names):
    """Envi labels."""

    def make(folder, cube, labels):
        np.save(folder / "cube.npy", cube)
        (folder / "gt.img").write_bytes(labels.tobytes())
        (folder / "gt.hdr").write_text(
            "ENVI\nsamples = 50\nlines = 40\nbands = 1\nheader offset = 0\ndata type = 1\n"
            "file type = ENVI Classification\ninterleave = bsq\nbyte order = 0\n"
            f"classes = 5\nclass names = {{{names}}}\n"
        )
        return {"labels": "gt.hdr"}

    return make


def squares(attribute="class", value=lambda k: f"class {k}", crs=True, shift=0.0):
    """A polygon for each block of a class, as GeoJSON in UTM."""
    features = []
    for row in range(3, 37):
        start = 3
        for column in range(3, 48):
            if column == 47 or LABELS[row, column] != LABELS[row, start]:
                k = int(LABELS[row, start])
                x0, x1 = (500000 + 10 * c + shift for c in (start, column))
                y0, y1 = (4000000 - 10 * r for r in (row, row + 1))
                ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
                features.append(
                    {
                        "type": "Feature",
                        "properties": {attribute: value(k)},
                        "geometry": {"type": "Polygon", "coordinates": [ring]},
                    }
                )
                start = column
    content = {"type": "FeatureCollection", "features": features}
    if crs:
        content["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    return content


def geojson(
    content=None, change=lambda c: c, name="gt.geojson", text=None, placed=True, crs="EPSG:32633"
):
    """Geojson."""

    def make(folder, cube, labels):
        place = {"transform": UTM, "crs": crs} if placed else {}
        geotiff(folder / "cube.tif", cube, **place)
        given = change(squares() if content is None else content)
        (folder / name).write_text(json.dumps(given) if text is None else text)
        return {"cube": "cube.tif", "labels": name}

    return make


def geometry(kind, coordinates):
    """Geometry."""

    def change(content):
        for f in content["features"]:
            f["geometry"] = {"type": kind, "coordinates": coordinates}
        return content

    return change


def each(change):
    """Each."""

    def all_of(content):
        for n, f in enumerate(content["features"]):
            change(n, f)
        return content

    return all_of


def shapefile(*without: str):
    """Polygons as a shapefile, without some of its files."""

    def make(folder: Path, cube: np.ndarray, labels: np.ndarray) -> dict[str, str]:
        import pyogrio
        import shapely

        geotiff(folder / "cube.tif", cube, transform=UTM, crs="EPSG:32633")
        features = squares()["features"]
        shapes = [shapely.geometry.shape(each["geometry"]) for each in features]
        names = np.array([each["properties"]["class"] for each in features])
        pyogrio.raw.write(
            folder / "gt.shp",
            shapely.to_wkb(np.array(shapes)),
            [names],
            ["class"],
            geometry_type="Polygon",
            crs="EPSG:32633",
        )
        for suffix in without:
            (folder / f"gt{suffix}").unlink()
        return {"cube": "cube.tif", "labels": "gt.shp"}

    return make


def case(name, make, **more):
    """Case."""

    return scene_case(f"rasters: {name}", make, **more)


FIRST_GONE = LABELS.copy()
FIRST_GONE[3, 3:11] = 0
filled = np.where(LINE[..., None], -9999, CUBE).astype("i2")
nan = np.where(LINE[..., None], np.nan, CUBE).astype("f4")
