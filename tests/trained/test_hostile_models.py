"""Folders of models made to harm: each is refused in one line, and nothing else happens."""

import json
import os
import signal
import socket
import tracemalloc
import zipfile

import msgspec
import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.run.checkpoint import Checkpoint
from hsi_jax.run.manifest import write_manifest
from hsi_jax.session.map_inputs import load_model
from hsi_jax.trained import TrainedModel
from tests.trained.test_scene_map import model_of

MEMORY = 16 * 2**20  # bytes, beyond what tracing a small network takes
SECONDS = 60

HOSTILE = """
from pathlib import Path
Path({marker!r}).touch()
def make(num_classes, **options): pass
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "model"
    model_of("mlp").save(folder)
    TrainedModel.load(folder)  # so that no import or first trace is measured
    return folder


@pytest.fixture
def folder(sound, tmp_path, monkeypatch):
    """A copy, in which Python was started, with a module beside model.json."""
    place = tmp_path / "model"
    place.mkdir()
    for file in sound.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    (place / "hostile.py").write_text(HOSTILE.format(marker=str(tmp_path / "marker")))
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))

    def refuse(*arguments, **others):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return place


def describe(**changes):
    """Changes fields of model.json; a field of bytes is written as it is."""

    def harm(folder):
        told = json.loads((folder / "model.json").read_text())
        raw = {name: value for name, value in changes.items() if isinstance(value, bytes)}
        text = json.dumps(
            told | {name: value for name, value in changes.items() if name not in raw}
        )
        for name, value in raw.items():
            text = text.replace("{", f'{{"{name}": {value.decode()}, ', 1)
        (folder / "model.json").write_text(text)
        (folder / "manifest.json").unlink()
        (folder / "hostile.py").rename(folder.parent / "aside.py")
        write_manifest(folder)
        (folder.parent / "aside.py").rename(folder / "hostile.py")

    return harm


def sign(folder):
    (folder / "manifest.json").unlink(missing_ok=True)
    write_manifest(folder)
    listed = json.loads((folder / "manifest.json").read_text())
    listed["sha256"].pop("hostile.py")
    (folder / "manifest.json").write_text(json.dumps(listed))


def weights(**changes):
    """Changes arrays of weights.npz; None leaves one out."""

    def harm(folder):
        with np.load(folder / "weights.npz") as file:
            arrays = dict(file) | {key.replace("__", "/"): new for key, new in changes.items()}
        kept = {name: array for name, array in arrays.items() if array is not None}
        np.savez_compressed(folder / "weights.npz", **kept)
        sign(folder)

    return harm


def claim(shape, content=b"", packed=zipfile.ZIP_DEFLATED):
    """An array whose header claims a shape that its content has not."""

    def harm(folder):
        with np.load(folder / "weights.npz") as file:
            arrays = dict(file)
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
        header = header.ljust(117) + "\n"
        with zipfile.ZipFile(folder / "weights.npz", "w", packed) as file:
            for name, array in arrays.items():
                with file.open(f"{name}.npy", "w") as member:
                    if name == "params/Dense_0/kernel":
                        member.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little"))
                        member.write(header.encode() + content)
                    else:
                        np.save(member, array)
        sign(folder)

    return harm


def bomb(folder):
    """100 MB of zeros in 100 kB, of a network that would need them."""
    shape = (135, 190_000)
    claim(shape, bytes(4 * shape[0] * shape[1]))(folder)
    described = describe(options="hidden=(190000, 6)")
    described(folder)


def manifest(text):
    return lambda folder: (folder / "manifest.json").write_text(text)


def replace_by(name, make):
    def harm(folder):
        (folder / name).unlink()
        make(folder / name)

    return harm


def nested(folder):
    (folder / "model.json").write_text(
        '{"format": 1, "kind": ' + "[" * 200_000 + "]" * 200_000 + "}"
    )
    sign(folder)


NAN = np.full((135, 8), np.nan, np.float32)
FOREIGN = ("hostile:make", "os:system", "logging:basicConfig", "builtins:exec", "IPython:embed")
CASES = {
    **{f"code {name}": (describe(architecture=name), "factory") for name in FOREIGN},
    "code with options": (
        describe(architecture="logging:basicConfig", options="filename='marker'"),
        "factory",
    ),
    "no such network": (describe(architecture="mlq"), "factory"),
    "an option that is none": (describe(options="__class__=3"), "options"),
    "an option that is code": (describe(options="hidden=(open('marker', 'w'), 3)"), "options"),
    "an option of 10**12": (describe(options="hidden=(1000000000000, 6)"), "hidden"),
    "a nested option": (describe(options="hidden=" + "(" * 5000), "options"),
    "many layers": (
        describe(architecture="resnet20", options="depths=(99999, 9, 9)"),
        "depths|fit",
    ),
    "another network": (describe(architecture="cnn1d", options=""), "fit|made"),
    "input_shape below 1": (describe(input_shape=[0, 3, 15]), "input_shape"),
    "input_shape huge": (describe(input_shape=[99999, 99999, 15]), "input_shape"),
    "input_shape of 10**9": (describe(input_shape=[10**9, 10**9, 15]), "input_shape"),
    "input_shape not square": (describe(input_shape=[3, 5, 15]), "input_shape"),
    "class_ids of 10**30": (describe(class_ids=[1, 2, 3, 10**30]), "class_ids|range|int"),
    "class_ids of 2**31": (describe(class_ids=[1, 2, 3, 2**31]), "class_ids"),
    "class_ids twice": (describe(class_ids=[1, 2, 3, 3]), "class_ids"),
    "too few ids": (describe(class_ids=[1, 2, 3]), "class_ids"),
    "microbatch_size of 10**12": (describe(microbatch_size=10**12), "microbatch_size"),
    "microbatch_size of 0": (describe(microbatch_size=0), "microbatch_size"),
    "kept_bands out of range": (
        describe(kept_bands=[*range(14), 10**15], file_bands=16),
        "kept_bands",
    ),
    "kept_bands below 0": (describe(kept_bands=[-1, *range(14)], file_bands=16), "kept_bands"),
    "kept_bands of no file": (describe(kept_bands=[*range(15)]), "kept_bands"),
    "a colour with markup": (describe(colours=['"><b>', *["#000000"] * 3]), "colours"),
    "band_axis of 3": (describe(band_axis=3), "band_axis"),
    "more channels than bands": (describe(num_bands=3), "preprocessing/components"),
    "a kind that is none": (describe(kind="video"), "kind"),
    "a huge number": (describe(num_bands=b"1" * 5000), "describe"),
    "an infinite wavelength": (
        describe(wavelengths=b"[" + b"1e999," * 14 + b"1]"),
        "describe|wave",
    ),
    "no object": (replace_by("model.json", lambda path: path.write_text("[1]")), "damaged"),
    "deep nesting": (nested, "describe"),
    "NaN weights": (weights(params__Dense_0__kernel=NAN), "Dense_0/kernel"),
    "an infinite mean": (weights(preprocessing__mean=np.full(15, np.inf)), "preprocessing/mean"),
    "a scale of 0": (weights(preprocessing__scale=np.zeros(15)), "scale"),
    "a missing array": (weights(params__Dense_0__kernel=None), "missing"),
    "one more array": (weights(params__Dense_9__kernel=np.zeros(3)), "Dense_9"),
    "no preprocessing": (weights(preprocessing__mean=None), "preprocessing/mean"),
    "another shape": (weights(params__Dense_0__kernel=NAN[:-1]), "Dense_0/kernel"),
    "doubles": (weights(params__Dense_0__kernel=NAN.astype(float)), "float64"),
    "texts": (weights(params__Dense_0__kernel=np.full((135, 8), "x")), "Dense_0/kernel"),
    "10**12 numbers": (claim((10**6, 10**6)), "claims"),
    "numbers below 0": (claim((-5, 10)), "claims"),
    "a true header and no numbers": (claim((135, 8)), "claims"),
    "another packing": (claim((135, 8), bytes(4 * 135 * 8), zipfile.ZIP_BZIP2), "packed"),
    "a bomb": (bomb, "unpack"),
    "an empty manifest": (manifest('{"sha256": {}}'), "manifest"),
    "a manifest of other files": (manifest('{"sha256": {"/dev/zero": "0"}}'), "manifest"),
    "a manifest that is none": (manifest("[" * 100_000), "manifest"),
    **{
        f"{name}, a {kind}": (replace_by(name, make), "damaged")
        for name in ("model.json", "weights.npz", "manifest.json")
        for kind, make in {
            "link to a device": lambda path: path.symlink_to("/dev/zero"),
            "pipe": os.mkfifo,
            "folder": os.mkdir,
        }.items()
    },
}


def told(load):
    """The error of a loading that takes little memory and ends soon."""

    def stop(*_):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            load()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert peak < MEMORY, f"{peak / 2**20:.0f} MiB"
    assert len(str(caught.value)) < 2000
    return str(caught.value)


@pytest.mark.parametrize(("harm", "message"), CASES.values(), ids=CASES)
def test_a_hostile_folder_is_refused_and_does_nothing(harm, message, folder):
    harm(folder)
    before = {path.name for path in folder.iterdir()}
    error = told(lambda: TrainedModel.load(folder))
    assert any(word in error for word in message.split("|")), error
    assert {path.name for path in folder.iterdir()} == before
    assert not (folder.parent / "marker").exists()


def test_the_harmless_folder_loads(folder):
    model = TrainedModel.load(folder)
    assert model.num_classes == 4
    assert "mlp" in repr(model)
    assert len(repr(model)) < 300


@pytest.mark.parametrize(
    "facts",
    [
        {"model": {"architecture": "hostile:make"}, "best_step": 3},
        {"model": {}, "best_step": "many"},
        {"model": {}},
        {},
    ],
)
def test_a_hostile_checkpoint_is_refused(facts, folder):
    model = model_of("mlp")
    if "model" in facts:
        facts["model"] = msgspec.to_builtins(model.description) | facts["model"]
    tree = {"state": {"params": model.params}, "model": model.arrays_beside()}
    told(lambda: TrainedModel.of_checkpoint(Checkpoint(3, facts, tree)))
    assert not (folder.parent / "marker").exists()


def test_the_command_imports_nothing_from_the_folder_even_if_told_to(folder):
    describe(architecture="hostile:make")(folder)
    error = told(lambda: load_model("", str(folder), "hostile:make"))
    assert "cannot be imported" in error
    assert not (folder.parent / "marker").exists()
