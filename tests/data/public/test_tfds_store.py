"""Scenes downloaded from a server on this machine and kept by TFDS."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds

from hsi_jax.data.public import catalogue
from hsi_jax.data.public.builders import scenes
from hsi_jax.data.public.catalogue import CATALOGUE
from hsi_jax.data.public.tfds_store import cached_scene, find_builder, prepare
from hsi_jax.data.scene.scene_file import load_scene
from hsi_jax.errors import InputError

CUBE = np.random.default_rng(0).integers(0, 9000, (6, 7, 4)).astype(np.uint16)
LABEL_IDS = np.zeros((6, 7), np.uint8)
LABEL_IDS[1, 2:5] = 2
LABEL_IDS[4, 1:3] = 5


@pytest.fixture
def info(server, monkeypatch):
    """Indian Pines as if it were small and on this machine."""
    info = CATALOGUE["indian_pines"]
    for name, variable, array in (
        (info.cube_file, info.cube_variable, CUBE),
        (info.label_file, info.label_variable, LABEL_IDS),
    ):
        stream = io.BytesIO()
        scipy.io.savemat(stream, {variable: array})
        server.files[name] = stream.getvalue()
    info = replace(
        info,
        shape=CUBE.shape,
        rgb_bands=(2, 1, 0),
        cube_url=server.url(info.cube_file),
        label_url=server.url(info.label_file),
        sha256={n: hashlib.sha256(data).hexdigest() for n, data in server.files.items()},
    )
    for place in (catalogue, scenes):
        monkeypatch.setattr(place, "CATALOGUE", {info.name: info})
    return info


def test_a_scene_is_fetched_once_and_is_the_standard_one(info, server, tmp_path):
    server.cuts = [200]
    scene = cached_scene("indian_pines", tmp_path)
    np.testing.assert_array_equal(scene.cube, CUBE)
    np.testing.assert_array_equal(scene.original_labels(scene.require_labels()), LABEL_IDS)
    assert len(server.requests) == 3
    again = cached_scene("indian_pines", tmp_path)
    np.testing.assert_array_equal(again.cube, CUBE)
    assert len(server.requests) == 3


def test_examples_are_the_labelled_pixels(info, tmp_path):
    cached_scene("indian_pines", tmp_path)
    builder = find_builder("hsi_jax_scenes/indian_pines", tmp_path)
    found = np.zeros_like(LABEL_IDS)
    # TFDS wraps the method in a decorator without types.
    examples = builder.as_data_source("train")  # pyright: ignore[reportCallIssue]
    for example in examples:
        row, column = example["row"], example["column"]
        np.testing.assert_array_equal(example["spectrum"], CUBE[row, column])
        found[row, column] = example["label"] + 1
    assert len(examples) == 5
    np.testing.assert_array_equal(found, LABEL_IDS)
    assert isinstance(builder.info.features, tfds.features.FeaturesDict)
    label = builder.info.features["label"]
    assert isinstance(label, tfds.features.ClassLabel)
    assert label.names[1] == "Corn-notill"


def test_a_wrong_checksum_leaves_nothing(info, server, tmp_path):
    server.files[info.label_file] += b"?"
    with pytest.raises(InputError, match=r"Indian_pines_gt\.mat.*checksum"):
        cached_scene("indian_pines", tmp_path)
    assert not list((tmp_path / "hsi_jax_scenes").glob("indian_pines/*"))
    assert not list((tmp_path / "downloads").glob("*gt*"))


def test_without_a_network_it_says_which_file_to_put_where(info, server, tmp_path):
    server.files.clear()
    with pytest.raises(InputError) as error:
        cached_scene("indian_pines", tmp_path)
    manual = tmp_path / "downloads" / "manual"
    for part in (info.cube_file, info.page, str(manual), "data_dir"):
        assert part in str(error.value)


def test_files_put_there_by_hand_are_taken(info, server, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    for name, data in server.files.items():
        (manual / name).write_bytes(data)
    np.testing.assert_array_equal(cached_scene("indian_pines", tmp_path).cube, CUBE)
    assert server.requests == []


def test_another_cube_is_refused(info, server, tmp_path, monkeypatch):
    other = replace(info, shape=(6, 7, 5), sha256={})
    for place in (catalogue, scenes):
        monkeypatch.setattr(place, "CATALOGUE", {info.name: other})
    with pytest.raises(InputError, match=r"\(6, 7, 4\).*\(6, 7, 5\)"):
        cached_scene("indian_pines", tmp_path)
    assert not list((tmp_path / "hsi_jax_scenes").glob("indian_pines/*"))


def test_unknown_scenes_and_those_without_address(tmp_path):
    with pytest.raises(InputError, match="'pavia'"):
        cached_scene("pavia", tmp_path)
    with pytest.raises(InputError, match=r"Houston\.mat"):
        cached_scene("houston2013", tmp_path)


@pytest.mark.parametrize("info", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_addresses_are_what_the_publishers_wiki_makes_of_the_names(info):
    """MediaWiki files an upload under the first digits of the MD5 of its name."""
    for name, url in ((info.cube_file, info.cube_url), (info.label_file, info.label_url)):
        digits = hashlib.md5(name.encode()).hexdigest()
        expected = f"{catalogue.GIC_UPLOADS}/{digits[0]}/{digits[:2]}/{name}"
        assert url == ("" if info.name == "houston2013" else expected)
    assert set(info.sha256) <= {info.cube_file, info.label_file}


def test_salinas_a_is_the_published_one(real_data, tmp_path):
    builder = find_builder("hsi_jax_scenes/salinas_a", tmp_path)
    prepare(builder, real_data / "salinas_a")
    assert builder.info.metadata is not None
    assert builder.info.metadata["official"]
    standard = load_scene("salinas_a", real_data)
    kept = cached_scene("salinas_a", tmp_path)
    np.testing.assert_array_equal(kept.cube, standard.cube)
    assert builder.info.splits["train"].num_examples == 5348
