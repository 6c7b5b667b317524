import json

import numpy as np
import pytest

from hsi_jax.commands import datasets
from hsi_jax.commands.run import run_help
from hsi_jax.data.splits.distance import count_leakage
from hsi_jax.data.splits.split import class_counts
from hsi_jax.errors import InputError
from hsi_jax.options import values, with_values
from hsi_jax.session.flags import parse_run
from hsi_jax.session.loading import open_scene, split_scene
from hsi_jax.session.options import RunOptions
from hsi_jax.session.protocols import FIXED, PROTOCOLS
from hsi_jax.session.resolve import resolve


def parsed(*arguments):
    return parse_run(arguments)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_sets_its_scene_and_split_and_nothing_else(name):
    options = parsed(f"--protocol={name}", "--data_dir=data", "--patch_size=5", "--seed=3")
    protocol = PROTOCOLS[name]
    assert protocol.name == name
    assert set(protocol.options) <= set(FIXED)
    given = {"protocol": name, "data_dir": "data", "patch_size": 5, "seed": 3}
    assert options == RunOptions.of(**protocol.options, **given)
    assert RunOptions.of(**json.loads(json.dumps(values(options)))) == options


@pytest.mark.parametrize(
    "flag",
    [
        "--split=random",  # which is the default, so only its presence tells
        "--dataset=salinas_a",
        "--train_per_class=5",
        "--block_size=4",
        "--unlabelled=0,9",
    ],
)
def test_what_contradicts_the_protocol_is_refused(flag):
    name = "indian_pines_disjoint"
    with pytest.raises(InputError) as refused:
        parsed(f"--protocol={name}", flag)
    option, _, value = flag.removeprefix("--").partition("=")
    assert f"`{option}`={value}" in str(refused.value)
    assert f"`protocol`={name}" in str(refused.value)


def test_what_agrees_with_the_protocol_may_be_said_again():
    assert parsed("--protocol=indian_pines_disjoint", "--split=disjoint").split.block_size == 8


def test_an_unknown_protocol_is_answered_with_the_near_one():
    with pytest.raises(InputError, match="did you mean indian_pines_dase"):
        parsed("--protocol=indian_pines_dsae")


def test_the_folder_of_the_split_has_to_be_given_and_to_hold_it(tmp_path):
    flag = "--protocol=indian_pines_fixed695"
    with pytest.raises(InputError, match=r"data_dir.*fixed_split_695\.npz"):
        parsed(flag)
    options = parsed(flag, f"--data_dir={tmp_path}")
    with pytest.raises(InputError, match=r"fixed_split_695\.npz is not in"):
        resolve(options)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "fixed_split_695.npz").touch()
    assert resolve(options).options.path_of("split") == str(
        tmp_path / "below" / "fixed_split_695.npz"
    )


def test_the_help_and_the_list_tell_each_protocol(capsys):
    datasets.main(["datasets", "--protocols"])
    text = capsys.readouterr().out
    datasets.main(["datasets", "--protocols", "--json"])
    entries = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in entries] == list(PROTOCOLS)
    for name, protocol in PROTOCOLS.items():
        assert name in run_help()
        assert f"\n{name}\n" in text
        assert protocol.whose.split()[0] in text


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_leakage_that_is_told_is_that_of_real_data(name, real_data):
    protocol = PROTOCOLS[name]
    if protocol.options["split"] == "polygons":
        for library in ("rasterio", "pyogrio", "shapely"):
            pytest.importorskip(library)
    given = {"protocol": name, "data_dir": str(real_data), **protocol.options}
    scene = open_scene(RunOptions.of(**given))
    for size, part in protocol.leakage.items():
        split = split_scene(RunOptions.of(**given, patch_size=size), scene)
        leaking = count_leakage(split, scene.cube.shape[:2], size)
        assert round(leaking / len(split.test), 3) == part


def test_the_fixed_split_has_the_classes_of_its_own_maps(real_data):
    """Against the counts that the papers of this split print for their classes."""
    name = "indian_pines_fixed695"
    options = RunOptions.of(protocol=name, data_dir=str(real_data), **PROTOCOLS[name].options)
    scene = open_scene(options)
    split = split_scene(with_values(options, validation_fraction=0), scene)
    tested = dict(zip(scene.class_names, class_counts(split.test, scene.labels, 16), strict=True))
    trained = class_counts(split.train, scene.labels, 16)
    assert (len(split.train), len(split.test)) == (695, 9671)
    assert sorted(trained.tolist()) == [15] * 3 + [50] * 13
    published = {"Corn-notill": 1384, "Soybean-mintill": 2418, "Oats": 5, "Alfalfa": 39}
    assert {key: tested[key] for key in published} == published
    assert any("26 that train and 230 that test" in remark for remark in scene.remarks)
    with np.load(options.path_of("split")) as maps:
        assert np.array_equal(scene.labels >= 0, (maps["train"] > 0) | (maps["test"] > 0))
