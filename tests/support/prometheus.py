"""A real Prometheus for tests: scrapes servers of this machine, and answers queries."""

import json
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploy.child import child, saying

INTERVAL = "500ms"
LISTENS, IS_READY = saying("Listening on"), saying("Server is ready to receive web requests.")
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus (Debian's package) is not installed"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a query found for one series."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus; its calls wait for the network, so call them in a thread where there is an event loop."""

    address: str

    def query(self, expression: str) -> Sequence[Sample]:
        """The value of each series that an expression gives now. Raises HTTPError for one that is none."""
        result = self.get("query", query=expression)["result"]
        return [Sample(each["metric"], float(each["value"][1])) for each in result]

    def until(self, expression: str) -> Sequence[Sample]:
        """Ask again and again until an expression gives any series: them. The test's time limit ends it else."""
        while not (found := self.query(expression)):
            pass
        return found

    def get(self, call: str, **parameters: str) -> Any:
        """The data of one call of the HTTP API, as "query", "query_exemplars" or "rules"."""
        url = f"http://{self.address}/api/v1/{call}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as reply:
            return json.load(reply)["data"]


@contextmanager
def prometheus(targets: Sequence[str], rules: Path | None = None) -> Iterator[Prometheus]:
    """Scrape the metrics addresses `targets` ("host:port"), as the job "rhapsode", under the given rules.

    Prometheus hears of its targets five seconds after its start: let one serve several tests.
    """
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder:
        settings = Path(folder, "prometheus.json")  # JSON is YAML
        settings.write_text(json.dumps(_settings(targets, rules)), encoding="utf-8")
        with _started(settings, Path(folder)) as address:
            yield Prometheus(address)


def _settings(targets: Sequence[str], rules: Path | None) -> Mapping[str, object]:
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(rules.resolve())] if rules else [],
        "scrape_configs": [{"job_name": "rhapsode", "static_configs": [{"targets": list(targets)}]}],
    }


@contextmanager
def _started(settings: Path, folder: Path) -> Iterator[str]:
    """The address at which it listens, once it is ready; killed at the end, since nothing of it is wanted then."""
    words = [
        "prometheus",
        f"--config.file={settings}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
        "--log.format=json",
    ]
    with child(words, folder=folder) as started:
        # It says the two in either order.
        started.wait(lambda lines: any(map(LISTENS, lines)) and any(map(IS_READY, lines)))
        yield str(json.loads(next(filter(LISTENS, started.lines)))["address"])
