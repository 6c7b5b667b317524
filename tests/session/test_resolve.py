"""What options mean with these files, models and devices."""

from types import SimpleNamespace

import pytest

from hsi_jax.errors import InputError
from hsi_jax.hetero import PRESETS, SCHEMES
from hsi_jax.models import MODELS, find_trait
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import resolve
from hsi_jax.session.setup import describe_choice

MEMBER = {"coordinator": "localhost:1234", "num_processes": 2, "process_id": 1}


def test_every_name_can_be_chosen():
    for model in MODELS:
        if "patch" in find_trait(model, "kinds"):
            assert resolve(RunOptions.of(model=model)).options.model_name == model
    for scheme in SCHEMES:
        assert resolve(RunOptions.of(scheme=scheme, **MEMBER)).options.devices.scheme == scheme
    for profile in PRESETS:
        assert resolve(RunOptions.of(profile=profile)).profile_name == profile


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": "no/such.npz"}, r"`split`=no/such\.npz"),
        ({"split": "."}, r"`split`=\."),
        ({"model": "nope"}, "nope.*mlp, cnn1d, cnn2d"),
        ({"model_options": "width=3"}, "width=3.*features.*hidden"),
        ({"model_options": "hidden"}, "hidden"),
        ({"model_options": "hidden=0"}, "hidden=0"),
        ({"model_options": "hidden=8; features=(1, 2)"}, "features.*3 whole numbers"),
        ({"dataset": "eurosat", "augment": "flip,wobble"}, "wobble"),
        ({"profile": "4:x"}, "4:x"),
        ({"profile": ""}, "profile"),
        ({"profile": "0:0"}, "0:0"),
        ({"profile": "-1:2"}, "-1"),
        ({"profile": "1:nan"}, "nan"),
        ({"profile": "nope.json"}, r"nope\.json"),
        ({"profile": "measured"}, "`profile`=measured needs a process"),
        ({"scheme": "adaptive"}, "`scheme`=adaptive needs a process"),
        ({"time_devices": True}, "`time_devices`=True needs a process"),
        ({"reduce": "host"}, "`reduce`=host goes with several processes"),
        ({"devices_per_process": 2}, "`devices_per_process`=2 goes with several processes"),
        ({"model": "svm", "resume": True, "workdir": "x"}, "scikit-learn.*resume"),
        ({"model": "svm", "microbatch_size": "auto"}, "scikit-learn.*microbatch_size"),
        ({"model": "svm", "augment": "flip"}, "scikit-learn.*augment"),
        ({"model": "svm", "loss": "focal"}, "scikit-learn.*loss"),
        ({"model": "svm", **MEMBER}, "without a cluster"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        resolve(RunOptions.of(**given))


def test_memory_caps_must_hold_the_batch(tmp_path):
    path = tmp_path / "small.json"
    path.write_text('{"devices": [{"speed": 1, "memory_cap": 32}, {"speed": 1, "memory_cap": 16}]}')
    given = {"profile": str(path), "microbatch_size": 16}
    assert resolve(RunOptions.of(**given, batch_size=48)).profile
    with pytest.raises(InputError, match=r"hold 48 samples.*batch_size"):
        resolve(RunOptions.of(**given, batch_size=49))
    with pytest.raises(InputError, match="memory_cap 16"):
        resolve(RunOptions.of(**given, batch_size=64, scheme="even"))


def test_a_cluster_measures_unless_told_otherwise(monkeypatch):
    assert resolve(RunOptions.of()).profile_name == "4:2:1:1"
    assert resolve(RunOptions.of(**MEMBER)).profile_name == "measured"
    assert resolve(RunOptions.of(**MEMBER, profile="2:1")).profile_name == "2:1"
    assert resolve(RunOptions.of(), in_cluster=True).profile is None
    for name, value in (("STEP_NUM_TASKS", "3"), ("PROCID", "0"), ("STEP_NODELIST", "n[1-3]")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert resolve(RunOptions.of()).profile_name == "measured"
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert not resolve(RunOptions.of()).in_cluster


def test_accelerators_get_a_like_share_each_unless_told_otherwise(monkeypatch):
    devices = [SimpleNamespace(platform="gpu", device_kind="H100")] * 2
    monkeypatch.setattr("hsi_jax.session.resolve.find_devices", lambda: devices)
    monkeypatch.setattr("hsi_jax.session.setup.find_devices", lambda: devices)
    chosen = resolve(RunOptions.of())
    assert chosen.profile_name == "1:1"
    assert ["2 x H100" in line for line in describe_choice(chosen)] == [True]
    given = resolve(RunOptions.of(profile="2:1"))
    assert given.profile_name == "2:1"
    assert describe_choice(given) == []
