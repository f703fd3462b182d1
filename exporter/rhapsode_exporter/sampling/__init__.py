"""Pictures drawn from a bundle on disk, one file per way of drawing."""
