"""Counted language models that look a few tokens back, as tables that a graph can search."""
