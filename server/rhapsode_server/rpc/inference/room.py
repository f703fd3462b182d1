"""How much of all streams may be under way: where that is full, no more of a stream is read.

A stream may always have one request under way, whatever others have. What it may have beside that it shares with all
streams of its connection, and the bytes of it with all streams of the server. Who waits, waits for its own connection
only: nobody is woken for what strangers do.
"""

import asyncio
from dataclasses import dataclass, field

BYTES = 16 << 20  # of a connection's requests, and of replies that are made or waited for
ALL_BYTES = 64 << 20  # of all connections'


@dataclass(slots=True, eq=False)
class _Connection:
    """What the streams of one connection have under way, and those of them that wait to enter, in their order."""

    count: int = 0
    bytes: int = 0
    rooms: int = 0
    waiting: "dict[Room, asyncio.Future[None]]" = field(default_factory=dict)

    def call(self, room: "Room | None") -> None:
        """Have a stream look again whether there is room: the one that has waited longest where None is given."""
        room = room or next(iter(self.waiting), None)
        if room is not None and (turn := self.waiting.pop(room, None)) and not turn.done():
            turn.set_result(None)


class Rooms:
    """Of all streams. Lives in the event loop."""

    def __init__(self, most: int, most_bytes: int = BYTES, most_of_all: int = ALL_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._most_of_all = most_of_all
        self._bytes = 0
        self._connections: dict[str, _Connection] = {}

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def bytes(self) -> int:
        """Of all that is under way."""
        return self._bytes

    def open(self, name: str) -> "Room":
        """The room of one stream of the connection of that name; to be closed."""
        connection = self._connections.setdefault(name, _Connection())
        connection.rooms += 1
        return Room(self, name, connection)

    def full(self, connection: _Connection, size: int) -> bool:
        """Whether a request of so many bytes, which is not the only one of its stream, has no room."""
        return (
            connection.count >= self._most
            or connection.bytes + size > self._most_bytes
            or self._bytes + size > self._most_of_all
        )

    def count(self, size: int) -> None:
        """So many bytes more are under way, or fewer."""
        self._bytes += size

    def left(self, name: str, connection: _Connection) -> None:
        """A stream of a connection has ended."""
        connection.rooms -= 1
        if not connection.rooms:
            self._connections.pop(name, None)


class Room:
    """Counts a stream's requests that are under way, their replies' way out included. One at a time waits to enter."""

    def __init__(self, rooms: Rooms, name: str, connection: _Connection) -> None:
        self._rooms = rooms
        self._name = name
        self._connection = connection
        self._count = self._bytes = 0

    async def enter(self, size: int) -> None:
        """Wait until a request of so many bytes has room. A stream's only one always has."""
        while self._count and self._rooms.full(self._connection, size):
            await self._turn()
        self._count += 1
        self._connection.count += 1
        self.grow(size)
        if not self._rooms.full(self._connection, 0):
            self._connection.call(None)

    def grow(self, size: int) -> None:
        """What has entered takes so many bytes more."""
        self._bytes += size
        self._connection.bytes += size
        self._rooms.count(size)

    def leave(self, size: int) -> None:
        """A request has left, with all its bytes."""
        self._count -= 1
        self._connection.count -= 1
        self.grow(-size)
        if not self._count:
            self._connection.call(self)
        self._connection.call(None)

    def close(self) -> None:
        """The stream has ended, with all that it had under way."""
        self.grow(-self._bytes)
        self._connection.count -= self._count
        self._count = 0
        self._connection.call(None)
        self._rooms.left(self._name, self._connection)

    async def _turn(self) -> None:
        turn = self._connection.waiting[self] = asyncio.get_running_loop().create_future()
        try:
            await turn
        except asyncio.CancelledError:
            self._connection.waiting.pop(self, None)
            self._connection.call(None)  # it may have been called itself
            raise
