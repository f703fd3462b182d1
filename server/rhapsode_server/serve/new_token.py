"""A new token for a client: the secret itself, and what the access file needs of it."""

import secrets
from hashlib import sha256

PREFIX = "rhapsode_"  # by which scanners for leaked secrets, and people, know it
BYTES = 32


def new_token() -> str:
    """A token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(BYTES)


def entry(token: str) -> str:
    """The lines of the access file that let in whoever has the token; what they may do is for the operator to say."""
    return f"""[[clients]]
name = "a-name-for-the-client"
tokens = [{{ sha256 = "{sha256(token.encode()).hexdigest()}" }}]
methods = [
  "rhapsode.v1.TextService",
  "rhapsode.v1.ImageService",
  "rhapsode.v1.ModelService",
  "inference.GRPCInferenceService",
]
models = []"""
