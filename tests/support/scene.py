"""A server after some requests, watched by a real Prometheus under the project's rules."""

import re
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from inference.asking import faces
from rhapsode.oip.inference_pb2_grpc import GRPCInferenceServiceStub
from rhapsode.v1 import image_pb2
from rhapsode.v1.image_pb2 import GenerateImagesRequest
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.text_pb2 import GenerateTextRequest, StreamTextRequest
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support import bundles
from support.prometheus import Prometheus, Sample, prometheus
from support.requests import images, text
from support.rules import RULES
from support.server import process

_METRIC = re.compile(r"\b(?:rhapsode|grpc_server|process)_\w+")
_PART = re.compile(r"_(bucket|count|sum)$")
_DONE = 'grpc_server_handled_total{{grpc_method="{method}", grpc_code="OK"}} >= {count}'


def metrics_named(expression: str) -> set[str]:
    """The metrics that a query reads; a histogram's parts count as the histogram, recorded series (with colons) not."""
    return {_PART.sub("", name) for name in _METRIC.findall(expression)}


@dataclass(frozen=True, slots=True)
class Scene:
    """What the tests ask."""

    asked: Prometheus
    metrics_address: str

    def query(self, expression: str) -> Sequence[Sample]:
        """The value of each series that an expression gives now. Raises HTTPError for one that is none."""
        return self.asked.query(expression)

    def on_the_page(self) -> set[str]:
        """The names of all metrics of the server."""
        with urllib.request.urlopen(f"http://{self.metrics_address}/metrics", timeout=30) as reply:
            return set(re.findall(r"^# TYPE (\w+) ", str(reply.read(), "utf-8"), re.MULTILINE))

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its state, after each was evaluated once."""
        found = self._rules()
        while any(rule["health"] == "unknown" for rule in found):  # the test's time limit ends it else
            found = self._rules()
        return found

    def _rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.asked.get("rules")["groups"] for rule in group["rules"]]


@contextmanager
def scene(models: Path) -> Iterator[Scene]:
    """Serve tiny models, have two bouts of requests scraped, and answer questions."""
    bundles.stepper().write(models)
    bundles.autoencoder().write(models)
    with (
        process(models) as server,
        prometheus([server.metrics_address], RULES) as asked,
        grpc.insecure_channel(server.address) as channel,
    ):
        for bout in (1, 2):  # a rate needs two scrapes between which something happened
            _work(channel)
            for method in ("GenerateText", "StreamText", "GenerateImages", "ModelStreamInfer"):
                asked.until(_DONE.format(method=method, count=bout))
        asked.until("rhapsode:rpcs:rate5m > 0")
        yield Scene(asked, server.metrics_address)


def _work(channel: grpc.Channel) -> None:
    """One request of each kind, without a deadline."""
    TextServiceStub(channel).GenerateText(GenerateTextRequest(generation=text(30)))
    assert list(TextServiceStub(channel).StreamText(StreamTextRequest(generation=text(300))))
    png = images(2, format=image_pb2.IMAGE_FORMAT_PNG)
    ImageServiceStub(channel).GenerateImages(GenerateImagesRequest(generation=png))
    (reply,) = GRPCInferenceServiceStub(channel).ModelStreamInfer(iter([faces()]))
    assert not reply.error_message
