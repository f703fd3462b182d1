"""How a graph that was exported elsewhere becomes a bundle."""
