"""Values of images that look like "no data": images have no way to declare them."""

import numpy as np

from hsi_jax.data.image_set import Images
from hsi_jax.data.nodata import find_fill_values, format_value

_LOOKED_AT = 64  # images


def name_fill_values(images: Images, ids: np.ndarray) -> str:
    """A sentence on values that would spoil the normalisation, or "".

    Images of 8 bits, which have no room for such values, and of one band are not looked at.

    Args:
        images: an image set, or a DecodedCache of one.
        ids: of the images that train, int [k], of which some are read.
    """
    if images.dtype == np.uint8 or images.shape[-1] == 1 or not len(ids):
        return ""
    some = ids[np.linspace(0, len(ids) - 1, min(_LOOKED_AT, len(ids))).astype(int)]
    pixels = images.read(some)
    cube = pixels.reshape(-1, *pixels.shape[2:])  # one image below the other
    found = find_fill_values(cube, np.asarray(np.isfinite(cube).all(-1)), None)
    values = [format_value(fill.value) for fill in found if fill.spoils]
    if not values:
        return ""
    return (
        f"Of {len(some)} training images that were looked at, some hold {', '.join(values)}, far "
        f"outside the other values: this looks like 'no data', but is taken as data, and spoils "
        f"the normalisation; replace it, for example by the mean of its band."
    )
