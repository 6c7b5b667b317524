"""The tiles of a map, predicted by all processes that make it together."""

import time
from dataclasses import dataclass, field

import jax
import numpy as np
from tqdm import tqdm

from hsi_jax.evaluate.measures.conformal import class_sets
from hsi_jax.run.tile_claims import TileClaims
from hsi_jax.run.tile_store import TileStore
from hsi_jax.session.map_request import LEVELS, NO_LEVEL, Request
from hsi_jax.trained.scene_map import TileLogits, TilePredictor

LOOK_SECONDS = 1.0  # between looks at what others have made


def fill(request: Request, method: str, tile_side: int, store: TileStore) -> TileClaims:
    """Predicts tiles until all are there, together with others who fill the same store.

    Args:
        request: the map.
        method: "patches" or "one_pass".
        tile_side: pixels.
        store: of the map's tiles.

    Returns:
        The claims of this process.

    Raises:
        StorageError: if a tile cannot be written.
    """
    claims, progress = TileClaims(store), _Progress(store)
    if not claims.missing():
        return claims
    predictor = TilePredictor(
        request.model,
        request.source,
        name=request.scene,
        method=method,
        profile=request.profile,
        tile_side=tile_side,
    )
    predictor.warm_up()  # before any tile is claimed
    claims.sign(jax.default_backend())
    with progress.bar:
        try:
            while True:
                tiles = predictor.predict(claims.take(), progress.add, is_done=store.has)
                for part in tiles:
                    store.write(part.number, tile_arrays(request, part))
                    progress.count(part)
                if not claims.missing():
                    break
                claims.wait()
        finally:
            claims.release()
    progress.tell()
    return claims


@dataclass
class _Progress:
    """The bar of the whole map, and what this process has made of it."""

    store: TileStore
    tiles: int = 0
    pixels: int = 0
    began: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)

    def __post_init__(self):
        all_tiles = set(range(len(self.store.windows)))
        total, done = self.store.pixels(all_tiles), self.store.pixels(self.store.done())
        if done:
            print(f"Continuing after {done / total:.0%} of the map", flush=True)
        how = {"unit": "pixel", "unit_scale": True, "desc": "map", "disable": None}
        self.bar = tqdm(total=total, initial=done, **how)

    def add(self, pixels: int) -> None:
        """Shows what a call has predicted, and now and then what others have."""
        self.bar.update(pixels)
        if time.monotonic() - self.looked > LOOK_SECONDS and not self.store.is_gone():
            self.looked = time.monotonic()
            self.bar.n = max(self.bar.n, self.store.pixels(self.store.done()))
            self.bar.refresh()

    def count(self, part: TileLogits) -> None:
        """Counts a tile that this process has made."""
        self.tiles += 1
        self.pixels += part.nodata.size

    def tell(self) -> None:
        """Says what this process has made, where others have helped."""
        count = len(self.store.windows)
        if self.tiles < count:
            rate = self.pixels / (time.monotonic() - self.began)
            print(f"Predicted here: {self.tiles} of {count} tiles, {rate:,.0f} pixels/s")


def tile_arrays(request: Request, part: TileLogits) -> dict[str, np.ndarray]:
    """What is kept of a tile, by the names of the layouts."""
    logits, nodata = part.logits, part.nodata
    arrays = {"classes": np.where(nodata, 0, logits.argmax(-1) + 1)}
    if len(request.layouts) == 1:
        return arrays
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = exponents / exponents.sum(-1, keepdims=True)
    if request.confidence:
        measured = _MEASURES[request.confidence_kind](probabilities)
        arrays["confidence"] = np.where(nodata, np.nan, measured)
    if request.thresholds:
        sets = class_sets(probabilities, np.array(request.thresholds))
        counted = np.concatenate([sets.sum(-1, keepdims=True), sets], -1)
        arrays["sets"] = np.where(nodata[..., None], request.no_set, counted)
    if request.probabilities:
        missing = np.nan
        if request.probability_type == "uint8":
            probabilities, missing = np.rint(LEVELS * probabilities), NO_LEVEL
        arrays["probabilities"] = np.where(nodata[..., None], missing, probabilities)
    return arrays


def _margin(probabilities: np.ndarray) -> np.ndarray:
    highest = np.sort(probabilities, -1)[..., -2:]
    return highest[..., 1] - highest[..., 0]


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1))
    return -(probabilities * logarithms).sum(-1)


_MEASURES = {"margin": _margin, "entropy": _entropy}
