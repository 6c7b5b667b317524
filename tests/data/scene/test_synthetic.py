import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from sklearn.linear_model import LogisticRegression

from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.synthetic import synthetic_scene
from hsi_jax.data.splits.disjoint import disjoint_split
from hsi_jax.data.splits.split import class_counts, random_split


@pytest.fixture(scope="module")
def scene():
    return synthetic_scene()


def accuracy(cube, scene, split):
    """OA of logistic regression on standardised spectra."""
    spectra = Preprocessing.fit(cube, split.train).transform(cube).reshape(-1, cube.shape[-1])
    labels = scene.labels.ravel()
    classifier = LogisticRegression(max_iter=300).fit(spectra[split.train], labels[split.train])
    return classifier.score(spectra[split.test], labels[split.test])


def test_same_seed_same_scene_other_seed_other_scene(scene):
    again, other = synthetic_scene(0), synthetic_scene(1)
    np.testing.assert_array_equal(scene.cube, again.cube)
    np.testing.assert_array_equal(scene.labels, again.labels)
    assert np.any(scene.labels != other.labels)


@pytest.mark.parametrize("seed", range(5))
def test_has_the_make_up_of_a_real_scene(seed):
    scene = synthetic_scene(seed)
    counts = class_counts(scene.labelled, scene.require_labels(), scene.num_classes)
    assert scene.shape == (96, 96, 64)
    assert len(counts) == scene.num_classes == 9
    assert counts.min() > 50
    assert counts.max() > 6 * counts.min()
    assert 0.6 < len(scene.labelled) / (96 * 96) < 0.9
    assert "Synthetic" in scene.note


def test_vegetation_has_a_red_edge_and_water_does_not(scene):
    wavelengths = np.linspace(400, 2500, 64)
    red, infrared = (int(np.argmin(np.abs(wavelengths - nm))) for nm in (670, 860))
    means = {n: scene.cube[scene.labels == k].mean(axis=0) for k, n in enumerate(scene.class_names)}
    assert means["Meadow"][infrared] > 3 * means["Meadow"][red]
    assert means["Pond"][infrared] < means["Pond"].max()
    assert scene.rgb_bands is not None
    assert wavelengths[list(scene.rgb_bands)].round().tolist() == [633, 533, 467]


def test_a_neighbourhood_helps_and_nothing_is_perfect(scene):
    split = random_split(scene.labels, seed=0, train_fraction=0.1)
    by_pixel = accuracy(scene.cube, scene, split)
    by_neighbourhood = accuracy(uniform_filter(scene.cube, 5, axes=(0, 1)), scene, split)
    assert 0.70 < by_pixel < 0.90
    assert 0.90 < by_neighbourhood < 0.99
    assert by_neighbourhood > by_pixel + 0.08


def test_can_be_split_disjointly_with_every_class_tested(scene):
    split = disjoint_split(scene.labels, 0, guard=3, block_size=8, train_fraction=0.1)
    assert np.all(class_counts(split.train, scene.labels, 9) > 0)
    assert np.all(class_counts(split.test, scene.labels, 9) > 0)
