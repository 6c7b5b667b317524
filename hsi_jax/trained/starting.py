"""A trained or pretrained model as the start of another training: other classes, other bands."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.band_match import TOLERANCE
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.split import digest_of_samples
from hsi_jax.errors import InputError
from hsi_jax.models import Model, parse_options
from hsi_jax.models.encoder import ENCODER, find_head
from hsi_jax.train.dataset import Dataset
from hsi_jax.train.state import TrainState
from hsi_jax.trained.description import PRETRAINED
from hsi_jax.trained.model_folder import DESCRIPTION
from hsi_jax.trained.network import flatten, unflatten
from hsi_jax.trained.trained_model import TrainedModel

NO_BAND = -1


@dataclass(frozen=True, eq=False)
class Start:
    """A model whose network, without its head, is where a training starts.

    Attributes:
        model: pretrained, or trained on any classes.
        source: what messages call it, such as its folder.
    """

    model: TrainedModel
    source: str

    @classmethod
    def of(cls, init: "str | Path | TrainedModel", factory: Model | None = None) -> "Start":
        """From a folder of a run or of a saved model, or from a model itself.

        Args:
            init: the folder, or the model.
            factory: as of `TrainedModel.load`.

        Raises:
            InputError: as `TrainedModel.load`.
        """
        if isinstance(init, TrainedModel):
            return cls(init, "the model given")
        folder = Path(init)
        if not folder.is_dir():
            raise InputError(f"`init`={init}: there is no such folder")
        load = TrainedModel.load if (folder / DESCRIPTION).exists() else TrainedModel.of_run
        return cls(load(folder, factory=factory), str(init))

    @property
    def is_pretrained(self) -> bool:
        """Whether it was trained without labels."""
        return self.model.description.task == PRETRAINED

    @cached_property
    def _arrays(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters and running statistics of the network, by name."""
        trees = self.model.params, self.model.batch_stats
        if self.is_pretrained:
            trees = trees[0][ENCODER], trees[1].get(ENCODER, {})
        parameters, statistics = map(flatten, trees)
        return parameters, statistics

    def match(self, scene: Scene | SceneCollection) -> np.ndarray:
        """The band of a scene for each band of the model, int [bands of the model], or `NO_BAND`.

        By wavelength, where both are known: the nearest within `TOLERANCE`. A band of the scene may
        stand for several. Otherwise in the order of the file, if there are as many.

        Raises:
            InputError: if no band fits, or the numbers differ.
        """
        known, bands = self.model.description, scene.num_bands
        if known.wavelengths is None or scene.wavelengths is None:
            if bands != known.num_bands:
                raise InputError(
                    f"`init`: scene {scene.name} has {bands} bands, the model of {self.source} "
                    f"{known.num_bands}, and without wavelengths of both they cannot be matched"
                )
            return np.arange(bands)
        distances = np.abs(np.subtract.outer(np.array(known.wavelengths), scene.wavelengths))
        if len(distances) == bands and np.diagonal(distances).max() <= TOLERANCE:
            return np.arange(bands)  # two gratings may have wavelengths twice
        nearest = distances.argmin(axis=1)
        matched = np.where(distances.min(axis=1) <= TOLERANCE, nearest, NO_BAND)
        if (matched == NO_BAND).all():
            raise InputError(
                f"`init`: no band of scene {scene.name} lies within {TOLERANCE:g} nm of one of the "
                f"model of {self.source}; start from a model of a like sensor"
            )
        return matched

    def adapt(self, scene: Scene | SceneCollection, fitted: Preprocessing) -> Preprocessing:
        """The preprocessing by which a scene's spectra become channels of the model.

        Bands that the scene lacks are 0, the mean, as hidden ones were in pretraining. Principal
        components, and their scale, are those of the model; all else is of the scene, so its values
        may have another unit.

        Args:
            scene: that is learnt from.
            fitted: on its training pixels, for all of its bands.

        Raises:
            InputError: as `match`.
        """
        bands, own = self.match(scene), self.model.preprocessing
        assert own is not None  # the model takes the pixels of scenes; see `begin`
        if own.components is None and np.array_equal(bands, np.arange(scene.num_bands)):
            return fitted
        taken = (bands[:, np.newaxis] == np.arange(scene.num_bands)).astype(np.float64)
        if own.components is None:
            scale = np.where(bands == NO_BAND, 1.0, fitted.scale[bands])
            return Preprocessing(fitted.mean, scale, taken)
        return Preprocessing(fitted.mean, own.scale, own.components @ taken)

    def begin(self, state: TrainState, dataset: Dataset, *, freeze: bool) -> TrainState:
        """The first state of a classifier, with the network of the model in place of its own.

        Args:
            state: drawn at random; its head stays, unless the model has the same classes.
            dataset: that will be learnt from.
            freeze: whether the head alone is to be trained.

        Raises:
            InputError: naming an array that does not fit.
        """
        found, statistics = self._arrays
        head = self._head(dataset)
        own, own_statistics = flatten(state.params), flatten(state.batch_stats)
        kept = {} if self.keeps_head(dataset) else {name: own[name] for name in head}
        self._check(own, found, head if kept else frozenset())
        self._check(own_statistics, statistics, frozenset())
        params = unflatten({name: kept.get(name, jnp.asarray(found[name])) for name in own})
        begun = state.replace(
            params=params,
            batch_stats=unflatten({name: jnp.asarray(statistics[name]) for name in own_statistics}),
            opt_state=state.optimizer.init(params),
        )
        return begun.freeze(frozenset(own) - head) if freeze else begun

    def _head(self, dataset: Dataset) -> frozenset[str]:
        network, known = self.model.network, self.model.description
        options = parse_options(network, known.options)
        return find_head(network, dataset.num_classes, options, dataset.input_shape)

    def keeps_head(self, dataset: Dataset) -> bool:
        """Whether the model has the classes of a dataset, so that its head stays too."""
        return self.model.description.class_names == tuple(dataset.class_names)

    def _check(self, own: Mapping[str, Any], found: Mapping[str, Any], but: frozenset[str]) -> None:
        for name in sorted(own.keys() - but):
            wanted = list(np.shape(own[name]))
            given = list(np.shape(found[name])) if name in found else None
            if wanted != given:
                raise InputError(
                    f"`init`: the network of {self.source} does not fit: its {name} is "
                    f"{given or 'missing'}, but {wanted} is needed; give the model, options and "
                    f"patch size that it was trained with, or leave them out"
                )

    def describe(self, dataset: Dataset, *, freeze: bool) -> str:
        """What the training starts from, and what was matched."""
        known = self.model.description
        kind = "pretrained" if self.is_pretrained else "trained"
        head = "its head too" if self.keeps_head(dataset) else "a new head"
        words = [f"{known.architecture} {kind} on {known.provenance.dataset or 'unknown data'}"]
        words.append(head + (", which alone is trained" if freeze else ""))
        if dataset.source is not None:
            words.append(self._describe_bands(dataset.source))
        return "; ".join(words)

    def _describe_bands(self, scene: Scene | SceneCollection) -> str:
        bands, count = self.match(scene), scene.num_bands
        known = self.model.description.wavelengths
        unknown = known is None or scene.wavelengths is None
        how = "in the order of the file" if unknown else "by wavelength"
        used = np.unique(bands[bands != NO_BAND])
        text = f"{np.count_nonzero(bands != NO_BAND)} of its {len(bands)} bands matched {how}"
        if (bands == NO_BAND).any():
            text += ", the others hidden (0)"
        if len(used) < count:
            text += f"; {count - len(used)} of the {count} bands of the scene are not used"
        return text

    def has_not_seen(self, dataset: Dataset) -> bool:
        """Whether it is known that the model has not seen the test samples of a dataset."""
        made = self.model.description.provenance
        same = made.test_digest == digest_of_samples(dataset.split.test)
        return made.dataset != dataset.name or same or self._tests_on_unseen_scenes(dataset)

    def _tests_on_unseen_scenes(self, dataset: Dataset) -> bool:
        if dataset.pixels is None:
            return False
        collection = dataset.pixels.collection
        tested = np.unique(dataset.pixels.scene_of(dataset.split.test)).tolist()
        known = self.model.description.provenance.unseen_scenes
        return all(collection[number].name in known for number in tested)

    def describe_leakage(self, dataset: Dataset) -> str:
        """What the model may have seen of the test samples of a dataset, a sentence."""
        made = self.model.description.provenance
        how = "without labels" if self.is_pretrained else "with labels"
        began = f"Training started from a network that was trained {how} on"
        if made.dataset != dataset.name:
            return f"{began} {made.dataset or 'unknown data'}."
        if self.has_not_seen(dataset):
            return f"{began} these data, without these test samples."
        if self.is_pretrained and not made.counts.get("test"):
            return f"{began} all pixels of this scene: it has seen the test pixels."
        return f"{began} these data; test samples may have been among what it has seen."
