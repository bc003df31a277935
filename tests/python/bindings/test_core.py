"""What Python sees of core: files that appear whole, errors of the system."""

import errno
import os

import pytest

from eisbach import _C


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a"
    _C.write_file_atomically(path, b"old")
    _C.write_file_atomically(str(path), b"\0new\xff")
    assert path.read_bytes() == b"\0new\xff"
    assert os.listdir(tmp_path) == ["a"]
    assert path.stat().st_mode & 0o777 == 0o640 & ~_umask()


def _umask() -> int:
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "a").symlink_to("precious")
    _C.write_file_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "precious").read_text() == "mine"
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        ("nowhere/a", FileNotFoundError, errno.ENOENT),
        ("file/a", NotADirectoryError, errno.ENOTDIR),
        ("folder", IsADirectoryError, errno.EISDIR),
    ],
)
def test_what_the_system_refuses_is_an_os_error(tmp_path, name, kind, number):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(kind, match=str(tmp_path / name)) as caught:
        _C.write_file_atomically(tmp_path / name, b"x")
    assert caught.value.errno == number
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
