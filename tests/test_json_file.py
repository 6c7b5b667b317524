import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax import json_file
from hsi_jax.errors import InputError

contents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(contents)
def test_what_json_writes_is_read_back(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    assert json_file.read_json(path) == content
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8", errors="ignore")
    json_file.read_json(str(path))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_of_windows_is_read(encoding, tmp_path):
    content = {"devices": [{"name": "ä", "speed": 4.0}]}
    text = json.dumps(content, indent=1, ensure_ascii=False).replace("\n", "\r\n")
    (tmp_path / "windows.json").write_bytes(text.encode(encoding))
    assert json_file.read_json(tmp_path / "windows.json") == content


def test_not_a_number_is_read(tmp_path):
    (tmp_path / "nan.json").write_text("[NaN, -Infinity]")
    number, infinite = json_file.read_json(tmp_path / "nan.json")
    assert math.isnan(number)
    assert infinite == -math.inf


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.json"
    path.write_bytes(content)
    try:
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        expected = json.loads(content.decode("utf-16" if utf16 else "utf-8-sig"))
    except ValueError:
        with pytest.raises(InputError, match=r"bytes\.json is not (a JSON file|text in UTF-8)"):
            json_file.read_json(path)
    else:
        assert json.dumps(json_file.read_json(path)) == json.dumps(expected)


@pytest.mark.parametrize(("size", "refused"), [(-1, False), (0, False), (1, True)])
def test_the_largest_file(size, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(json_file, "MAX_BYTES", 100)
    path = tmp_path / "large.json"
    path.write_text("1" * (100 + size))
    if refused:
        with pytest.raises(InputError, match=r"large\.json has more than 100 bytes"):
            json_file.read_json(path)
    else:
        assert json_file.read_json(path) == int("1" * (100 + size))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json cannot be read: No such file"):
        json_file.read_json(tmp_path / "gone.json")
