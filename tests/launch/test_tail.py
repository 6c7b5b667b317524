from hsi_jax.launch.monitor import Tail


def test_a_tail_reads_whole_lines_once(tmp_path):
    path = tmp_path / "log"
    tail = Tail(path)
    assert tail.read_lines() == []
    path.write_bytes(b"one\ntw")
    assert tail.read_lines() == ["one"]
    assert tail.read_lines() == []
    with path.open("ab") as file:
        file.write(b"o\n\nthree\n")
    assert tail.read_lines() == ["two", "", "three"]


def test_a_tail_reads_what_was_there(tmp_path):
    path = tmp_path / "log"
    path.write_text("early\n")
    assert Tail(path).read_lines() == ["early"]


def test_a_tail_that_skips_leaves_out_what_was_there_and_sees_a_new_beginning(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("of an earlier run\n")
    tail = Tail(path, skip=True)
    assert tail.read_lines() == []
    path.write_text("")
    assert tail.read_lines() == []
    path.write_text("of this run\n")
    assert tail.read_lines() == ["of this run"]
