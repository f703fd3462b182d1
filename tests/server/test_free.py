"""Whether an address can be listened on is found out beforehand, and leaves nothing behind."""

import socket
from pathlib import Path

import pytest

from rhapsode_server.errors import ConfigError
from rhapsode_server.serve.free import check_free


def refused(path: Path) -> str:
    """Why no socket can be made at a path, as the line says behind the address."""
    with pytest.raises(ConfigError, match=f"^--admin-address unix:{path} cannot be listened on: ") as caught:
        check_free(f"unix:{path}", "--admin-address")
    return caught.value.message.partition(" listened on: ")[2]


def test_the_folder_of_a_socket_has_to_be_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "no" / "socket") == f"{tmp_path / 'no'}: No such file or directory"


def test_nothing_but_a_socket_is_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file") == refused(tmp_path) == "it is there, and is no socket"


def test_a_file_is_no_folder_of_a_socket(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(tmp_path / "file" / "socket")


def test_the_path_of_a_socket_is_short(tmp_path: Path) -> None:
    assert refused(tmp_path / ("s" * 107)) == "a path of a socket has 107 bytes at most"


def test_a_socket_that_answers_is_somebodys_and_one_that_does_not_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert refused(path) == "another process does"
    check_free(f"unix:{path}", "--address")
    assert path.is_socket()


def test_a_socket_that_can_be_made_is_not_made_yet(tmp_path: Path) -> None:
    for form in ("unix:", "unix://"):
        check_free(f"{form}{tmp_path}/socket", "--address")
    assert [*tmp_path.iterdir()] == []
