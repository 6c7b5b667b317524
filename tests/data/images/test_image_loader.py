"""The sets of the catalogue, from small archives, through TFDS."""

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hsi_jax.data.images import image_loader
from hsi_jax.data.images.image_loader import load_image_set
from hsi_jax.data.images.picture import read_picture
from hsi_jax.data.public import builders, tfds_store
from hsi_jax.data.public.download import file_sha256
from hsi_jax.data.public.image_catalogue import IMAGE_CATALOGUE
from hsi_jax.data.public.tfds_store import find_builder, prepare
from hsi_jax.errors import InputError

EUROSAT = IMAGE_CATALOGUE["eurosat"]
FORMATS = {"eurosat": ("JPEG", "jpg"), "resisc45": ("JPEG", "jpg"), "uc_merced": ("TIFF", "tif")}
AROUND = {"eurosat": "2750", "resisc45": "NWPU-RESISC45", "uc_merced": "UCMerced_LandUse/Images"}


def small_files(info, encode, per_class=2):
    """{path: bytes} in the layout of the archive."""
    file_format, suffix = FORMATS[info.name]
    rng = np.random.default_rng(0)
    files = {}
    for name in info.class_names:
        for i in range(per_class):
            coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            pixels = np.kron(coarse, np.ones((info.shape[0] // 4, info.shape[1] // 4, 1), np.uint8))
            path = f"{AROUND[info.name]}/{name}/{name}_{i}.{suffix}"
            files[path] = encode(pixels, file_format)
    return files


@pytest.fixture
def default_root(tmp_path, monkeypatch):
    """A folder in the place of ~/tensorflow_datasets."""
    from tensorflow_datasets.core import constants

    monkeypatch.setattr(constants, "DATA_DIR", os.fspath(tmp_path / "default"))
    return tmp_path / "default"


@pytest.fixture
def eurosat_zip(write_pictures, encode):
    return write_pictures("data/EuroSAT.zip", small_files(EUROSAT, encode))


def publish(monkeypatch, **changes):
    """As if EuroSAT were published otherwise."""
    info = replace(EUROSAT, **changes)
    monkeypatch.setattr(builders.HsiJaxEurosat, "INFO", info)
    monkeypatch.setattr(image_loader, "IMAGE_CATALOGUE", {**IMAGE_CATALOGUE, "eurosat": info})


@pytest.mark.parametrize("name", list(IMAGE_CATALOGUE))
@pytest.mark.parametrize("packed", [True, False])
def test_small_archives_give_their_images(write_pictures, encode, tmp_path, name, packed):
    info = IMAGE_CATALOGUE[name]
    files = small_files(info, encode)
    write_pictures(f"data/{info.archives[0]}" if packed else "data", files)
    images = load_image_set(name, tmp_path / "data")
    assert (images.name, images.class_names, images.shape) == (name, info.class_names, info.shape)
    assert np.bincount(images.labels).tolist() == [2] * len(info.class_names)
    expected = sorted(
        (info.class_names.index(Path(path).parent.name), read_picture(data, path).tobytes())
        for path, data in files.items()
    )
    pixels = [image.tobytes() for image in images.read(np.arange(len(images)))]
    assert sorted(zip(images.labels.tolist(), pixels, strict=True)) == expected
    assert f"It has {len(files)} images, the published set has {info.num_images}." in images.note
    assert "hecksum" in images.note
    assert images.official is None


def test_the_folder_of_the_classes_may_have_any_name(write_pictures, encode, monkeypatch):
    files = {path.partition("/")[2]: data for path, data in small_files(EUROSAT, encode).items()}
    folder = write_pictures("mine", files)
    monkeypatch.chdir(folder)
    assert len(load_image_set("eurosat", ".")) == 20
    assert len(load_image_set("eurosat", folder)) == 20


def test_the_set_is_prepared_once_beside_its_archive(eurosat_zip, monkeypatch):
    first = load_image_set("eurosat", eurosat_zip.parent)
    made = eurosat_zip.parent / "hsi_jax_eurosat" / "1.0.0"
    assert str(made) in first.source
    monkeypatch.setattr(builders.HsiJaxEurosat, "_generate_examples", None)
    again = load_image_set("eurosat", eurosat_zip.parent)
    np.testing.assert_array_equal(again.labels, first.labels)
    eurosat_zip.unlink()
    images = load_image_set("eurosat", eurosat_zip.parent)
    np.testing.assert_array_equal(images.read([3, 1]), first.read([3, 1]))


def test_a_folder_that_cannot_be_written_leaves_the_set_to_tfds(
    eurosat_zip, default_root, monkeypatch
):
    monkeypatch.setattr(tfds_store.os, "access", lambda path, _: "data" not in Path(path).parts)
    images = load_image_set("eurosat", eurosat_zip.parent)
    assert str(default_root) in images.source
    assert [entry.name for entry in eurosat_zip.parent.iterdir()] == ["EuroSAT.zip"]
    assert len(load_image_set("eurosat")) == 20


def test_a_prepared_set_in_a_folder_that_may_only_be_read_is_used(eurosat_zip, monkeypatch):
    """Nothing is opened for writing, and nothing is made."""
    first = load_image_set("eurosat", eurosat_zip.parent)
    before = sorted(eurosat_zip.parent.rglob("*"))

    events, active = ("open", "os.mkdir", "os.rename", "os.remove"), [True]

    def refuse(event, arguments):  # it cannot be taken away again, so it must harm no other test
        if not active or event not in events:
            return
        path, mode = str(arguments[0]), str(arguments[1] if len(arguments) > 1 else "")
        writes = event in ("os.mkdir", "os.rename", "os.remove") or set(mode) & set("wxa+")
        if writes and path.startswith(str(eurosat_zip.parent)):
            raise PermissionError(f"{event} {path}")

    sys.addaudithook(refuse)
    monkeypatch.setattr(tfds_store.os, "access", lambda path, _: "data" not in Path(path).parts)
    try:
        again = load_image_set("eurosat", eurosat_zip.parent)
        assert again.source == first.source
        np.testing.assert_array_equal(again.read([3, 1]), first.read([3, 1]))
    finally:
        active.clear()
    assert sorted(eurosat_zip.parent.rglob("*")) == before


def test_a_folder_that_nothing_can_be_prepared_in_is_named(eurosat_zip, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("hsi_jax.data.public.tfds_store._one_process", refuse)
    with pytest.raises(InputError, match="data_dir") as error:
        load_image_set("eurosat", eurosat_zip.parent)
    assert "network" not in str(error.value)


def test_another_archive_than_the_set_was_made_from_is_noticed(eurosat_zip, write_pictures, encode):
    load_image_set("eurosat", eurosat_zip.parent)
    write_pictures("data/EuroSAT.zip", small_files(EUROSAT, encode, 3))
    with pytest.raises(InputError, match=r"another archive.*EuroSAT\.zip"):
        load_image_set("eurosat", eurosat_zip.parent)


def test_the_published_archive_needs_no_note(eurosat_zip, monkeypatch):
    publish(monkeypatch, sha256=file_sha256(eurosat_zip), num_images=20)
    assert load_image_set("eurosat", eurosat_zip.parent).note == ""


def test_the_archive_is_downloaded_and_checked(eurosat_zip, default_root, server, monkeypatch):
    server.files["E.zip"] = eurosat_zip.read_bytes()
    server.cuts = [1000]
    sha256 = file_sha256(eurosat_zip)
    publish(monkeypatch, urls=(server.url("E.zip"),), sha256=sha256, num_images=20)
    images = load_image_set("eurosat")
    assert (len(images), images.note) == (20, "")
    assert (default_root / "downloads" / "EuroSAT.zip").is_file()
    load_image_set("eurosat")
    assert len(server.requests) == 2  # the second after the cut
    shutil.rmtree(default_root / "hsi_jax_eurosat")
    server.files["E.zip"] += b"?"
    load_image_set("eurosat")
    (default_root / "downloads" / "EuroSAT.zip").unlink()
    shutil.rmtree(default_root / "hsi_jax_eurosat")
    with pytest.raises(InputError, match="checksum"):
        load_image_set("eurosat")
    assert not (default_root / "hsi_jax_eurosat").exists() or not any(
        (default_root / "hsi_jax_eurosat").iterdir()
    )


def test_a_missing_archive_says_what_to_put_where(tmp_path, server, monkeypatch):
    publish(monkeypatch, urls=(server.url("gone.zip"),))
    with pytest.raises(InputError) as error:
        load_image_set("eurosat", tmp_path)
    for part in ("EuroSAT.zip", str(tmp_path), "gone.zip", EUROSAT.page, "data_dir"):
        assert part in str(error.value)
    with pytest.raises(InputError, match=r"NWPU-RESISC45\.rar"):
        load_image_set("resisc45", tmp_path)
    (tmp_path / "NWPU-RESISC45.rar").touch()
    with pytest.raises(InputError, match=r"unrar x"):
        load_image_set("resisc45", tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("cut", r"EuroSAT\.zip.*damaged"),
        ("size", r"Forest_1\.jpg.*65 x 64.*64 x 64"),
        ("depth", r"Forest_1\.jpg.*8 bits"),
        ("picture", r"Forest_1\.jpg.*picture"),
        ("class", r"without pictures: Forest"),
        ("other", r"Swamp"),
    ],
)
def test_bad_archives_leave_nothing(write_pictures, encode, tmp_path, damage, message):
    files = small_files(EUROSAT, encode)
    path = "2750/Forest/Forest_1.jpg"
    if damage == "size":
        files[path] = encode(np.zeros((65, 64, 3), np.uint8), "JPEG")
    if damage == "depth":
        files[path] = encode(np.zeros((64, 64), np.uint16))
    if damage == "picture":
        files[path] = files[path][:-100]
    if damage == "class":
        del files[path], files["2750/Forest/Forest_0.jpg"]
    if damage == "other":
        files["2750/Swamp/1.jpg"] = files[path]
    archive = write_pictures("data/EuroSAT.zip", files)
    if damage == "cut":
        archive.write_bytes(archive.read_bytes()[:-1000])
    with pytest.raises(InputError, match=message):
        load_image_set("eurosat", tmp_path / "data")
    made = tmp_path / "data" / "hsi_jax_eurosat"
    assert not made.exists() or not any(made.iterdir())


def test_grey_and_odd_sizes_are_made_alike_in_uc_merced(write_pictures, encode, tmp_path):
    info = IMAGE_CATALOGUE["uc_merced"]
    files = small_files(info, encode)
    river = "UCMerced_LandUse/Images/river/river_0.tif"
    files[river] = encode(np.full((247, 250), 77, np.uint8), "TIFF")
    write_pictures("data/UCMerced_LandUse.zip", files)
    images = load_image_set("uc_merced", tmp_path / "data")
    rivers = images.read(np.flatnonzero(images.labels == info.class_names.index("river")))
    assert [(pixels == 77).all() for pixels in rivers].count(True) == 1


def test_a_size_is_made_at_reading(eurosat_zip):
    images = load_image_set("eurosat", eurosat_zip.parent, image_size=32)
    whole = load_image_set("eurosat", eurosat_zip.parent)
    expected = Image.fromarray(whole.read([4])[0]).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(images.read([4])[0], np.asarray(expected))


def test_a_full_disk_is_reported_before_preparing(eurosat_zip, monkeypatch):
    usage = shutil.disk_usage(eurosat_zip)._replace(free=1000)
    monkeypatch.setattr("hsi_jax.data.public.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(InputError, match="MB"):
        load_image_set("eurosat", eurosat_zip.parent)


def test_half_prepared_is_not_taken_for_whole(eurosat_zip):
    """Killed while preparing: what is left has another name, and the next run does it again."""
    code = (
        "import os, sys\n"
        "from hsi_jax.data.public import builders\n"
        "from hsi_jax.data.images import image_loader\n"
        "cls = builders.HsiJaxEurosat\n"
        "def die(self, archive, whole=cls._generate_examples):\n"
        "    for n, example in enumerate(whole(self, archive)):\n"
        "        if n == 10: os._exit(3)\n"
        "        yield example\n"
        "cls._generate_examples = die\n"
        "image_loader.load_image_set('eurosat', sys.argv[1])\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, eurosat_zip.parent], capture_output=True)
    assert killed.returncode == 3, killed.stderr.decode()
    left = list((eurosat_zip.parent / "hsi_jax_eurosat").iterdir())
    assert [entry.name.startswith("incomplete.") for entry in left] == [True]
    assert len(load_image_set("eurosat", eurosat_zip.parent)) == 20


def test_a_set_that_another_process_prepared_meanwhile_is_read(eurosat_zip):
    late = find_builder("hsi_jax_eurosat", eurosat_zip.parent)
    load_image_set("eurosat", eurosat_zip.parent)
    prepare(late, eurosat_zip.parent)
    assert late.info.splits["train"].num_examples == 20
    assert late.info.metadata is not None
    assert late.info.metadata["official"] is False


def test_threads_and_processes_may_come_at_once(eurosat_zip):
    code = (
        "import sys; from hsi_jax.data.images.image_loader import load_image_set\n"
        "print(len(load_image_set('eurosat', sys.argv[1])))\n"
    )
    command = [sys.executable, "-c", code, eurosat_zip.parent]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[0].split()[-1] for process in running] == [b"20", b"20"]
    images = load_image_set("eurosat", eurosat_zip.parent)
    orders = [np.random.default_rng(k).permutation(20) for k in range(16)]
    whole = images.read(np.arange(20))
    with ThreadPoolExecutor(8) as pool:
        for order, read in zip(orders, pool.map(images.read, orders), strict=True):
            np.testing.assert_array_equal(read, whole[order])


def test_others_of_tfds_find_our_builders(eurosat_zip):
    builder = find_builder("hsi_jax_eurosat", eurosat_zip.parent)
    assert builder.info.homepage == EUROSAT.page
    with pytest.raises(InputError, match=r"'eurosatt'.* eurosat\?"):
        load_image_set("eurosatt")
    with pytest.raises(InputError, match=r"'x'.*eurosat.*uc_merced"):
        load_image_set("x")


def test_nothing_imports_tensorflow_or_jax_and_slow_packages_wait(eurosat_zip):
    code = (
        "import sys, hsi_jax.data\n"
        "assert not {'tensorflow_datasets', 'jax', 'h5py', 'scipy', 'sklearn'} & set(sys.modules)\n"
        "hsi_jax.data.load_image_set('eurosat', sys.argv[1]).read([0])\n"
        "assert not {'tensorflow', 'jax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, eurosat_zip.parent], check=True)


@pytest.mark.long
@pytest.mark.slow
def test_eurosat_as_published(real_data, tmp_path):
    (tmp_path / "EuroSAT.zip").symlink_to(real_data / "eurosat" / "EuroSAT.zip")
    images = load_image_set("eurosat", tmp_path)
    counts = np.bincount(images.labels).tolist()
    assert counts == [3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000]
    assert images.note.startswith("The archive is not the published one")
