"""What gRPC's words of a connection that came to nothing mean."""

# What stands in its words, and what that means; the first one that is found.
_MEANINGS = (
    ("WRONG_VERSION_NUMBER", "the server speaks plain text, and was spoken to in TLS"),
    ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is not to be trusted"),
    ("Hostname Verification Check failed", "the server's certificate is for another host"),
    ("Failed to create security handshaker", "the private key is not that of the certificate"),
    ("http1.x server", "this is no gRPC server"),
)


def explained(details: str) -> str:
    """The details of a failed call, with what they mean before them where they need it."""
    meaning = next((meaning for words, meaning in _MEANINGS if words in details), "")
    return f"{meaning}: {details}" if meaning else details
