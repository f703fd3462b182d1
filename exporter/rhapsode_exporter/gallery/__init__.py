"""A page that shows what all bundles draw, and how well."""
