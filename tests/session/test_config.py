import dataclasses
import json
import math
from types import SimpleNamespace

import pytest

from hsi_jax.data.public.catalogue import CATALOGUE
from hsi_jax.errors import InputError
from hsi_jax.hetero import PRESETS, SCHEMES
from hsi_jax.models import MODELS, find_trait
from hsi_jax.session.checks import IMAGE_SETS, SCENES
from hsi_jax.session.config import Config
from hsi_jax.session.resolve import resolve
from hsi_jax.session.setup import describe_choice
from hsi_jax.train import Recipe

# The rules, written down apart from the code: the field, values refused, values on the edge.
RANGES = {
    "check_every": ([-1], [0]),
    "devices_per_process": ([0, -1], [1]),
    "components": ([-1], [0, 1]),
    "image_size": ([0, -1], [1]),
    "cache_mb": ([-1], [0]),
    "train_fraction": ([0.0, -0.1, 1.0, math.nan, math.inf, -math.inf], [1e-9, 0.999]),
    "train_per_class": ([0, -1], [1]),
    "block_size": ([0, -1], [1]),
    "guard": ([-1], [0]),
    "validation_fraction": ([-0.1, 1.0, math.nan, math.inf], [0.0, 0.999]),
    "patch_size": ([0, -1, -2, 2, 4], [1, 3]),
    "batch_size": ([0, -1], [1]),
    "microbatch_size": ([0, -1], [1]),
    "epochs": ([0, -1], [1]),
    "steps": ([0, -1], [1]),
    "learning_rate": ([0.0, -1.0, math.nan, math.inf], [1e-12, 1e6]),
    "momentum": ([-0.1, 1.0, math.nan], [0.0, 0.999]),
    "weight_decay": ([-0.1, math.nan, math.inf], [0.0, 1e6]),
    "seed": ([-1, 2**32], [0, 2**32 - 1]),
    "retime_every": ([0, -1], [1]),
    "hysteresis": ([0, -1], [1]),
    "dead_band": ([-0.1, 1.0, math.nan], [0.0, 0.999]),
    "num_processes": ([0, -1], [1]),
    "process_id": ([-1], [0]),
    "checkpoint_every": ([-1], [0, 1]),
    "keep_checkpoints": ([0, -1], [1]),
}

MEMBER = {"coordinator": "localhost:1234", "num_processes": 2, "process_id": 1}

CHOICES = {
    "small_classes": ("error", "half"),
    "scheme": ("balanced", "speed", "uniform", "even"),
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("constant", "cosine", "warmup_cosine", "linear"),
}


def test_the_default_runs_without_any_file():
    config = Config()
    assert (config.dataset, config.data_dir, config.split) == ("synthetic", "", "random")


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().seed = 1


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(
            dataset="file",
            cube="scene.mat",
            labels="truth.npy",
            labels_variable="gt",
            components=0,
            split="disjoint",
            train_per_class=15,
            validation_fraction=0.3,
            model="cnn1d",
            model_options="features=8",
            profile="1.5:0:1e-3",
            scheme="speed",
            steps=7,
            learning_rate=1 / 3,
            seed=2**32 - 1,
            workdir="runs/1",
            overwrite=True,
        ),
    ],
    ids=["default", "many"],
)
def test_json_gives_it_back(config):
    assert Config(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize("field", CHOICES)
def test_an_unknown_choice_lists_what_there_is(field):
    with pytest.raises(InputError, match=rf"^(--{field}|`{field}`)=nope: choose one of ") as caught:
        Config(**{field: "nope"})
    listed = str(caught.value).split("choose one of ")[1].partition(";")[0].split(", ")
    assert set(CHOICES[field]) <= set(listed)


def test_every_choice_can_be_made():
    for model in MODELS:
        if "patch" in find_trait(model, "kinds"):
            assert resolve(Config(model=model)).config.model == model
    for scheme in SCHEMES:
        assert resolve(Config(scheme=scheme, **MEMBER)).config.scheme == scheme
    for profile in PRESETS:
        assert resolve(Config(profile=profile)).profile_name == profile
    for dataset in CATALOGUE:
        assert Config(dataset=dataset, data_dir="data").dataset == dataset
    assert set(SCENES) == {"synthetic", "file", *CATALOGUE}
    for dataset in (*IMAGE_SETS, "tfds:mnist"):
        assert Config(dataset=dataset, data_dir="data").is_image_set


def test_rare_classes_are_made_up_for_once():
    assert Config(sampling="balanced", loss="focal").recipe.sampling == "balanced"
    with pytest.raises(InputError, match=r"sampling.*loss"):
        Config(sampling="balanced", loss="weighted")


def test_every_number_has_a_range():
    numbers = {f.name for f in dataclasses.fields(Config) if f.metadata["kind"] in (int, float)}
    assert numbers == set(RANGES)


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, (bad, _) in RANGES.items() for value in bad]
)
def test_a_value_out_of_range_is_refused(field, value):
    with pytest.raises(InputError, match=rf"^--{field}={value}: give ") as caught:
        Config(**{field: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, (_, good) in RANGES.items() for value in good]
)
def test_a_value_on_the_edge_is_taken(field, value):
    needed = {"coordinator": "localhost:1234", "num_processes": 1, "process_id": 0}
    cluster = needed if field in needed else {}
    cluster |= {"dataset": "eurosat"} if field == "image_size" else {}
    cluster |= {"split": "disjoint"} if field == "guard" else {}
    assert getattr(Config(**{**cluster, field: value}), field) == value


def test_an_even_patch_is_told_to_be_odd():
    with pytest.raises(InputError, match="--patch_size=4: give an odd number"):
        Config(patch_size=4)


def test_fraction_and_number_exclude_each_other():
    with pytest.raises(InputError, match="--train_fraction and --train_per_class exclude"):
        Config(train_fraction=0.1, train_per_class=5)


def test_a_split_that_is_no_file_is_refused(tmp_path):
    missing = tmp_path / "nope.npz"
    with pytest.raises(InputError, match=r"a \.npz or \.mat") as caught:
        resolve(Config(split=str(missing)))
    assert f"--split={missing}" in str(caught.value)
    with pytest.raises(InputError, match="give random, disjoint"):
        resolve(Config(split=str(tmp_path)))


@pytest.mark.parametrize("amount", [{"train_fraction": 0.1}, {"train_per_class": 5}])
def test_a_split_from_a_file_takes_no_amount(tmp_path, amount):
    path = tmp_path / "split.npz"
    path.touch()
    assert resolve(Config(split=str(path))).config.split == str(path)
    with pytest.raises(InputError, match="already says which pixels to train on; leave out"):
        Config(split=str(path), **amount)


@pytest.mark.parametrize("given", [{}, {"cube": "a.mat"}, {"labels": "b.mat"}])
def test_a_scene_from_files_needs_both(given):
    with pytest.raises(InputError, match="needs both --cube=FILE and --labels=FILE"):
        Config(dataset="file", **given)


def test_a_data_set_that_is_unknown_is_told_with_near_ones():
    with pytest.raises(InputError, match="--dataset=salina: did you mean salinas") as caught:
        Config(dataset="salina")
    assert "tfds:NAME" in str(caught.value)
    with pytest.raises(InputError, match="--dataset=nope: choose one of synthetic, "):
        Config(dataset="nope")


def test_a_folder_of_images_must_be_given():
    with pytest.raises(InputError, match="--dataset=folder needs --data_dir=FOLDER"):
        Config(dataset="folder")


@pytest.mark.parametrize("name", ["cube", "labels", "cube_variable", "labels_variable"])
def test_options_of_files_go_with_files_only(name):
    with pytest.raises(InputError, match=f"--{name} goes with --dataset=file, not --dataset=syn"):
        Config(**{name: "x"})
    with pytest.raises(InputError, match=f"--{name} goes with --dataset=file, not --dataset=ksc"):
        Config(dataset="ksc", data_dir="data", **{name: "x"})


def test_a_data_folder_goes_with_the_catalogue_only():
    with pytest.raises(InputError, match="--data_dir is of no use with --dataset=synthetic"):
        Config(data_dir="data")
    with pytest.raises(InputError, match="--data_dir is of no use with --dataset=file"):
        Config(dataset="file", cube="a.mat", labels="b.mat", data_dir="data")


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("4:x", "4:x: give speeds"),
        ("", "=: give speeds"),
        ("4:", "4:: give speeds"),
        ("0:0", "0:0: all speeds"),
        ("-1:2", r"speed of device 'device 0' is -1\.0"),
        ("1:nan", "speed of device 'device 1' is nan"),
        ("1:inf", "speed of device 'device 1' is inf"),
        ("nope.json", r"nope\.json cannot be read"),
    ],
)
def test_a_profile_that_cannot_be_used_is_refused(profile, message):
    with pytest.raises(InputError, match=message):
        resolve(Config(profile=profile))


def test_memory_caps_must_hold_the_batch(tmp_path):
    path = tmp_path / "small.json"
    path.write_text('{"devices": [{"speed": 1, "memory_cap": 32}, {"speed": 1, "memory_cap": 16}]}')
    assert (
        resolve(Config(profile=str(path), batch_size=48, microbatch_size=16)).config.batch_size
        == 48
    )
    with pytest.raises(InputError, match=r"hold 48 samples.*batch_size"):
        resolve(Config(profile=str(path), batch_size=49, microbatch_size=16))
    with pytest.raises(InputError, match=r"equal share of 2 microbatches .* exceeds memory_cap 16"):
        resolve(Config(profile=str(path), scheme="even", batch_size=64, microbatch_size=16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("width=3", r"'width=3': cnn2d has the options features=\(64, 64, 128\); hidden=128"),
        ("hidden", "'hidden': give a whole number"),
        ("hidden=0", "'hidden=0': give a whole number"),
        ("hidden=8; features=(1, 2)", r"'features=\(1, 2\)': give 3 whole numbers"),
    ],
)
def test_options_that_the_model_lacks_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        resolve(Config(model="cnn2d", model_options=options))


def test_an_unknown_model_lists_what_there_is():
    with pytest.raises(InputError, match=r"nope.*mlp, cnn1d, cnn2d, cnn3d, hybridsn"):
        resolve(Config(model="nope"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"coordinator": "a:1"}, "--coordinator needs --num_processes and --process_id"),
        ({"coordinator": "a:1", "process_id": 0}, "--coordinator needs --num_processes"),
        ({"num_processes": 2}, "--num_processes goes with --coordinator=HOST:PORT"),
        ({**MEMBER, "process_id": 2}, "--process_id=2: give a number below --num_processes=2"),
        ({"profile": "measured"}, "--profile=measured needs a process for each device"),
        ({"scheme": "adaptive"}, "--scheme=adaptive needs a process for each device"),
        ({"time_devices": True}, "--time_devices=True needs a process for each device"),
        ({"reduce": "host"}, "--reduce=host goes with several processes"),
        ({"devices_per_process": 2}, "--devices_per_process=2 goes with several processes"),
    ],
)
def test_half_a_cluster_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        resolve(Config(**given))


def test_a_cluster_measures_unless_told_otherwise(monkeypatch):
    assert resolve(Config()).profile_name == "4:2:1:1"
    assert resolve(Config(**MEMBER)).profile_name == "measured"
    assert resolve(Config(**MEMBER, profile="2:1")).profile_name == "2:1"
    assert resolve(Config(), in_cluster=True).profile is None
    for name, value in (("STEP_NUM_TASKS", "3"), ("PROCID", "0"), ("STEP_NODELIST", "n[1-3]")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert resolve(Config()).profile_name == "measured"
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert not resolve(Config()).in_cluster


def test_accelerators_get_a_like_share_each_unless_told_otherwise(monkeypatch):
    devices = [SimpleNamespace(platform="gpu", device_kind="H100")] * 2
    monkeypatch.setattr("hsi_jax.session.resolve.find_devices", lambda: devices)
    monkeypatch.setattr("hsi_jax.session.setup.find_devices", lambda: devices)
    chosen = resolve(Config())
    assert (chosen.profile_name, chosen.profile.speeds) == ("1:1", (1.0, 1.0))
    assert ["2 x H100" in line for line in describe_choice(chosen)] == [True]
    assert resolve(Config(profile="2:1")).profile_name == "2:1"
    assert describe_choice(resolve(Config(profile="2:1"))) == []


def test_the_recipe_is_that_of_the_options():
    assert Config().recipe == Recipe()
    config = Config(batch_size=7, microbatch_size="auto", epochs=3, optimizer="sgd", seed=5)
    expected = Recipe(batch_size=7, microbatch_size=4, epochs=3, optimizer="sgd", seed=5)
    assert config.recipe == expected


@pytest.mark.parametrize(
    ("given", "batch_size", "sizes"),
    [
        (8, 128, [8]),
        ("auto", 128, [4, 8, 16, 32, 64]),
        ("auto", 64, [4, 8, 16, 32, 64]),
        ("auto", 63, [4, 8, 16, 32]),
        ("auto", 4, [4]),
        ("auto", 3, [3]),
    ],
)
def test_auto_stands_for_the_sizes_up_to_the_batch(given, batch_size, sizes):
    config = Config(microbatch_size=given, batch_size=batch_size)
    assert config.microbatch_sizes == sizes
    assert config.first_microbatch_size == sizes[0]
