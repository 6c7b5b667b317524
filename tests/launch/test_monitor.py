import contextlib

import pytest

from hsi_jax.launch import monitor
from hsi_jax.launch.monitor import Monitor, Tail
from hsi_jax.launch.slowdown import Slowdown
from hsi_jax.run.records import Evaluation, Start, Step, write_record


class FakeThrottle:
    """Notes what it is told."""

    def __init__(self):
        self.running = False
        self.factors = []

    def __enter__(self):
        self.running = True

    def __exit__(self, *exception):
        self.running = False

    def set_slowdown(self, rank, factor):
        self.factors.append((rank, factor))


class FakeBar:
    """Counts as a progress bar does, and prints above it."""

    write = staticmethod(print)

    def __init__(self, **options):
        self.options, self.count, self.closed = options, 0, False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.closed = True

    def update(self):
        self.count += 1


@pytest.fixture
def metrics(tmp_path):
    """A file that records are added to."""
    path = tmp_path / "metrics.jsonl"

    def add(*records):
        with path.open("a", encoding="utf-8") as file:
            file.writelines(map(write_record, records))

    return path, add


def step(number):
    return Step(step=number, loss=1.0, learning_rate=0.1, seconds=1.0, step_seconds=0.1)


@pytest.fixture
def watching(tmp_path, metrics):
    """A monitor, its throttle, and the file that rank 0 prints to."""
    throttle = FakeThrottle()
    log = tmp_path / "rank0.log"
    log.touch()
    slowdowns = [Slowdown(1, 5, 1, 3), Slowdown(1, 2, 2, 4), Slowdown(0, 2, 1000)]
    with contextlib.ExitStack() as stack:
        tails = Tail(log), Tail(metrics[0], skip=True)
        watch = Monitor(
            *tails,
            throttle=throttle,  # pyright: ignore[reportArgumentType] (a fake)
            stack=stack,
            slowdowns=slowdowns,
        )
        yield watch, throttle, log
    assert not throttle.running


def test_what_rank_0_prints_is_shown(watching, capsys):
    watch, _, log = watching
    log.write_text("one\ntwo\nthr")
    watch()
    assert capsys.readouterr().out == "one\ntwo\n"
    log.write_text("one\ntwo\nthree\n")
    watch.show()
    assert capsys.readouterr().out == "three\n"


def test_the_throttle_begins_with_the_first_step_so_that_compiling_is_not_slowed(watching, metrics):
    watch, throttle, _ = watching
    watch()
    assert not watch.throttled
    assert not throttle.running
    metrics[1](Start(num_steps=3))
    watch()
    assert not watch.throttled
    metrics[1](step(0))
    watch()
    assert watch.throttled
    assert throttle.running


def test_slowdowns_follow_the_steps(watching, metrics):
    watch, throttle, _ = watching
    expected = [(0, 1), (1, 5), (2, 10), (3, 2), (4, 1)]
    for number, factor in expected:
        throttle.factors.clear()
        metrics[1](step(number))
        watch()
        assert sorted(throttle.factors) == [(0, 1), (1, factor)]


def test_a_bar_counts_the_steps(watching, metrics, monkeypatch):
    monkeypatch.setattr(monitor, "tqdm", FakeBar)
    watch, _, _ = watching
    scores = Evaluation(
        set="validation", step=2, loss=1, overall_accuracy=1, average_accuracy=1, kappa=1
    )
    metrics[1](Start(num_steps=4), step(0), step(1), scores)
    watch()
    bar = watch._bar
    assert (bar.options["total"], bar.count, bar.closed) == (4, 2, False)
    assert bar.options["disable"] is None  # on a terminal only
    watch._stack.close()
    assert bar.closed


def test_a_broken_line_is_left_out(watching, metrics):
    watch, throttle, _ = watching
    path, add = metrics
    path.write_text('{"kind":"step","st\n')
    add(step(2))
    watch()
    assert (1, 10) in throttle.factors
