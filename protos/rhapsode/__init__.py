"""Rhapsode: the wire API and the bundle schema, as generated code under `rhapsode.v1`."""
