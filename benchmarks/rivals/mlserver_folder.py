"""The folder of settings from which MLServer starts."""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rivals.serving import BATCH_DELAY_SECONDS, LARGEST_BATCH, Serving

_RUNTIMES = "benchmarks.rivals.mlserver_models"


def write_folder(serving: Serving) -> None:
    """Write the server's settings and each model's into `serving.workspace`."""
    settings = {
        "host": "127.0.0.1",
        "grpc_port": serving.grpc_port,
        "http_port": serving.http_port,
        "debug": False,
        # Streaming needs the next three; workers would cost a copy between processes besides.
        "parallel_workers": 0,
        "gzip_enabled": False,
        "metrics_endpoint": None,
    }
    _write(serving.workspace / "settings.json", settings)
    batching = {"max_batch_size": LARGEST_BATCH, "max_batch_time": BATCH_DELAY_SECONDS}
    _write_models(serving, serving.text, "Text", {})
    _write_models(serving, serving.images, "Images", batching)


def _write_models(serving: Serving, names: Sequence[str], runtime: str, more: dict[str, float]) -> None:
    for name in names:
        settings = {
            "name": name,
            "implementation": f"{_RUNTIMES}.{runtime}",
            "parameters": {"uri": str(serving.models.resolve())},
            **more,
        }
        _write(serving.workspace / name / "model-settings.json", settings)


def _write(path: Path, settings: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
