"""How trained networks become a bundle on disk."""
