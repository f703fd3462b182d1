"""The most that a bundle may hold; docs/bundle.md repeats these numbers."""

MANIFEST_BYTES = 8 * 2**20
FILE_BYTES = 2**31 - 1  # protobuf, and so ONNX, ends there
FILES = 64
BUNDLE_BYTES = 2**32  # of all its files; they are in memory twice while it is loaded
TENSOR_BYTES = 2**30  # of one stored tensor, and of what one row makes of one value of a graph
NODES = 2**16  # of a graph, with those inside its If, Loop and Scan nodes; stored tensors, the same
DECLARED = 1024  # inputs and outputs of a graph
AXES = 16  # of a tensor; also so that the product of its sizes is a number that can be computed
GRAPH_DEPTH = 8  # of graphs inside graphs
LOOP_STEPS = 2**12
VOCABULARY = 2**18
TOKEN_CHARACTERS = 256
TOKENIZER_BYTES = 32 * 2**20
CLASSES = 2**16
SEQUENCE_CLASSES, CLASS_NAME_BYTES = 1024, 256  # a request's class_name has the same bytes
PREFIX_TOKENS = 64  # of a class
CRITIC_TOKENS = 2**16  # of a text that a critic takes
ATTRIBUTES = 256
LATENT_SIZE = 2**16
IMAGE_SIDE = 4096
CODE_REACH = 2**12
CODE_NUMBERS = 2**22  # frequencies, of all numbers of a latent together
TRAINING_STEPS = 10_000  # of a diffusion model
DEFAULT_STEPS, GUIDANCE = 1000, 20.0  # as in DiffusionOptions
STATE_NUMBERS = 2**24  # of one row, all state tensors together
CHAIN_STEPS = 10_000  # as GibbsOptions.steps
