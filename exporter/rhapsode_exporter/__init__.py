"""Trains the model families and exports them as bundles."""
