"""The one import of onnxruntime, with its telemetry off."""

import os

# Read once by ONNX Runtime's shared library while it is loaded, so it has to stand before the import (1.29 and later
# send telemetry by default on Linux).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["ort"]
