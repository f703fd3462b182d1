"""The life of the server: from its settings to a listening socket, and back to nothing."""
