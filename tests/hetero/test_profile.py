import json
import math

import pytest

from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import PRESETS, Device, Profile, parse_profile, read_profile


@pytest.mark.parametrize(
    ("text", "speeds"),
    [
        ("1", (1,)),
        ("4:2:1:1", (4, 2, 1, 1)),
        ("7:0.5:0.5:0", (7, 0.5, 0.5, 0)),
        (" 2 : 1e-3", (2, 0.001)),
    ],
)
def test_speeds_between_colons(text, speeds):
    profile = parse_profile(text)
    assert profile.speeds == speeds
    assert len(profile) == len(speeds)
    assert profile.names == tuple(f"device {i}" for i in range(len(speeds)))
    assert profile.name == text
    assert all(d.fixed_cost == 0 and d.memory_cap is None for d in profile.devices)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_found_by_name(name):
    profile = parse_profile(name)
    assert profile.speeds == PRESETS[name]
    assert profile.name == name


@pytest.mark.parametrize(
    ("text", "names_it"),
    [
        ("4:x", "`profile`=4:x: give speeds"),
        ("", "`profile`=: give speeds"),
        ("4::1", "`profile`=4::1: give speeds"),
        ("4,2", "`profile`=4,2: give speeds"),
        ("fast", "two_generations"),
        ("0:0", "`profile`=0:0: all speeds"),
        ("-1:1", "`profile`=-1:1: speed of device 'device 0' is -1.0"),
        ("1:nan", "speed of device 'device 1' is nan"),
        ("inf", "speed of device 'device 0' is inf"),
    ],
)
def test_bad_text_is_named_in_the_error(text, names_it):
    with pytest.raises(InputError) as caught:
        parse_profile(text)
    assert names_it in str(caught.value)


def test_json_round_trip(tmp_path):
    profile = Profile(
        (Device("gpu", 12.5, 0.25, 4096), Device("cpu", 1, 0, None), Device("spare", 0, 3, 0)),
        "bench",
    )
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(profile.to_json()))
    assert read_profile(path).devices == profile.devices
    assert parse_profile(str(path)).devices == profile.devices
    assert read_profile(path).name == str(path)


def test_all_but_the_speed_may_be_left_out_of_a_file(tmp_path):
    path = tmp_path / "short.json"
    path.write_text('{"devices": [{"speed": 3}, {"speed": 1, "name": "slow"}]}')
    assert read_profile(path).devices == (
        Device("device 0", 3, 0.0, None),
        Device("slow", 1, 0.0, None),
    )


@pytest.mark.parametrize(
    ("content", "names_it"),
    [
        ("{", "is not a JSON file"),
        ("[]", "is not of the form"),
        ('{"device": []}', "'devices'"),
        ('{"devices": []}', "has no devices"),
        ('{"devices": [4, 2]}', "is not of the form"),
        ('{"devices": [{"name": "a"}]}', "'speed'"),
        ('{"devices": [{"speed": 1, "sped": 2}]}', "'sped'"),
        ('{"devices": [{"speed": "4"}]}', "speed of device 'device 0' is '4'"),
        ('{"devices": [{"speed": true}]}', "speed of device 'device 0' is True"),
        ('{"devices": [{"speed": NaN}]}', "speed of device 'device 0' is nan"),
        ('{"devices": [{"speed": 0}]}', "give one above 0"),
        ('{"devices": [{"speed": 1, "name": "a", "fixed_cost": -2}]}', "fixed_cost of device 'a'"),
        (
            '{"devices": [{"speed": 1, "memory_cap": 2.5}]}',
            "memory_cap of device 'device 0' is 2.5",
        ),
        ('{"devices": [{"speed": 1, "memory_cap": true}]}', "is True; give a whole number"),
        ('{"devices": [{"speed": 1, "memory_cap": -1}]}', "is -1; give a whole number"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, content, names_it):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        parse_profile(str(path))
    assert str(path) in str(caught.value)
    assert names_it in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"nowhere\.json"):
        parse_profile("nowhere.json")


def test_time_is_a_fixed_cost_and_a_cost_for_each_microbatch():
    device = Device("a", speed=4, fixed_cost=0.5)
    assert [device.time(n) for n in (0, 1, 2, 10)] == [0.5, 0.75, 1.0, 3.0]
    absent = Device("b", speed=0, fixed_cost=0.5)
    assert absent.time(0) == 0.5
    assert absent.time(1) == math.inf
    assert Profile((device, absent)).times((2, 0)) == (1.0, 0.5)


def test_times_want_a_share_for_every_device():
    with pytest.raises(ValueError, match="shorter"):
        parse_profile("2:1").times((3,))
