"""One file per way of training."""
