"""Georeferences that are not transforms, and those of another installation of PROJ."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from rasterio.control import GroundControlPoint

from hsi_jax.data import read_raster
from hsi_jax.errors import InputWarning
from tests.field import fuzz_samples


def test_ground_control_points_are_kept_where_they_make_a_grid(tmp_path):
    rows, columns = 7, 6
    places = [(0, 0), (0, columns), (rows, 0), (rows, columns)]
    for bent in (0, 3):
        points = [
            GroundControlPoint(row, column, 5e5 + 10 * column, 4e6 - 10 * row + bent * row * column)
            for row, column in places
        ]
        path = tmp_path / f"bent{bent}.tif"
        with warnings.catch_warnings(action="ignore"):
            fuzz_samples._write_geotiff(path, np.zeros((7, 6, 1)), transform=None, gcps=points)
        if bent:
            with pytest.warns(InputWarning, match="ground control points"):
                assert read_raster(path).transform is None
        else:
            raster = read_raster(path)
            np.testing.assert_allclose(raster.transform, (10, 0, 5e5, 0, -10, 4e6), atol=1e-6)
            assert "UTM zone 33N" in str(raster.crs)


PROGRAM = """
import sys
from pathlib import Path
from hsi_jax.data import read_raster
from hsi_jax.errors import InputError
try:
    read_raster(sys.argv[1])
except InputError as error:
    print(error)
"""


def test_projections_of_another_installation_are_named(tmp_path):
    (tmp_path / "proj").mkdir()
    fuzz_samples._write_geotiff(tmp_path / "scene.tiff", np.zeros((7, 6, 1)))
    command = (sys.executable, "-c", PROGRAM, tmp_path / "scene.tiff")
    environment = {**os.environ, "PROJ_LIB": str(tmp_path / "proj")}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"PROJ_LIB={tmp_path / 'proj'}" in found.stdout
    assert len(found.stdout.splitlines()) == 1
