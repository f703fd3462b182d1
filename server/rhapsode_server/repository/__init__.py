"""Bundles on disk, read and checked into models that can be served."""
