import pytest

from hsi_jax.hetero.profile import parse_profile
from hsi_jax.launch.restarts import Restarts, WorkerGroup, keep_running
from hsi_jax.launch.slowdown import Slowdown
from hsi_jax.launch.workers import WorkerError


@pytest.fixture
def run_with(tmp_path):
    """Lets starts fail one after the other, as told; returns the teams that were started."""
    (tmp_path / "log").touch()

    def go(failures, profile="4:2:1", begins=True, max_restarts=0, elastic=False):
        teams = []

        def start(group, number):
            assert number == len(teams)
            teams.append(group)
            if begins:
                (tmp_path / "config.json").write_text(str(number))
            if number < len(failures):
                rank, exit_code = failures[number]
                raise WorkerError(rank, exit_code, tmp_path / "log")

        group = WorkerGroup(parse_profile(profile), (Slowdown(2, 3.0, 5),))
        keep_running(start, group, tmp_path, Restarts(max_restarts, elastic, pause=0.0))
        return teams

    return go


RESUME = {"overwrite": "false", "resume": "true"}


def test_a_good_run_is_started_once(run_with):
    (group,) = run_with([], max_restarts=3)
    assert group.options == {}


def test_all_start_again_from_the_checkpoint(run_with, capsys):
    teams = run_with([(1, -9), (0, 1)], max_restarts=3)
    assert [len(group.profile) for group in teams] == [3, 3, 3]
    assert [group.options for group in teams] == [{}, RESUME, RESUME]
    err = capsys.readouterr().err
    assert "Lost: rank 1 was killed by SIGKILL\nRestart 1 of 3 in 0 s, with 3 processes" in err


def test_until_the_run_has_begun_its_own_options_hold(run_with, tmp_path):
    (tmp_path / "config.json").write_text("of an earlier run, to be overwritten")
    teams = run_with([(0, -9)], max_restarts=1, begins=False)
    assert [group.options for group in teams] == [{}, {}]


def test_the_elastic_go_on_without_the_dead(run_with):
    teams = run_with([(1, -9), (0, -11), (0, -9), (1, -9)], max_restarts=4, elastic=True)
    assert [group.profile.speeds for group in teams] == [(4, 2, 1), (4, 1), (1,), (1,), (1,)]
    assert [group.idle_process for group in teams] == [False, False, True, True, True]
    assert [[s.rank for s in group.slowdowns] for group in teams] == [[2], [1], [0], [0], [0]]
    assert teams[1].options == {"profile": "measured", **RESUME}
    assert teams[2].options == {"profile": "1:0", "devices_per_process": "1", **RESUME}


def test_a_slowdown_of_the_dead_dies_with_it(run_with):
    assert run_with([(2, -9)], max_restarts=1, elastic=True)[1].slowdowns == ()


def test_it_gives_up_with_the_reason(run_with, capsys):
    with pytest.raises(WorkerError, match=r"rank 2 .* 1"):
        run_with([(0, -9), (1, -9), (2, 1)], max_restarts=2)
    assert capsys.readouterr().err.endswith("Giving up after 2 restarts.\n")


def test_a_mistake_is_not_tried_again(run_with):
    with pytest.raises(WorkerError, match="exit code 2"):
        run_with([(0, 2)], max_restarts=5)


def test_the_pause_grows_up_to_a_minute(tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    (tmp_path / "log").touch()

    def start(group, number):
        raise WorkerError(0, -9, tmp_path / "log")

    with pytest.raises(WorkerError):
        keep_running(start, WorkerGroup(parse_profile("1")), tmp_path, Restarts(8))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
