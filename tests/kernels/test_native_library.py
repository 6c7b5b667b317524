"""The bundled kernels: built once, kept for this processor, and clear words where that fails."""

import os
import stat
from pathlib import Path

import pytest

from hsi_jax.errors import InputError
from hsi_jax.kernels import native_library as native
from hsi_jax.kernels import native_winograd
from hsi_jax.kernels.choice import use_kernels


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """The user's cache folder; nothing is loaded into this process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(native_winograd, "is_loaded", lambda: False)
    monkeypatch.setattr(native_winograd, "load", lambda library: library.read_bytes()[0])
    monkeypatch.setattr(native_winograd, "_used", False)
    return tmp_path / "hsi_jax" / "native"


def compiler(folder, command):
    """A compiler that does this, and writes down its arguments."""
    path = folder / "compiler"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{command}\n', encoding="utf-8")
    path.chmod(0o700)
    return path


BUILDS = 'for last; do :; done; echo library > "$last"'


def calls(folder):
    return (folder / "calls").read_text(encoding="utf-8").splitlines()


def test_they_are_built_once_and_kept(caches, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", f"{compiler(tmp_path, BUILDS)} -mine")
    for _ in range(2):
        use_kernels("native")
        assert native_winograd.is_used()
        use_kernels("xla")
        assert not native_winograd.is_used()
    (call,) = calls(tmp_path)
    assert call.startswith("-mine -std=c++17 ")
    (kept,) = caches.iterdir()
    assert kept.read_text(encoding="utf-8") == "library\n"
    assert stat.S_IMODE(caches.stat().st_mode) == 0o700


def test_each_processor_source_and_jax_has_its_own(caches, tmp_path, monkeypatch):
    def key():
        return native._key(os.environ)

    source = tmp_path / "source.cc"
    source.write_text("another", encoding="utf-8")
    keys = [key(), key()]
    for owner, name, value in (
        (native, "processor", lambda file: "another"),
        (native, "version", lambda package: "another"),
        (native_winograd, "SOURCE", source),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            keys.append(key())
    monkeypatch.setenv("CXX", "another")
    keys.append(key())
    assert keys[0] == keys[1]
    assert len(set(keys)) == 5


def test_a_folder_of_others_is_not_used(caches, tmp_path, monkeypatch):
    caches.mkdir(parents=True)
    caches.chmod(0o777)
    assert native.kept_folder(os.environ) is None
    monkeypatch.setenv("CXX", str(compiler(tmp_path, BUILDS)))
    use_kernels("native")
    assert native_winograd.is_used()
    assert list(caches.iterdir()) == []


def test_nothing_to_keep_it_in(caches, tmp_path, monkeypatch):
    caches.parent.write_text("a file", encoding="utf-8")
    assert native.kept_folder(os.environ) is None
    monkeypatch.setattr(native, "default_folder", lambda environment, name: None)
    assert native.kept_folder(os.environ) is None


def test_a_full_disk_costs_the_time_to_build(caches, tmp_path, monkeypatch):
    def full(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("CXX", str(compiler(tmp_path, BUILDS)))
    monkeypatch.setattr(native.shutil, "copyfile", full)
    use_kernels("native")
    assert native_winograd.is_used()
    assert list(caches.iterdir()) == []


def test_the_first_compiler_that_there_is(tmp_path):
    for name in ("g++", "clang++"):
        (tmp_path / name).symlink_to(compiler(tmp_path, BUILDS))
    here = {"PATH": str(tmp_path)}
    assert native.find_compiler(here) == [str(tmp_path / "g++")]
    chosen = {"CXX": "clang++ -stdlib=libc++"} | here
    assert native.find_compiler(chosen) == [str(tmp_path / "clang++"), "-stdlib=libc++"]


@pytest.mark.parametrize(
    ("environment", "named"), [({}, "c++, g++ and clang++"), ({"CXX": "mine -x"}, "mine")]
)
def test_no_compiler(tmp_path, environment, named):
    with pytest.raises(InputError, match=r"`kernels`=native.*install one.*CXX") as raised:
        native.find_compiler({"PATH": str(tmp_path)} | environment)
    assert f"but {named} " in str(raised.value)


def test_other_processors_are_refused(monkeypatch):
    monkeypatch.setattr(native.platform, "machine", lambda: "aarch64")
    with pytest.raises(InputError, match="for x86_64 and amd64, and this is aarch64"):
        native.find_compiler({})


def test_a_compiler_that_fails_is_quoted(caches, tmp_path, monkeypatch):
    failing = compiler(tmp_path, "for i in 1 2 3 4 5 6; do echo line $i >&2; done; exit 3")
    monkeypatch.setenv("CXX", str(failing))
    with pytest.raises(InputError, match=r"(?s)exit code 3.*\nline 2\n.*line 6$") as raised:
        use_kernels("native")
    assert str(failing) in str(raised.value)
    assert not native_winograd.is_used()
    assert list(caches.iterdir()) == []


@pytest.mark.parametrize("error", [OSError("not a library"), AttributeError("no such symbol")])
def test_a_library_that_cannot_be_loaded(caches, tmp_path, monkeypatch, error):
    def fail(library):
        raise error

    monkeypatch.setenv("CXX", str(compiler(tmp_path, BUILDS)))
    monkeypatch.setattr(native_winograd, "load", fail)
    with pytest.raises(InputError, match=f"cannot be loaded.*{error}"):
        use_kernels("native")
    assert not native_winograd.is_used()


def other_bits(path):
    path.write_bytes(b"L" + path.read_bytes()[1:])


def other_owner(path):
    os.chown(path, 12345, 12345)


def other_writers(path):
    path.chmod(0o666)


def link(path):
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


@pytest.mark.parametrize(
    "spoil", [other_bits, lambda path: os.truncate(path, 3), other_owner, other_writers, link]
)
def test_what_was_kept_and_is_not_sound_is_built_anew(caches, tmp_path, monkeypatch, spoil):
    if spoil is other_owner and os.geteuid() != 0:
        pytest.skip("needs another owner")
    loaded = []
    monkeypatch.setattr(native_winograd, "load", lambda path: loaded.append(path.read_bytes()))
    monkeypatch.setenv("CXX", str(compiler(tmp_path, BUILDS)))
    use_kernels("native")
    use_kernels("xla")
    (kept,) = caches.iterdir()
    spoil(kept)
    use_kernels("native")
    assert loaded == [b"library\n"] * 2
    assert len(calls(tmp_path)) == 2
    assert kept.read_bytes() == b"library\n"


def test_another_platform_needs_none(caches, monkeypatch):
    monkeypatch.setattr(native.jax, "default_backend", lambda: "gpu")
    monkeypatch.setenv("CXX", "none such")
    use_kernels("native")
    assert not native_winograd.is_used()


def test_only_these_names():
    with pytest.raises(InputError, match="`kernels`=onednn: choose one of auto, xla, native"):
        use_kernels("onednn")


def test_the_source_is_part_of_the_package():
    assert native_winograd.SOURCE.is_file()
    package_data = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert '"kernels/*.cc"' in package_data
