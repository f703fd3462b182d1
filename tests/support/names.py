"""A DNS server on this machine, for one name whose addresses change."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_HEADER = 12
_ADDRESS_RECORD, _INTERNET = 1, 1
_NAME_OF_THE_QUESTION = 0xC00C
_ANSWER = 0x8180


@dataclass
class Names:
    """`addresses` are what any name has now; `server` is where to ask."""

    addresses: list[str]
    server: str


@contextmanager
def names(*addresses: str) -> Iterator[Names]:
    """Answer until the block is left; an empty datagram is the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.bind(("127.0.0.1", 0))
        known = Names(list(addresses), f"127.0.0.1:{asked.getsockname()[1]}")
        answering = threading.Thread(target=_answer_all, args=(asked, known))
        answering.start()
        try:
            yield known
        finally:
            asked.sendto(b"", asked.getsockname())
            answering.join()


def _answer_all(asked: socket.socket, known: Names) -> None:
    while True:
        question, peer = asked.recvfrom(512)
        if not question:
            return
        asked.sendto(_answer(question, known.addresses), peer)


def _answer(question: bytes, addresses: list[str]) -> bytes:
    """IPv4 addresses to who asks for them; nothing else is known."""
    end = question.index(b"\0", _HEADER) + 5
    (kind,) = struct.unpack(">H", question[end - 4 : end - 2])
    told = addresses if kind == _ADDRESS_RECORD else []
    head = question[:2] + struct.pack(">HHHHH", _ANSWER, 1, len(told), 0, 0)
    record = struct.pack(">HHHIH", _NAME_OF_THE_QUESTION, _ADDRESS_RECORD, _INTERNET, 0, 4)
    return head + question[_HEADER:end] + b"".join(record + socket.inet_aton(address) for address in told)
