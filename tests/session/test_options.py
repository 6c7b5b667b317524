"""What the options of a run may be, one by one and together."""

import dataclasses
import math

import pytest

from hsi_jax.data.public.catalogue import CATALOGUE
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.options import declared, values
from hsi_jax.session.data_options import IMAGE_SETS, SCENES
from hsi_jax.session.options import RunOptions
from hsi_jax.train import Recipe

# The rules, written down apart from the code: the option, values refused, values on the edge.
RANGES = {
    "check_every": ([-1], [0]),
    "audit_every": ([-1], [0]),
    "lost_after": ([0.5, -1.0, math.nan], [1.0]),
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
    "microbatch_size": ([0, -1, "most"], [1, "auto"]),
    "epochs": ([0, -1], [1]),
    "steps": ([0, -1], [1]),
    "learning_rate": ([0.0, -1.0, math.nan, math.inf], [1e-12, 1e6]),
    "momentum": ([-0.1, 1.0, math.nan], [0.0, 0.999]),
    "patience": ([-1], [0, 1]),
    "clip_norm": ([-1.0, math.nan, math.inf], [0.0, 1e6]),
    "weight_decay": ([-0.1, math.nan, math.inf], [0.0, 1e6]),
    "seed": ([-1, 2**32], [0, 2**32 - 1]),
    "retime_every": ([0, -1], [1]),
    "hysteresis": ([0, -1], [1]),
    "dead_band": ([-0.1, 1.0, math.nan], [0.0, 0.999]),
    "num_processes": ([0, -1], [1]),
    "process_id": ([-1], [0]),
    "checkpoint_every": ([-1], [0, 1]),
    "keep_checkpoints": ([0, -1], [1]),
    "folds": ([0, 1], [2]),
    "fold": ([-1], [0, 3]),
    "tile_side": ([0, 15, 4097], [16, 4096]),
    "mixed_tiles": ([0, 257], [1, 256]),
    "mask_bands": ([-0.1, 1.0, math.nan], [0.0, 0.999]),
    "mask_pixels": ([-0.1, 1.0, math.nan], [0.0, 0.999]),
    "mask_group": ([0, -1], [1]),
}
COLLECTION = {"dataset": "scenes", "scenes": "scenes.csv"}
CLUSTER = {"coordinator": "localhost:1234", "num_processes": 1, "process_id": 0}
# What some options go with.
NEEDED = {
    "num_processes": CLUSTER,
    "process_id": CLUSTER,
    "image_size": {"dataset": "eurosat"},
    "guard": {"split": "disjoint"},
    **dict.fromkeys(("folds", "fold", "tile_side", "mixed_tiles"), COLLECTION),
    **{f"mask_{name}": {"task": "pretrain"} for name in ("bands", "pixels", "group")},
}
CHOICES = {
    "small_classes": ("error", "half"),
    "scheme": tuple(SCHEMES),
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("constant", "cosine", "warmup_cosine", "linear"),
}


def test_the_default_runs_without_any_file():
    options = RunOptions.of()
    assert (options.data.dataset, options.data.data_dir) == ("synthetic", "")
    assert options.recipe == Recipe()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.recipe = Recipe(seed=1)


def test_every_number_has_a_range():
    numbers = {
        e.field.name for e in declared(RunOptions) if e.field.metadata["kind"] in (int, float)
    }
    assert numbers == set(RANGES)


@pytest.mark.parametrize("name", RANGES)
def test_a_number_is_taken_in_its_range_and_refused_outside(name):
    refused, taken = RANGES[name]
    for value in taken:
        options = RunOptions.of(**NEEDED.get(name, {}) | {name: value})
        assert values(options)[name] == value
    for value in refused:
        with pytest.raises(InputError, match=f"^`{name}`={value}: give "):
            RunOptions.of(**{name: value})


@pytest.mark.parametrize("name", CHOICES)
def test_an_unknown_choice_lists_what_there_is(name):
    with pytest.raises(InputError, match=f"^`{name}`=nope: ") as caught:
        RunOptions.of(**{name: "nope"})
    assert all(choice in str(caught.value) for choice in CHOICES[name])


def test_data_sets_are_those_of_the_catalogues():
    assert set(SCENES) == {"synthetic", "file", "scenes", *CATALOGUE}
    for name in CATALOGUE:
        assert not RunOptions.of(dataset=name, data_dir="data").data.is_image_set
    for name in (*IMAGE_SETS, "tfds:mnist"):
        assert RunOptions.of(dataset=name, data_dir="data").data.is_image_set
    assert RunOptions.of().model_name == "cnn2d"
    assert RunOptions.of(dataset="eurosat").model_name == "resnet20"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dataset": "salina"}, ["salinas", "tfds:"]),
        ({"dataset": "nope"}, ["synthetic", "eurosat"]),
        ({"dataset": "file"}, ["`cube`", "`labels`"]),
        ({"dataset": "file", "cube": "a.mat"}, ["`labels`"]),
        ({"dataset": "folder"}, ["`data_dir`"]),
        ({"data_dir": "data"}, ["`data_dir`", "synthetic"]),
        ({"dataset": "file", "cube": "a", "labels": "b", "data_dir": "d"}, ["`data_dir`"]),
        *(
            ({name: "x"}, [f"`{name}`", "`dataset`=file"])
            for name in ("cube", "labels", "cube_variable", "labels_variable", "labels_attribute")
        ),
        ({"dataset": "ksc", "data_dir": "d", "cube": "x"}, ["`cube`", "ksc"]),
        ({"labels_touched": True}, ["`labels_touched`"]),
        *(
            ({"dataset": dataset, name: value}, [f"`{name}`", dataset])
            for dataset in ("synthetic", "eurosat")
            for name, value in {
                "unlabelled": "0",
                "nodata": "0",
                "drop_bands": "1",
                "band_axis": "0",
                "keep_fill_values": True,
            }.items()
        ),
        ({"dataset": "file", "cube": "a", "labels": "b", "nodata": "low"}, ["`nodata`=low"]),
        ({"train_fraction": 0.1, "train_per_class": 5}, ["`train_fraction`", "`train_per_class`"]),
        ({"split": "a.npz", "train_fraction": 0.1}, ["`train_fraction`"]),
        ({"split": "a.npz", "train_per_class": 5}, ["`train_per_class`"]),
        ({"guard": 1}, ["`guard`", "disjoint"]),
        ({"split": "official"}, ["`split`=official", "images"]),
        ({"patch_size": 4}, ["`patch_size`=4", "odd"]),
        ({"sampling": "balanced", "loss": "weighted"}, ["`sampling`", "`loss`"]),
        ({"dataset": "eurosat", "patch_size": 5}, ["`patch_size`", "scenes"]),
        ({"dataset": "eurosat", "components": 3}, ["`components`", "scenes"]),
        ({"dataset": "eurosat", "as_published": True}, ["`as_published`", "scenes"]),
        ({"dataset": "eurosat", "split": "disjoint"}, ["`split`=disjoint", "official"]),
        ({"image_size": 8}, ["`image_size`", "images"]),
        ({"feed": "streamed"}, ["`feed`", "images"]),
        ({"coordinator": "a:1"}, ["`num_processes`", "`process_id`"]),
        ({"coordinator": "a:1", "process_id": 0}, ["`num_processes`"]),
        ({"num_processes": 2}, ["`num_processes`", "`coordinator`"]),
        (CLUSTER | {"process_id": 1}, ["`process_id`=1", "`num_processes`=1"]),
        ({"resume": True}, ["`workdir`"]),
        ({"resume": True, "overwrite": True, "workdir": "w"}, ["`resume`", "`overwrite`"]),
    ],
    ids=lambda value: (
        "-".join(f"{key}={one}" for key, one in value.items()) if isinstance(value, dict) else ""
    ),
)
def test_what_does_not_go_together_is_refused(given, words):
    with pytest.raises(InputError) as caught:
        RunOptions.of(**given)
    assert [word for word in words if word not in str(caught.value)] == []


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
    recipe = RunOptions.of(microbatch_size=given, batch_size=batch_size).recipe
    assert recipe.microbatch_sizes == sizes
