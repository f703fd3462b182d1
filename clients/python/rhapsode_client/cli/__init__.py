"""The command line: `rhapsode models | text | images | morph`."""
