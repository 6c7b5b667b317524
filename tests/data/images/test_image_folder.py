import os

import numpy as np
import pytest
from PIL import Image

from hsi_jax.data.images.image_loader import load_image_set
from hsi_jax.data.splits.split import random_split
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
    with pytest.raises(InputError, match=r"lake/1\.png.*7 x 5.*6 x 5.*image_size"):
        load_image_set("folder", folder)
    images = load_image_set("folder", folder, image_size=3)
    read = images.read(np.arange(8))
    assert read.shape == (8, 3, 3, 3)
    assert (read[5] == 9).all()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("stray.png", r"stray\.png.*folder"),
        ("lake/deep/1.png", r"deep/1\.png.*folder"),
        ("lake/5.png", r"lake/5\.png.*picture"),
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
    with pytest.raises(InputError, match=r"lake/0\.png"):
        images.read([4])


def test_classes_need_images(folder, encode):
    (folder / "none").mkdir()
    with pytest.raises(InputError, match="none"):
        load_image_set("folder", folder)
    (folder / "none" / "1.png").write_bytes(encode(PIXELS["lake/1.png"]))
    images = load_image_set("folder", folder)
    with pytest.raises(InputError, match=r"\(none\) with 1"):
        random_split(images.labels, 0, train_fraction=0.5, class_names=images.class_names)


def test_the_folder_must_be_there(tmp_path):
    with pytest.raises(InputError, match="data_dir"):
        load_image_set("folder")
    with pytest.raises(InputError, match="nowhere"):
        load_image_set("folder", tmp_path / "nowhere")
    with pytest.raises(InputError, match="no pictures"):
        load_image_set("folder", tmp_path)
    with pytest.raises(InputError, match="image_size"):
        load_image_set("folder", tmp_path, image_size=0)


def save_npy(folder, pixels):
    for path, array in pixels.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        np.save((folder / path).with_suffix(".npy"), array)
    return folder


@pytest.mark.parametrize(("dtype", "bands"), [("uint16", 13), ("float32", 4), ("uint8", 5)])
def test_any_bands_and_type_stay_as_they_are(dtype, bands, tmp_path):
    pixels = {path: RNG.integers(0, 200, (6, 5, bands)).astype(dtype) for path in PIXELS}
    images = load_image_set("folder", save_npy(tmp_path / "it", pixels))
    assert (images.shape, images.dtype) == ((6, 5, bands), np.dtype(dtype))
    read = images.read(np.arange(8))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, [pixels[path] for path in sorted(pixels)])


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (np.zeros((6, 5, 4), np.uint16), r"lake/1\.npy has 4 bands.*13 bands"),
        (np.zeros((6, 5, 13), np.uint8), r"lake/1\.npy has values of type uint8.*uint16"),
        (np.zeros((6, 6, 13), np.uint16), r"lake/1\.npy has 6 x 6 pixels.*image_size"),
    ],
)
def test_a_picture_unlike_the_others_is_named(odd, message, tmp_path):
    pixels = {path: np.zeros((6, 5, 13), np.uint16) for path in PIXELS} | {"lake/1.png": odd}
    with pytest.raises(InputError, match=message):
        load_image_set("folder", save_npy(tmp_path / "it", pixels))


def test_links_to_folders_are_followed_but_not_in_a_circle(folder, tmp_path):
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in ("lake", "Field"):
        (linked / name).symlink_to(folder / name)
    expected = load_image_set("folder", folder)
    images = load_image_set("folder", linked)
    assert images.class_names == expected.class_names
    np.testing.assert_array_equal(images.read(np.arange(8)), expected.read(np.arange(8)))
    (folder / "lake" / "round").symlink_to(folder)
    assert len(load_image_set("folder", folder)) == 8


def test_folders_of_systems_are_no_classes(folder, encode):
    picture = encode(PIXELS["lake/1.png"])
    for name in ("__pycache__", "lake/.ipynb_checkpoints", "lake/@eaDir"):
        (folder / name).mkdir()
        (folder / name / "1.png").write_bytes(picture)
    (folder / "lake" / "._1.png").write_bytes(b"\0\5\x16\7")
    (folder / "lake" / "Thumbs.db").write_bytes(b"x")
    assert len(load_image_set("folder", folder)) == 8


def test_what_is_done_to_pictures_is_noted(folder):
    assert load_image_set("folder", folder).note == ""
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("0", "2"):
        Image.fromarray(PIXELS[f"lake/{name}.png"]).save(folder / f"lake/{name}.png", exif=exif)
    images = load_image_set("folder", folder)
    assert "2 pictures" in images.note
    assert "EXIF" in images.note
    np.testing.assert_array_equal(images.read([4])[0], PIXELS["lake/0.png"][::-1, ::-1])


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_pipes_and_devices_are_refused(make, tmp_path):
    (tmp_path / "a").mkdir()
    make(tmp_path / "a" / "1.png")
    with pytest.raises(InputError, match=r"1\.png is a (pipe|device)"):
        load_image_set("folder", tmp_path)
