import os
import socket
import threading

import pytest

from eisbach.files import (
    make_folder,
    open_regular,
    read_json,
    read_regular,
)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"\0text")
    assert read_regular(path) == b"\0text"
    assert read_regular(str(path), most=5) == b"\0text"
    (tmp_path / "link").symlink_to("a")
    assert read_regular(tmp_path / "link") == b"\0text"
    with pytest.raises(ValueError, match=r"a: is longer than the 4 bytes"):
        read_regular(path, most=4)


# None of these may be waited for, or read without an end.
def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", "/dev/zero", tmp_path):
        with pytest.raises(
            ValueError, match=f"{path}: is a .*, not a regular file"
        ):
            read_regular(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(ValueError, match="socket: is a socket, not"):
            read_regular(tmp_path / "socket")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        read_regular(tmp_path / "loop")


def test_a_pipe_is_read_where_one_will_do(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"text",))
    writer.start()
    with open_regular(path, pipes=True) as stream:
        assert stream.read() == b"text"
    writer.join()
    with pytest.raises(ValueError, match="zero: is a device"):
        open_regular("/dev/zero", pipes=True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no JSON"),
        (b'{"a": 1', "no JSON"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deep"),
        (b'"\xff"', "not UTF-8 at byte 1"),
    ],
)
def test_other_than_json_is_an_error_of_the_file(tmp_path, content, reason):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.json: (is )?{reason}"):
        read_json(path)
    path.write_bytes(b'{"a": [1]}')
    assert read_json(path) == {"a": [1]}


def test_folders_are_for_user_and_group(tmp_path):
    before = os.umask(0)
    try:
        make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    for name in ("a", "a/b"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o750
    make_folder(tmp_path / "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"make folder .*file"):
        make_folder(tmp_path / "file" / "a")
