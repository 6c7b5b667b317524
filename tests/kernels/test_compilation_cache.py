"""Programs that are kept: found again, never those of another place, and no trouble to a run."""

import itertools
import os
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path

import jax
import pytest

from hsi_jax.kernels import compilation_cache as compiled

ROOT = Path(__file__).parents[2]
KEPT = "hsi_jax/compiled"  # in the user's cache folder

PROGRAM = """
import os, resource
import jax, numpy as np
from hsi_jax.cluster import emulate_devices
from hsi_jax.kernels import use_compilation_cache

hits = []
jax.monitoring.register_event_listener(
    lambda name, **_: hits.append(name) if name.endswith("/cache_hits") else None
)
if limit := int(os.environ.get("LIMIT", 0)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
emulate_devices(2)
folder = use_compilation_cache()
rows = np.arange(64.0, dtype=np.float32).reshape(8, 8)
result = jax.jit(lambda x: jax.numpy.sin(x) @ x.T)(rows)
print(folder, len(hits), np.asarray(result).tobytes().hex())
"""


def begin(caches, command=(), **environment):
    """A Python that compiles, in which every warning is an error."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    return subprocess.Popen(
        [*command, sys.executable, "-W", "error", "-c", PROGRAM],
        env=usual | {"XDG_CACHE_HOME": str(caches), "JAX_PLATFORMS": "cpu"} | environment,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(process):
    """Its folder, the number of programs that it found, and its result."""
    out, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    folder, hits, result = out.split()
    return folder, int(hits), result


def start(caches, command=(), **environment):
    return end(begin(caches, command, **environment))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A user's cache folder after a first start, and the result of a start without it."""
    caches = tmp_path_factory.mktemp("filled")
    folder, hits, result = start(caches)
    assert Path(folder).is_relative_to(caches / KEPT)
    assert hits == 0
    assert start(caches, JAX_ENABLE_COMPILATION_CACHE="false") == ("None", 0, result)
    return caches, result


@pytest.fixture
def caches(filled, tmp_path):
    """A copy of it, to be spoiled."""
    shutil.copytree(filled[0], tmp_path / "caches")
    return tmp_path / "caches"


@pytest.fixture
def of_jax():
    """Lets a test set JAX's options for the cache."""
    names = [name for name in dir(jax.config) if "cache" in name and name.startswith("jax_")]
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.slow
def test_a_program_is_found_again_with_the_same_result(filled):
    caches, result = filled
    _, hits, again = start(caches)
    assert hits >= 1
    assert again == result
    for folder in ((caches / KEPT).parent, caches / KEPT):
        assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.parametrize("other", [{"NPROC": "7"}, {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"}])
def test_a_program_for_other_threads_or_another_processor_is_not_taken(caches, other):
    folder, hits, _ = start(caches, **other)
    assert hits == 0
    assert folder != start(caches)[0]


@pytest.mark.slow
def test_damaged_entries_are_replaced(caches, filled):
    spoils = (lambda data: b"", lambda data: data[:-9], lambda data: b"no")
    paths = sorted((caches / KEPT).rglob("*-cache"))
    for path, spoil in zip(paths, itertools.cycle(spoils), strict=False):
        path.write_bytes(spoil(path.read_bytes()))
    assert start(caches)[1:] == (0, filled[1])
    assert start(caches)[1] >= 1


@pytest.mark.slow
def test_entries_that_are_sound_but_no_programs_are_told_nowhere(caches, filled):
    for path in (caches / KEPT).rglob("*-cache"):
        path.write_bytes(zlib.compress(b"\0\0\0\0of another version"))
    assert start(caches)[1:] == (0, filled[1])


@pytest.mark.slow
def test_a_full_disk_is_told_nowhere_and_leaves_nothing_that_lasts(tmp_path, filled):
    assert start(tmp_path, LIMIT="100")[1:] == (0, filled[1])  # bytes of a file
    assert all(path.stat().st_size <= 100 for path in tmp_path.rglob("*-cache"))
    assert start(tmp_path)[1:] == (0, filled[1])
    assert start(tmp_path)[1] >= 1


@pytest.mark.slow
def test_a_folder_that_is_only_read_serves_all_the_same(caches, filled):
    command = ()
    if os.geteuid() == 0:  # who may write everywhere, but for this
        command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv")
    for path in [caches, *caches.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    _, hits, result = start(caches, command)
    assert (hits >= 1, result) == (True, filled[1])
    for path in [caches, *caches.rglob("*")]:
        path.chmod(0o700)


@pytest.mark.slow
def test_a_place_for_the_folder_that_cannot_be_used_is_told_nowhere(tmp_path, filled):
    (tmp_path / "caches").write_text("a file")
    assert start(tmp_path / "caches") == ("None", 0, filled[1])


@pytest.mark.slow
def test_several_processes_may_begin_at_once(tmp_path, filled):
    together = [begin(tmp_path) for _ in range(4)]
    assert {end(process)[2] for process in together} == {filled[1]}
    assert start(tmp_path)[1] >= 1


def test_folders_in_which_others_may_write_are_not_used(tmp_path, monkeypatch, of_jax):
    monkeypatch.delenv(compiled.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compiled.use_compilation_cache()
    assert folder.parent == tmp_path / KEPT
    folder.chmod(0o770)
    assert compiled.use_compilation_cache() is None
    folder.chmod(0o700)
    (tmp_path / KEPT).chmod(0o777)
    assert compiled.use_compilation_cache() is None


def test_neither_is_a_chosen_folder_that_others_may_write_in(tmp_path, monkeypatch, of_jax, caplog):
    monkeypatch.setenv(compiled.FOLDER_VARIABLE, str(tmp_path / "mine"))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))  # as JAX does itself
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine").chmod(0o777)
    assert compiled.use_compilation_cache() is None
    assert jax.config.jax_compilation_cache_dir is None
    assert str(tmp_path / "mine") in caplog.text


@pytest.mark.skipif(not hasattr(os, "chown") or os.geteuid() != 0, reason="needs another owner")
def test_neither_is_one_with_programs_of_another_user(tmp_path, monkeypatch, of_jax):
    monkeypatch.setenv(compiled.FOLDER_VARIABLE, str(tmp_path / "mine"))
    program = compiled.use_compilation_cache() / "program"
    program.touch(mode=0o664)
    assert compiled.use_compilation_cache() is not None
    os.chown(program, 12345, 12345)
    assert compiled.use_compilation_cache() is None


def test_the_variables_of_jax_are_followed(tmp_path, monkeypatch, of_jax):
    monkeypatch.setenv(compiled.FOLDER_VARIABLE, str(tmp_path / "mine"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "7")
    before = jax.config.jax_persistent_cache_min_compile_time_secs
    assert compiled.use_compilation_cache().parent == tmp_path / "mine"
    assert jax.config.jax_persistent_cache_min_compile_time_secs == before
    jax.config.update("jax_enable_compilation_cache", False)
    assert compiled.use_compilation_cache() is None


def test_the_default_is_in_the_users_cache_folder(tmp_path, monkeypatch):
    assert compiled.default_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / KEPT
    monkeypatch.setenv("HOME", str(tmp_path))
    for relative in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "here"}):
        assert compiled.default_folder(relative) == tmp_path / ".cache" / KEPT

    def homeless():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert compiled.default_folder({}) is None


def test_the_suite_keeps_out_of_the_users_cache_folder():
    folder = Path(os.environ[compiled.FOLDER_VARIABLE])
    assert not folder.is_relative_to(compiled.default_folder({}).parent)


def test_a_place_has_its_own_name(monkeypatch):
    usual = compiled.place_name()
    assert compiled.place_name() == usual
    assert f"jax-{jax.__version__}-" in usual
    changes = (
        lambda at: at.setenv("NPROC", "3"),
        lambda at: at.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3"),
        lambda at: at.setattr(os, "sched_getaffinity", lambda pid: range(99), raising=False),
        lambda at: at.setattr(compiled, "processor", lambda file: "another"),
        lambda at: at.setattr(compiled, "version", lambda package: "99"),
    )
    names = {usual}
    for change in changes:
        with monkeypatch.context() as at:
            change(at)
            names.add(compiled.place_name())
    assert len(names) == 1 + len(changes)


def test_a_processor_is_known_by_what_it_can_and_not_by_its_clock(tmp_path):
    def told(**lines):
        text = "".join(f"{name}\t: {value}\n" for name, value in lines.items())
        (tmp_path / "cpuinfo").write_text(f"{text}\nprocessor\t: 1\nflags\t: other\n")
        return compiled.processor(tmp_path / "cpuinfo")

    usual = told(processor=0, model=85, flags="fpu avx512f", MHz=2100)
    assert told(processor=3, model=85, flags="fpu avx512f", MHz=1400) == usual
    assert told(processor=0, model=85, flags="fpu", MHz=2100) != usual
    assert told(processor=0, model=86, flags="fpu avx512f", MHz=2100) != usual
    assert compiled.processor(tmp_path / "none")  # not on Linux


def test_the_oldest_programs_go_first(tmp_path):
    for number in range(6):
        folder = tmp_path / f"place{number % 2}"
        folder.mkdir(exist_ok=True)
        path = folder / f"{number}-cache"
        path.write_bytes(zlib.compress(os.urandom(1000)))
        os.utime(path, ns=(number, number))
    size = path.stat().st_size
    (folder / "notes.txt").write_text("no program")
    compiled.tidy(tmp_path, max_bytes=3 * size)
    left = sorted(path.name for path in tmp_path.rglob("*-cache"))
    assert left == ["3-cache", "4-cache", "5-cache"]
    assert (folder / "notes.txt").exists()


def test_an_entry_is_looked_at_once(tmp_path, monkeypatch):
    folder = tmp_path / "place"
    folder.mkdir()
    looked = []
    monkeypatch.setattr(compiled, "_is_sound", lambda data: looked.append(data) or True)
    (folder / "a-cache").write_bytes(b"a")
    compiled.tidy(tmp_path)
    later = time.time() + 60  # file systems round times
    os.utime(folder / "checked", (later, later))
    compiled.tidy(tmp_path)
    assert looked == [b"a"]
