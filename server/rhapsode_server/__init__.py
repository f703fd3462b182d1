"""Rhapsode's server: serves bundles of generative models over gRPC."""
