import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data import Preprocessing, Scene
from hsi_jax.data.splits.split import random_split
from hsi_jax.run import RunFolder
from hsi_jax.run.records import Evaluation
from hsi_jax.run.summary import read_summary
from hsi_jax.session.as_published import EPOCH, SCALING, deviations, summarise_as_published
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resume import keeps_record
from hsi_jax.train import scene_dataset
from tests.session.runs import run

PUBLISHED = RunOptions.of(as_published=True)


def evaluation(name, step, accuracy, loss=0.5):
    return Evaluation(
        set=name,
        step=step,
        loss=loss,
        overall_accuracy=accuracy,
        average_accuracy=accuracy / 2,
        kappa=accuracy / 4,
    )


def test_it_is_never_the_default():
    assert deviations(RunOptions.of()) == ()
    assert summarise_as_published(RunOptions.of(), [evaluation("test", 1, 0.5)]) is None
    assert deviations(PUBLISHED) == (SCALING, EPOCH)
    assert deviations(RunOptions.of(as_published=True, model="svm")) == (SCALING,)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.25, 0.5, 0.75]), st.sampled_from([0.1, 0.2]), st.floats(0, 1)),
        min_size=1,
        max_size=8,
    )
)
def test_the_honest_state_is_the_first_of_the_highest_rank(rows):
    records = []
    for step, (validated, loss, tested) in enumerate(rows, 1):
        records += [
            evaluation("validation", step, validated, loss),
            evaluation("test", step, tested),
        ]
    best, best_rank = 0, (-1.0, 0.0)
    for step, (validated, loss, _) in enumerate(rows):  # as `fit` goes through them
        if (validated, -loss) > best_rank:
            best, best_rank = step, (validated, -loss)
    chosen = summarise_as_published(PUBLISHED, records).by_validation
    assert (chosen.step, chosen.overall_accuracy) == (best + 1, rows[best][2])
    assert (chosen.average_accuracy, chosen.kappa) == (rows[best][2] / 2, rows[best][2] / 4)


def test_without_validation_the_last_state_is_the_honest_one():
    records = [evaluation("test", 1, 0.9), evaluation("test", 2, 0.8), evaluation("test", 1, 0.9)]
    assert summarise_as_published(PUBLISHED, records).by_validation.step == 2
    assert summarise_as_published(PUBLISHED, []).by_validation is None


@pytest.mark.parametrize("components", [0, 5])
def test_scaling_sees_all_pixels_with_data_only_if_asked(components):
    rng = np.random.default_rng(0)
    nodata = np.zeros((20, 21), bool)
    nodata[:3] = True
    cube = np.where(nodata[..., None], 0, rng.normal(size=(20, 21, 8)) * np.arange(1, 9))
    truth = rng.integers(1, 4, nodata.shape)
    scene = Scene.from_arrays("made up", cube, truth, nodata=nodata)
    split = random_split(scene.labels, 0, train_fraction=0.1)
    options = {"model": "mlp", "components": components}
    published = scene_dataset(scene, split, **options, fit_on_scene=True).preprocessing
    usual = scene_dataset(scene, split, **options).preprocessing
    own = scene.cube[3:].reshape(-1, cube.shape[-1]).astype(np.float64)
    np.testing.assert_allclose(published.mean, own.mean(0), rtol=1e-4)
    channels = published.transform(scene.cube)[3:].reshape(len(own), -1)
    unbiased = int(components > 0)  # as scikit-learn whitens
    np.testing.assert_allclose(channels.std(0, ddof=unbiased), 1, rtol=1e-3)
    wanted = Preprocessing.fit(scene.cube, split.train, components)
    assert np.array_equal(usual.mean, wanted.mean)
    assert not np.allclose(usual.mean, published.mean, rtol=1e-6)


@pytest.mark.slow
def test_a_run_tells_both_choices_and_goes_on_as_it_began(tmp_path):
    options = {
        "model": "mlp",
        "model_options": "hidden=(16, 8); dropout=0",
        "profile": "2:1",
        "batch_size": 64,
        "steps": 44,
        "figures": "none",
        "learning_rate": 0.05,
        "optimizer": "sgd",
        "as_published": True,
    }
    whole = tmp_path / "whole"
    summary = run(RunOptions.of(**options, workdir=str(whole), checkpoint_every=0))
    records = RunFolder(whole, overwrite=True).read_records()
    tested = [r for r in records if isinstance(r, Evaluation) and r.set == "test"]
    assert len({r.step for r in tested}) == 4
    assert summary.overall_accuracy == max(r.overall_accuracy for r in tested)
    assert summary == read_summary(whole / "summary.json")
    assert summary.as_published == summarise_as_published(PUBLISHED, records)
    assert summary.as_published.by_validation.overall_accuracy <= summary.overall_accuracy


def test_what_is_evaluated_while_training_is_kept_for_a_run_that_goes_on():
    sets = ("validation", "test")
    records = [evaluation(name, step, 0.5) for step in (10, 20, 30) for name in sets]
    usual = keeps_record(20, ("validation",), 10, 40)
    published = keeps_record(20, sets, 10, 40)
    assert [usual(record) for record in records] == [True, False, True, False, False, False]
    assert [published(record) for record in records] == [True] * 4 + [False] * 2
    assert not published(evaluation("test", 15, 0.5))  # after Ctrl-C
