"""The scaling of a collection, fitted in one pass over its training pixels."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from hsi_jax.data.collection.exact_moments import ExactMoments
from hsi_jax.data.collection.kept_arrays import KeptArrays, digest_of, key_of
from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.collection.team import Team, own_cores
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.errors import InputError


def fit_scaling(
    pixels: LabelledPixels,
    train_ids: np.ndarray,
    components: int,
    *,
    origin: np.ndarray,
    team: Team,
    kept: KeptArrays,
) -> Preprocessing:
    """Fits the transform on the spectra of the training pixels, with the same bits in any order.

    Args:
        pixels: of the collection.
        train_ids: sample ids of the training pixels, increasing.
        components: as of `Preprocessing.fit`.
        origin: near the mean spectrum, float64 [bands], the same in all processes.
        team: of processes, of which each reads other tiles.
        kept: where the sums of unchanged files are.

    Raises:
        InputError: that names the row of a scene, if a tile cannot be read; or as
            `Preprocessing.fit`.
    """
    files = [file for scene in pixels.collection for file in scene.files]
    used = digest_of(train_ids, pixels.pixels, origin)
    bands = [None if s.bands is None else s.bands.tolist() for s in pixels.collection]
    key = key_of("sums", files, used, bands)
    found = kept.load(key, ("limbs",))
    # All or none: the processes may have folders of their own.
    known = int(team.add(np.array([found is not None], np.int32))[0]) == team.count
    # A product of matrices rounds as the number of its threads has it.
    with threadpool_limits(1):
        if known and found:
            moments = ExactMoments(len(train_ids), found["limbs"], origin)
        else:
            moments = _sum_up(pixels, train_ids, origin, team)
            kept.save(key, {"limbs": moments.limbs})
        mean, covariance = moments.mean_and_covariance()
        return Preprocessing.of_moments(mean, covariance, moments.count, components)


def _sum_up(
    pixels: LabelledPixels, train_ids: np.ndarray, origin: np.ndarray, team: Team
) -> ExactMoments:
    bounds = np.searchsorted(train_ids, pixels.tile_starts)
    own = team.own(np.flatnonzero(np.diff(bounds)).tolist())

    def sums(number: int) -> ExactMoments:
        scene_number, tile = pixels.tiles[number]
        scene = pixels.collection[scene_number]
        ids = train_ids[bounds[number] : bounds[number + 1]]
        rows, columns = np.divmod(pixels.pixels[ids], scene.size[1])
        cube, _ = scene.read(tile.rows, tile.columns)
        spectra = cube[rows - tile.rows.start, columns - tile.columns.start]
        with scene.row.named():
            return ExactMoments.none(origin).add(spectra)

    total, error = ExactMoments.none(origin), None
    try:
        with ThreadPoolExecutor(own_cores()) as pool:
            for part in pool.map(sums, own):
                total = total.join(part)
    except InputError as problem:
        error = problem
    team.check(error)
    return ExactMoments(len(train_ids), team.add(total.limbs), origin)
