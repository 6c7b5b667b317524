"""What a trained model does from raw bands to probabilities, as one function, to be exported.

Two forms: a batch of patches, [n, bands, p, p], each with the class of its centre, and one tile,
[1, bands, side, side], with the class of every pixel. Bands come first, as files and GIS have them.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.nodata import bounds_of_value
from hsi_jax.errors import InputError
from hsi_jax.models import find_trait
from hsi_jax.models.tile_layers import TileLayers
from hsi_jax.trained.description import Description
from hsi_jax.trained.network import build_network


@dataclass(frozen=True, eq=False)
class Pipeline:
    """The stages from raw bands to probabilities.

    Attributes:
        description: of the model.
        preprocessing: of a scene's spectra, or None for a model of whole images.
        module: the network.
        variables: parameters and running statistics.
        tile: side of the tiles, pixels, or None for batches of patches or images.
    """

    description: Description
    preprocessing: Preprocessing | None
    module: nn.Module
    variables: Any
    tile: int | None = None

    @classmethod
    def of(
        cls,
        description: Description,
        preprocessing: Preprocessing | None,
        variables: Any,
        *,
        network: Any,
        tile: int | None = None,
    ) -> "Pipeline":
        """The pipeline of a model.

        Args:
            description: of the model.
            preprocessing: of the model, or None for a model of whole images.
            variables: parameters and running statistics.
            network: what makes the network.
            tile: side of the tiles, pixels, or None.

        Raises:
            InputError: if the network cannot run over a tile, or the tile is smaller than a patch.
        """
        if tile is not None:
            if not (description.kind == "patch" and find_trait(network, "one_pass")):
                raise InputError(
                    f"`tile`={tile}: {description.architecture} has no form for whole tiles; leave "
                    f"`tile` out, and give it a patch for each pixel"
                )
            if tile < description.input_shape[0]:
                raise InputError(
                    f"`tile`={tile}: give at least {description.input_shape[0]}, the patch size"
                )
        module = build_network(network, description)
        return cls(description, preprocessing, module, jax.tree.map(jnp.asarray, variables), tile)

    @property
    def input_shape(self) -> tuple[str | int, ...]:
        """Of the input: "n", or 1 for a tile, then bands, rows and columns."""
        rows, columns, _ = self.description.input_shape
        side = (self.tile, self.tile) if self.tile else (rows, columns)
        return (1 if self.tile else "n", self.description.num_bands, *side)

    @property
    def border(self) -> int:
        """Mirrored pixels on each side of a tile, so that every pixel has a patch."""
        return self.description.input_shape[0] // 2 if self.tile else 0

    @property
    def scaled_shape(self) -> tuple[str | int, ...]:
        """Of what the network is given."""
        first, _, rows, columns = self.input_shape
        assert isinstance(rows, int)
        assert isinstance(columns, int)
        border = 2 * self.border
        return first, rows + border, columns + border, self.description.input_shape[-1]

    def classify(self, scaled: jax.Array) -> jax.Array:
        """The probabilities of what is scaled, [n, C], or [1, C, side, side] of a tile."""
        if self.tile is None:
            return nn.softmax(self._logits(scaled))
        shape = scaled.shape[1], scaled.shape[2]
        layers = TileLayers(self.description.input_shape[0], shape, convolve=_convolve)
        probabilities = nn.softmax(self._logits(scaled, layers=layers))
        return probabilities.T.reshape(1, -1, self.tile, self.tile)

    def _logits(self, scaled: jax.Array, **given: Any) -> Any:
        return self.module.apply(self.variables, scaled, **given)

    @property
    def constants(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """What scaling needs, float64: mean [bands], scale [channels], components or None."""
        if self.preprocessing is None:
            mean, deviation = self.description.mean, self.description.deviation
            return np.array(mean, float), np.array(deviation, float), None
        found = self.preprocessing
        return found.mean, found.scale, found.components

    @property
    def nodata_bounds(self) -> tuple[tuple[float, float, bool], ...]:
        """Least and greatest number that is no data, and whether it must fill all bands.

        What is not finite has none either, and is not listed.
        """
        values = (v for v in self.description.nodata_values if v is not None)
        return tuple((*bounds_of_value(value), value == 0) for value in values)

    def prepare(self, bands: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scales raw bands, float32 of `input_shape`, in float64.

        Returns:
            What the network is given, float32, and which pixels have no data, bool [n, rows,
            columns].
        """
        absent = self._absent(bands)
        mean, scale, components = self.constants
        with jax.enable_x64(True):
            spectra = jnp.moveaxis(bands, 1, -1).astype(jnp.float64) - mean
            if components is not None:
                spectra = spectra @ components.T
            scaled = (spectra / scale).astype(jnp.float32)
        scaled = jnp.where(absent[..., None], 0, scaled)
        around = (self.border, self.border)
        return jnp.pad(scaled, ((0, 0), around, around, (0, 0)), mode="reflect"), absent

    def _absent(self, bands: jax.Array) -> jax.Array:
        if self.preprocessing is None:  # images have all their pixels
            return jnp.zeros((bands.shape[0], *bands.shape[2:]), bool)
        absent = ~jnp.isfinite(bands).all(axis=1)
        for low, high, everywhere in self.nodata_bounds:
            held = (bands >= jnp.float32(low)) & (bands <= jnp.float32(high))
            absent |= held.all(axis=1) if everywhere else held.any(axis=1)
        return absent

    @property
    def centre(self) -> tuple[int, int] | None:
        """The pixel of a patch whose class is wanted; None for a tile and for images."""
        if self.tile or self.preprocessing is None:
            return None
        rows, columns, _ = self.description.input_shape
        return rows // 2, columns // 2

    def probabilities(self, bands: jax.Array) -> jax.Array:
        """All stages; NaN for a pixel without data."""
        scaled, absent = self.prepare(bands)
        if centre := self.centre:
            absent = absent[:, centre[0], centre[1]]
        elif self.tile is None:
            return self.classify(scaled)
        return jnp.where(absent[:, None], jnp.nan, self.classify(scaled))


def _convolve(lhs: jax.Array, rhs: jax.Array, *how, **more) -> jax.Array:
    """A convolution in 2-D alone, because jax2onnx converts no other; arguments as of lax's."""
    if lhs.ndim == 4:
        return jax.lax.conv_general_dilated(lhs, rhs, *how, **more)
    strides, padding, _, dilation, *_ = how
    depths = (padding[0], *[(0, 0)] * 3)
    padded = jnp.pad(lhs, [(0, 0), *depths])
    last = padded.shape[1] - dilation[0] * (rhs.shape[0] - 1)
    total = None
    for tap in range(rhs.shape[0]):
        first = tap * dilation[0]
        part = padded[:, first : first + last : strides[0]]
        flat = part.reshape(-1, *part.shape[2:])
        out = jax.lax.conv_general_dilated(
            flat,
            rhs[tap],
            strides[1:],
            padding[1:],
            rhs_dilation=dilation[1:],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=more["precision"],
        )
        total = out if total is None else total + out
    assert total is not None
    return total.reshape(lhs.shape[0], -1, *total.shape[1:])
