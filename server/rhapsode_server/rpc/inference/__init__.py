"""The Open Inference Protocol: every graph of every bundle as a model of its own."""
