"""Experiments: what is trained to be measured, and exports nothing."""
