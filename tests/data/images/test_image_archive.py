import zipfile

import pytest

from hsi_jax.data.images.image_archive import ImageArchive
from hsi_jax.errors import InputError

FILES = {
    "2750/River/River_2.jpg": b"two",
    "2750/River/River_1.jpg": b"one!",
    "2750/Forest/Forest_1.jpg": b"three",
    "2750/Forest/.hidden.jpg": b"",
    "__MACOSX/2750/River/River_1.jpg": b"",
    ".git/Odd/1.jpg": b"",
    "2750/readme.txt": b"",
}


@pytest.fixture(params=["some.zip", "some"])
def archive(request, write_pictures):
    return write_pictures(request.param, FILES)


def test_pictures_are_listed_by_path_with_their_classes(archive):
    listed = ImageArchive.open(archive, ["Forest", "River"])
    assert [(m.class_name, m.file_name, data) for m, data in listed.pictures()] == [
        ("Forest", "Forest_1.jpg", b"three"),
        ("River", "River_1.jpg", b"one!"),
        ("River", "River_2.jpg", b"two"),
    ]
    assert listed.num_bytes == 12


def test_fingerprints_tell_contents_apart(write_pictures):
    first = ImageArchive.open(write_pictures("first.zip", FILES))
    again = ImageArchive.open(write_pictures("again.zip", dict(reversed(FILES.items()))))
    other = ImageArchive.open(write_pictures("o.zip", FILES | {"2750/River/River_2.jpg": b"2wo"}))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_missing_and_unknown_classes_are_named(archive):
    with pytest.raises(InputError, match=r"Lake.*Forest"):
        ImageArchive.open(archive, ["River", "Lake"])


@pytest.mark.parametrize("name", ["empty", "empty.zip"])
def test_nothing_is_refused(write_pictures, tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        ImageArchive.open(write_pictures(name, {}))


def test_a_cut_or_damaged_zip_is_named(write_pictures):
    path = write_pictures("some.zip", FILES)
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(InputError, match=r"some\.zip.*damaged"):
        ImageArchive.open(path)
    path.write_bytes(data.replace(b"three", b"thr33"))
    damaged = ImageArchive.open(path)
    with pytest.raises(InputError, match=r"some\.zip.*damaged.*Forest_1"):
        list(damaged.pictures())


def test_a_link_that_leads_nowhere_is_named(write_pictures, tmp_path):
    folder = write_pictures("some", FILES)
    (folder / "2750" / "Swamp").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="Swamp"):
        ImageArchive.open(folder)


def test_a_folder_that_may_not_be_read_is_named(write_pictures, monkeypatch):
    folder = write_pictures("some", FILES)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("hsi_jax.data.images.image_archive.os.scandir", refuse)
    with pytest.raises(InputError, match="some"):
        ImageArchive.open(folder)


def test_a_picture_that_claims_more_than_memory_is_not_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(100_000))
    archive = ImageArchive.open(tmp_path / "set.zip")
    assert len(next(archive.pictures())[1]) == 100_000
    monkeypatch.setattr("hsi_jax.data.images.image_archive.free_memory", lambda: 99_999)
    with pytest.raises(InputError, match=r"1\.png .* memory"):
        next(archive.pictures())
