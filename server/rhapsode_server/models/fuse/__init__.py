"""The fused step: a bundle's step graph, its sampler and its forced tokens as one graph that makes many tokens a run.

Two forms of the same nodes: a Loop, whose number of steps is chosen run by run, and an unrolled one of fixed steps and
rows without control flow. The sampler is that of `models.sampling`, operator by operator.
"""

from rhapsode_server.models.fuse.forms import loop, unrolled
from rhapsode_server.models.fuse.step import Unfusable

__all__ = ["Unfusable", "loop", "unrolled"]
