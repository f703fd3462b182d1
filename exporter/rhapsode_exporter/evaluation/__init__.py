"""A bundle on disk, measured on the pictures that it never saw."""
