"""The most that a bundle may hold, as docs/bundle.md says."""

MANIFEST_BYTES = 8 * 2**20
FILE_BYTES = 2**31 - 1
VERSION = 999_999_999
VOCABULARY = 2**18
TOKEN_CHARACTERS = 256
TOKENIZER_BYTES = 32 * 2**20
CLASSES = 2**16
LATENT_SIZE = 2**16
IMAGE_SIDE = 4096
STATE_NUMBERS = 2**24  # of one row, all state tensors together
UINT32 = 2**32 - 1
