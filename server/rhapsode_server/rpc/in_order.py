"""Pictures in the order of their rows, though some of many steps may be done before their turn."""

from rhapsode_server.engine.scheduler import Delivery
from rhapsode_server.models.decoder import Picture
from rhapsode_server.rpc.image_reply import News
from rhapsode_server.rpc.served import PictureRow


class InOrder:
    """Holds finished pictures back until those before them have gone; previews pass at once.

    Indices count up from `first`. Few pictures are ever held, as rows begin in order.
    """

    def __init__(self, first: int) -> None:
        self._next = first
        self._early: dict[int, Delivery[PictureRow, Picture]] = {}

    def ready(self, news: News) -> News:
        """What can be sent now of what has come so far."""
        told: list[Delivery[PictureRow, Picture]] = []
        for delivery in news:
            if not delivery.done:
                told.append(delivery)
                continue
            self._early[delivery.row.index] = delivery
            while self._next in self._early:
                told.append(self._early.pop(self._next))
                self._next += 1
        return told
