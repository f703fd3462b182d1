"""What bundle.json must say of a model as a whole, graphs aside."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from rhapsode.v1 import bundle_pb2
from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.repository import limits
from rhapsode_server.repository.problems import Problem
from rhapsode_server.repository.sequences import reads_texts

SCHEMA_VERSION = 1
GOLDENS = "goldens.safetensors"
ATTRIBUTES, CODE = "attributes.safetensors", "code.safetensors"
TOKENIZER = "tokenizer.json"
TENSOR_FILES = frozenset({ATTRIBUTES, CODE})
VERSION = re.compile(r"[1-9][0-9]{0,8}")

STEP, DECODE = bundle_pb2.GRAPH_ROLE_STEP, bundle_pb2.GRAPH_ROLE_DECODE
ENCODE, CRITIC = bundle_pb2.GRAPH_ROLE_ENCODE, bundle_pb2.GRAPH_ROLE_CRITIC
DENOISE, GIBBS = bundle_pb2.GRAPH_ROLE_DENOISE, bundle_pb2.GRAPH_ROLE_GIBBS
TRANSFORM = bundle_pb2.GRAPH_ROLE_TRANSFORM

ROLE_NAMES: Mapping[int, str] = MappingProxyType(
    {
        STEP: "step",
        DECODE: "decode",
        ENCODE: "encode",
        CRITIC: "critic",
        DENOISE: "denoise",
        GIBBS: "gibbs",
        TRANSFORM: "transform",
    }
)
# None ends as the name of a graph does, "<bundle>.<role>": it is plain which bundle a graph's name means.
NAME = re.compile(rf"(?!.*[.](?:{'|'.join(sorted(ROLE_NAMES.values()))})$)[a-z0-9][a-z0-9._-]{{0,63}}")
# The roles that a kind must have, and those that it may have.
KINDS: Mapping[int, tuple[Collection[int], Collection[int]]] = MappingProxyType(
    {
        bundle_pb2.MODEL_KIND_SEQUENCE: ({STEP}, ()),
        bundle_pb2.MODEL_KIND_AUTOENCODER: ({DECODE, ENCODE}, ()),
        bundle_pb2.MODEL_KIND_GENERATOR: ({DECODE}, {CRITIC}),
        bundle_pb2.MODEL_KIND_CRITIC: ({CRITIC}, ()),
        bundle_pb2.MODEL_KIND_DIFFUSION: ({DENOISE}, {CRITIC}),
        bundle_pb2.MODEL_KIND_BOLTZMANN: ({GIBBS}, {CRITIC}),
        bundle_pb2.MODEL_KIND_TRANSFORM: ({TRANSFORM}, ()),
    }
)


def graphs(bundle: Bundle) -> frozenset[str]:
    """The names of the roles that a bundle has graphs for."""
    return frozenset(ROLE_NAMES[graph.role] for graph in bundle.graphs if graph.role in ROLE_NAMES)


def check(bundle: Bundle, name: str, version: str) -> Iterator[Problem]:
    """Every broken rule of the manifest; `name` and `version` are those of the folders."""
    if bundle.schema_version != SCHEMA_VERSION:
        yield Problem("M1", "schema_version", f"is {bundle.schema_version}, this server reads {SCHEMA_VERSION}")
    yield from _address_problems("name", bundle.name, name, NAME)
    yield from _address_problems("version", bundle.version, version, VERSION)
    for field in ("description", "licence"):
        if not getattr(bundle, field).strip():
            yield Problem("M8", field, "is empty")
    yield from _role_problems(bundle)
    yield from _presence_problems(bundle)
    yield from _number_problems(bundle)
    if bundle.HasField("sequence"):
        yield from _vocabulary_problems(bundle.sequence.vocabulary)
    if bundle.HasField("latent"):
        yield from _latent_problems(bundle.latent)
    if bundle.HasField("image"):
        yield from _image_problems(bundle.image)
    if bundle.HasField("diffusion"):
        yield from _diffusion_problems(bundle)
    if bundle.HasField("gibbs"):
        yield from _gibbs_problems(bundle.gibbs)
    yield from _text_problems("M6", "classes", bundle.classes, limits.CLASSES)


def _address_problems(field: str, said: str | int, folder: str, pattern: re.Pattern[str]) -> Iterator[Problem]:
    if not pattern.fullmatch(folder):
        yield Problem("M2", field, f"the folder's name {folder!r} does not match {pattern.pattern}")
    elif str(said) != folder:
        yield Problem("M2", field, f"is {said!r} in bundle.json, the folder is named {folder!r}: they must be equal")


def _role_problems(bundle: Bundle) -> Iterator[Problem]:
    roles = [graph.role for graph in bundle.graphs]
    if bundle.kind not in KINDS:
        yield Problem("M3", "kind", "is not said")
        return
    needed, allowed = KINDS[bundle.kind]
    kind = bundle_pb2.ModelKind.Name(bundle.kind)
    if len(set(roles)) != len(roles):
        yield Problem("M3", "graphs", "has a role twice")
    for role in sorted(set(needed).difference(roles)):
        yield Problem("M3", "graphs", f"has no {ROLE_NAMES[role]} graph, which {kind} needs")
    for role in sorted(set(roles).difference(needed, allowed)):
        yield Problem("M3", "graphs", f"has the role {ROLE_NAMES.get(role, 'unspecified')}, which {kind} has not")
    listed = {file.path for file in bundle.files}
    for graph in bundle.graphs:
        expected = f"{ROLE_NAMES.get(graph.role, '?')}.onnx"
        if graph.file != expected or expected not in listed:
            yield Problem("M4", "graphs", f"has the file {graph.file!r}; it is {expected}, listed in files")
    if GOLDENS not in listed:
        yield Problem("V1", GOLDENS, "is not listed in files")


def _presence_problems(bundle: Bundle) -> Iterator[Problem]:
    roles = {graph.role for graph in bundle.graphs}
    text_critic = {CRITIC} if reads_texts(bundle) else set()
    users: Mapping[str, Collection[int]] = {
        "sequence": {STEP, *text_critic},
        "latent": {DECODE, ENCODE, DENOISE},
        "image": {DECODE, ENCODE, CRITIC, DENOISE, GIBBS}.difference(text_critic),
        "diffusion": {DENOISE},
        "gibbs": {GIBBS},
    }
    for field, wanting in users.items():
        if field == "image" and TRANSFORM in roles:  # of pictures or of other tensors
            continue
        if bundle.HasField(field) != (not roles.isdisjoint(wanting)):  # type: ignore[arg-type]  # one of its fields
            names = ", ".join(ROLE_NAMES[role] for role in sorted(wanting))
            yield Problem("M5", field, f"stands exactly where one of these graphs does: {names}")
    if bundle.classes and roles.isdisjoint({DECODE, DENOISE, GIBBS, CRITIC}):
        yield Problem("M6", "classes", "only decode, denoise, gibbs and critic graphs have classes")


def _number_problems(bundle: Bundle) -> Iterator[Problem]:
    for graph in bundle.graphs:
        if not 0.0 <= graph.tolerance < math.inf:
            yield Problem("M7", f"{graph.file}: tolerance", "must be finite and not negative")
    for metric in bundle.metrics:
        if not (metric.name and math.isfinite(metric.value) and math.isfinite(metric.baseline)):
            yield Problem("M7", f"metrics: {metric.name!r}", "needs a name, and finite numbers")
    if not 0.0 <= bundle.training.duration_seconds < math.inf:
        yield Problem("M7", "training.duration_seconds", "must be finite and not negative")


def _vocabulary_problems(vocabulary: bundle_pb2.Vocabulary) -> Iterator[Problem]:
    where, size = "sequence.vocabulary", len(vocabulary.tokens)
    if not size:
        yield Problem("M6", where, "has no tokens")
    yield from _text_problems("M6", f"{where}.tokens", vocabulary.tokens, limits.VOCABULARY)
    special = {
        "start_token": vocabulary.start_token,
        "end_token": vocabulary.end_token,
        "unknown_token": vocabulary.unknown_token,
    }
    for field, token in special.items():
        if token and token >= size:  # zero is a token, or absent
            yield Problem("M6", f"{where}.{field}", f"is {token}, the vocabulary has {size} tokens")


def _text_problems(rule: str, where: str, texts: Sequence[str], most: int) -> Iterator[Problem]:
    if len(texts) > most:
        yield Problem(rule, where, f"has {len(texts)} entries, the most is {most}")
    if len(set(texts)) != len(texts):
        yield Problem(rule, where, "has an entry twice")
    if any(not 0 < len(text) <= limits.TOKEN_CHARACTERS for text in texts):
        yield Problem(rule, where, f"has an entry that is empty or longer than {limits.TOKEN_CHARACTERS} characters")


def _latent_problems(latent: bundle_pb2.LatentSpec) -> Iterator[Problem]:
    if not 1 <= latent.size <= limits.LATENT_SIZE:
        yield Problem("M5", "latent.size", f"must be in [1, {limits.LATENT_SIZE}]")
    if latent.prior not in {bundle_pb2.LATENT_PRIOR_NORMAL, bundle_pb2.LATENT_PRIOR_UNIFORM}:
        yield Problem("M5", "latent.prior", "is not said")
    if not 0.0 <= latent.mean_radius < math.inf:
        yield Problem("M7", "latent.mean_radius", "must be finite and not negative")


def _image_problems(image: bundle_pb2.ImageSpec) -> Iterator[Problem]:
    if not (1 <= image.height <= limits.IMAGE_SIDE and 1 <= image.width <= limits.IMAGE_SIDE):
        yield Problem("M5", "image", f"height and width must be in [1, {limits.IMAGE_SIDE}]")
    if image.channels not in {1, 3}:
        yield Problem("M5", "image.channels", "must be 1 or 3")
    if not (math.isfinite(image.low) and math.isfinite(image.high) and image.low < image.high):
        yield Problem("M7", "image", "low and high must be finite, low below high")


def _diffusion_problems(bundle: Bundle) -> Iterator[Problem]:
    spec, image = bundle.diffusion, bundle.image
    size = image.channels * image.height * image.width
    if bundle.latent.size != size or bundle.latent.prior != bundle_pb2.LATENT_PRIOR_NORMAL:
        yield Problem("M9", "latent", f"must be the noise of a whole picture: {size} numbers, normal")
    if not 1 <= spec.training_steps <= limits.TRAINING_STEPS:
        yield Problem("M9", "diffusion.training_steps", f"must be in [1, {limits.TRAINING_STEPS}]")
    if len(spec.signal) != spec.training_steps:
        yield Problem("M9", "diffusion.signal", f"has {len(spec.signal)} numbers, for {spec.training_steps} steps")
    falling = [1.0, *spec.signal, 0.0]
    if not all(before > after for before, after in pairwise(falling)):
        yield Problem("M9", "diffusion.signal", "must fall from step to step, and be in (0, 1)")
    if not 1 <= spec.default_steps <= min(spec.training_steps, limits.DEFAULT_STEPS):
        yield Problem(
            "M9", "diffusion.default_steps", f"must be in [1, training_steps], at most {limits.DEFAULT_STEPS}"
        )
    if not 0.0 <= spec.default_guidance <= limits.GUIDANCE:
        yield Problem("M9", "diffusion.default_guidance", f"must be in [0, {limits.GUIDANCE:g}]")


def _gibbs_problems(gibbs: bundle_pb2.GibbsSpec) -> Iterator[Problem]:
    for field in ("state_size", "noise_size"):
        if not 1 <= getattr(gibbs, field) <= limits.LATENT_SIZE:
            yield Problem("M5", f"gibbs.{field}", f"must be in [1, {limits.LATENT_SIZE}]")
    if not 1 <= gibbs.default_steps <= limits.CHAIN_STEPS:
        yield Problem("M5", "gibbs.default_steps", f"must be in [1, {limits.CHAIN_STEPS}]")
    if gibbs.start and len(gibbs.start) != gibbs.state_size:
        yield Problem("M5", "gibbs.start", f"has {len(gibbs.start)} numbers, the state {gibbs.state_size}")
    if not all(0.0 <= probability <= 1.0 for probability in gibbs.start):
        yield Problem("M7", "gibbs.start", "must hold probabilities, in [0, 1]")
