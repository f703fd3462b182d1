"""The client stays light, and its surface free of protobuf."""

import subprocess
import sys
import typing
from dataclasses import fields, is_dataclass

import rhapsode_client
from rhapsode_client import types
from rhapsode_client.channel import ChannelSettings, channel_options

HEAVY = ("music21", "torch", "onnxruntime", "onnx", "rhapsode_server", "rhapsode_exporter", "prometheus_client")


def test_importing_the_client_brings_nothing_heavy() -> None:
    code = "import sys, rhapsode_client, rhapsode_client.cli.main; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())


def test_importing_the_library_does_not_bring_the_command_line() -> None:
    code = "import sys, rhapsode_client; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"typer", "rich"} & set(done.stdout.split())


def test_no_protobuf_in_the_values() -> None:
    values = [value for value in vars(types).values() if isinstance(value, type) and is_dataclass(value)]
    assert len(values) > 20
    for value in values:
        hints = typing.get_type_hints(value)
        for field in fields(value):
            assert "pb2" not in repr(hints[field.name]), f"{value.__name__}.{field.name}"


def test_everything_exported_is_there() -> None:
    assert all(hasattr(rhapsode_client, name) for name in rhapsode_client.__all__)
    assert all(hasattr(types, name) for name in types.__all__)


def test_keepalive_is_answered_in_time() -> None:
    options = dict(channel_options(ChannelSettings(keepalive=20.0, keepalive_timeout=5.0)))
    assert options["grpc.keepalive_time_ms"] == 20_000
    assert options["grpc.keepalive_timeout_ms"] == options["grpc.http2.ping_timeout_ms"] == 5_000
