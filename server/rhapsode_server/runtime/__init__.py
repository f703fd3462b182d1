"""ONNX Runtime: the only floor that imports it."""
