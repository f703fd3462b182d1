"""Who steps next, the thread that drives a model, what waits for a reader."""
