import numpy as np
import pytest

from hsi_jax.data.image_loader import load_image_set
from hsi_jax.data.split import random_split
from hsi_jax.errors import InputError

RNG = np.random.default_rng(0)
PIXELS = {
    f"{name}/{i}.png": RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    for name in ("lake", "Field")
    for i in range(4)
}


@pytest.fixture
def folder(write_pictures, encode):
    return write_pictures("fields", {path: encode(p) for path, p in PIXELS.items()})


def test_ids_follow_the_names(folder):
    images = load_image_set("folder", folder)
    assert (images.name, images.class_names) == ("fields", ("Field", "lake"))
    assert images.labels.tolist() == [0] * 4 + [1] * 4
    assert (images.labels.dtype, images.shape) == (np.int32, (6, 5, 3))
    expected = [PIXELS[path] for path in sorted(PIXELS)]
    np.testing.assert_array_equal(images.read(np.arange(8)), expected)
    assert images.official is None


def test_all_grey_is_one_channel(write_pictures, encode):
    files = {path: encode(p[..., 0]) for path, p in PIXELS.items()}
    images = load_image_set("folder", write_pictures("grey", files))
    np.testing.assert_array_equal(images.read([1])[0, ..., 0], PIXELS["Field/1.png"][..., 0])
    files["lake/2.png"] = encode(PIXELS["lake/2.png"])
    images = load_image_set("folder", write_pictures("mixed", files))
    assert images.shape == (6, 5, 3)
    np.testing.assert_array_equal(images.read([6])[0], PIXELS["lake/2.png"])


def test_sizes_agree_or_are_made_to(folder, encode):
    (folder / "lake" / "1.png").write_bytes(encode(np.full((7, 5, 3), 9, np.uint8)))
    with pytest.raises(InputError, match=r"lake/1\.png has 7 x 5 pixels, .* 6 x 5.*--image_size"):
        load_image_set("folder", folder)
    images = load_image_set("folder", folder, size=3)
    read = images.read(np.arange(8))
    assert read.shape == (8, 3, 3, 3)
    assert (read[5] == 9).all()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("stray.png", r"stray\.png is not directly in a class folder"),
        ("lake/deep/1.png", r"deep/1\.png is not directly in a class folder"),
        ("lake/5.png", r"lake/5\.png cannot be read as a picture"),
    ],
)
def test_odd_files_are_named(folder, encode, path, message):
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(b"" if path == "lake/5.png" else encode(PIXELS["lake/1.png"]))
    with pytest.raises(InputError, match=message):
        load_image_set("folder", folder)


def test_a_picture_cut_off_is_named_when_it_is_read(folder):
    path = folder / "lake" / "0.png"
    path.write_bytes(path.read_bytes()[:-30])
    images = load_image_set("folder", folder)
    with pytest.raises(InputError, match=r"lake/0\.png cannot be read"):
        images.read([4])


def test_classes_need_images(folder, encode):
    (folder / "none").mkdir()
    with pytest.raises(InputError, match="no image of none"):
        load_image_set("folder", folder)
    (folder / "none" / "1.png").write_bytes(encode(PIXELS["lake/1.png"]))
    images = load_image_set("folder", folder)
    with pytest.raises(InputError, match=r"\(none\) with 1: a class needs at least 2"):
        random_split(images.labels, 0, fraction=0.5, class_names=images.class_names)


def test_the_folder_must_be_there(tmp_path):
    with pytest.raises(InputError, match="needs --data_dir"):
        load_image_set("folder")
    with pytest.raises(InputError, match="no data folder"):
        load_image_set("folder", tmp_path / "nowhere")
    with pytest.raises(InputError, match="no pictures"):
        load_image_set("folder", tmp_path)
    with pytest.raises(InputError, match="image size of 0"):
        load_image_set("folder", tmp_path, size=0)
