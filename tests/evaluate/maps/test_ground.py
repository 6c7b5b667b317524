"""Independent references: the units' own definitions, and rasterio's affine where a pixel goes."""

import math
import sys

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, Rectangle

from hsi_jax.errors import InputError
from hsi_jax.evaluate.maps.ground import Ground, nice_length
from hsi_jax.evaluate.maps.map import draw_map

# As GDAL writes them, without authorities.
UTM = (
    'PROJCS["WGS 84 / UTM zone 16N",GEOGCS["WGS 84",DATUM["WGS_1984",'
    'SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",-87],'
    'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],'
    'PARAMETER["false_northing",0],UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
)
FOOT = '["US survey foot",0.304800609601219]'
FEET = UTM.replace('["metre",1]', FOOT)
# In WKT 2 the ellipsoid is in metres even where the map is in feet.
FEET_2 = (
    'PROJCRS["feet",BASEGEOGCRS["NAD83",DATUM["North American Datum 1983",'
    'ELLIPSOID["GRS 1980",6378137,298.257222101,LENGTHUNIT["metre",1]]],'
    'PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],'
    'CONVERSION["unnamed",METHOD["Transverse Mercator"],'
    'PARAMETER["Latitude of natural origin",0,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["Longitude of natural origin",-87,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["Scale factor at natural origin",1,SCALEUNIT["unity",1]],'
    f'PARAMETER["False easting",0,LENGTHUNIT{FOOT}],'
    f'PARAMETER["False northing",0,LENGTHUNIT{FOOT}]],CS[Cartesian,2],'
    f'AXIS["easting",east,ORDER[1],LENGTHUNIT{FOOT}],'
    f'AXIS["northing",north,ORDER[2],LENGTHUNIT{FOOT}]]'
)
DEGREES = UTM[UTM.index("GEOGCS") : UTM.index(",PROJECTION")]
WEB = UTM.replace("Transverse_Mercator", "Mercator_1SP")
NORTH_UP = (30.0, 0.0, 500_000.0, 0.0, -20.0, 4_000_000.0)


def test_a_metric_system_gives_the_size_of_a_pixel():
    ground = Ground.of(NORTH_UP, UTM)
    assert ground is not None
    assert (ground.column_m, ground.row_m) == (30, 20)
    assert ground.north == pytest.approx((0, -1))  # up


def test_feet_are_metres_by_their_factor():
    for wkt in (FEET, FEET_2):
        ground = Ground.of(NORTH_UP, wkt)
        assert ground is not None
        assert ground.column_m == pytest.approx(30 * 1200 / 3937)


def test_no_metres_are_made_up():
    assert Ground.of(NORTH_UP, DEGREES) is None
    assert Ground.of(NORTH_UP, WEB) is None
    assert Ground.of(NORTH_UP, "nonsense") is None
    assert Ground.of(NORTH_UP, None) is None
    assert Ground.of(None, UTM) is None


def test_codes_are_read():
    assert Ground.of(NORTH_UP, "EPSG:32616") == Ground.of(NORTH_UP, UTM)
    assert Ground.of(NORTH_UP, "EPSG:3857") is None
    assert Ground.of(NORTH_UP, "EPSG:4326") is None


def test_without_rasterio_nothing_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio.crs", None)
    assert Ground.of(NORTH_UP, UTM) is None


def test_a_transform_without_area_is_refused():
    with pytest.raises(InputError, match="transform"):
        Ground.of((1, 1, 0, 1, 1, 0), UTM)


@pytest.mark.parametrize("degrees", [0, 30, 90, 200])
def test_north_follows_the_rotation(degrees):
    angle = math.radians(degrees)
    cos, sin = 30 * math.cos(angle), 30 * math.sin(angle)
    ground = Ground.of((cos, sin, 0, sin, -cos, 0), UTM)
    assert ground is not None
    assert ground.column_m == pytest.approx(30)
    # From one pixel a step to the north changes y alone.
    column, row = np.array(ground.north) / 30
    assert (cos * column + sin * row, sin * column - cos * row) == pytest.approx((0, 1))


@pytest.mark.parametrize(
    ("longest", "expected"), [(1, 1), (9.99, 5), (10, 10), (4321, 2000), (0.07, 0.05)]
)
def test_bars_have_round_lengths(longest, expected):
    assert nice_length(longest) == pytest.approx(expected)


def test_a_map_has_a_bar_of_its_length_and_an_arrow(render):
    truth = np.zeros((50, 60), int)
    figure = draw_map(truth, truth, ["a"], transform=NORTH_UP, crs=UTM, title="Placed")
    render(figure)
    first = figure.axes[0]
    texts = {text.get_text(): text for text in first.findobj(lambda a: hasattr(a, "get_text"))}
    assert {"500 m", "N"} <= texts.keys()
    (arrow,) = (patch for patch in first.patches if isinstance(patch, FancyArrowPatch))
    box = arrow.get_window_extent()
    assert box.height > 4 * box.width  # upright
    frame = first.get_window_extent()
    bars = [bar for bar in first.findobj(Rectangle) if bar.get_window_extent().height < 2]
    widths = [bar.get_window_extent().width for bar in bars]
    assert pytest.approx(frame.width * 500 / (60 * 30), rel=0.01) in widths
    assert frame.width / frame.height == pytest.approx(60 * 30 / (50 * 20), rel=0.01)
    assert box.y1 < frame.y0
    assert not [patch for patch in figure.axes[1].patches if isinstance(patch, FancyArrowPatch)]
