"""Tiny bundles, written in milliseconds, whole or broken on purpose."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from google.protobuf import json_format
from numpy.typing import NDArray
from safetensors import numpy as safetensors

from rhapsode.v1 import bundle_pb2
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import graphs
from support.codes import code_file, frequencies

ROWS = 33
CHARACTERS = tuple("\n abcdefghijklmnopqrstuvwxyz.,")
STEP, DECODE = bundle_pb2.GRAPH_ROLE_STEP, bundle_pb2.GRAPH_ROLE_DECODE
ENCODE, CRITIC = bundle_pb2.GRAPH_ROLE_ENCODE, bundle_pb2.GRAPH_ROLE_CRITIC
DENOISE = bundle_pb2.GRAPH_ROLE_DENOISE
TRANSFORM = bundle_pb2.GRAPH_ROLE_TRANSFORM
GIBBS = bundle_pb2.GRAPH_ROLE_GIBBS
_ROLE_NAMES: Mapping[int, str] = {
    STEP: "step",
    DECODE: "decode",
    ENCODE: "encode",
    CRITIC: "critic",
    DENOISE: "denoise",
    GIBBS: "gibbs",
    TRANSFORM: "transform",
}
_DTYPES: Mapping[int, bundle_pb2.DataType.ValueType] = {
    onnx.TensorProto.FLOAT: bundle_pb2.DATA_TYPE_FLOAT32,
    onnx.TensorProto.INT64: bundle_pb2.DATA_TYPE_INT64,
}
ATTRIBUTES: Mapping[str, float] = {"glasses": 1.5, "hat": 0.75}  # strengths by name
Arrays = dict[str, NDArray[Any]]
Role: TypeAlias = bundle_pb2.GraphRole.ValueType


@dataclass
class Draft:
    """A bundle that is not written yet: change it, then write it whole.

    `write` computes goldens, hashes and bundle.json after the changes, so that only the change is wrong.
    `files` are added as they are; `golden_offset` is added to every golden float output.
    """

    bundle: bundle_pb2.Bundle
    graphs: dict[Role, onnx.ModelProto]
    files: dict[str, bytes] = field(default_factory=lambda: {"card.md": b"# A tiny model\n"})
    avoid_token: int | None = None
    avoid_class: int | None = None
    golden_offset: float = 0.0

    def graph(self, role: Role) -> bundle_pb2.Graph:
        """The declaration of the graph with this role."""
        return next(graph for graph in self.bundle.graphs if graph.role == role)

    def write(self, models: Path) -> Path:
        """Write to models/<name>/<version>/ and return that folder."""
        folder = models / self.bundle.name / str(self.bundle.version)
        folder.mkdir(parents=True)
        for role, model in self.graphs.items():
            (folder / f"{_ROLE_NAMES[role]}.onnx").write_bytes(model.SerializeToString())
        (folder / "goldens.safetensors").write_bytes(safetensors.save(self._goldens()))
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        seal(folder, self.bundle)
        return folder

    def _goldens(self) -> Arrays:
        runtime = Runtime(RuntimeOptions(provider="cpu"))
        tensors: Arrays = {}
        for role, model in self.graphs.items():
            feeds = self._golden_inputs(model)
            outputs = runtime.session(model.SerializeToString()).run(feeds)
            prefix = _ROLE_NAMES[role]
            tensors |= {f"{prefix}.inputs.{name}": values for name, values in feeds.items()}
            tensors |= {
                f"{prefix}.outputs.{name}": values + np.float32(self.golden_offset) for name, values in outputs.items()
            }
        return tensors

    def _golden_inputs(self, model: onnx.ModelProto) -> Arrays:
        generator = np.random.Generator(np.random.PCG64(ROWS))
        feeds: Arrays = {}
        for value in model.graph.input:
            shape = [axis.dim_value for axis in value.type.tensor_type.shape.dim][1:]
            feeds[value.name] = generator.standard_normal((ROWS, *shape), np.float32)
        safe = [i for i in range(len(self.bundle.sequence.vocabulary.tokens)) if i != self.avoid_token]
        if "tokens" in feeds:
            feeds |= graphs.texts(safe, ROWS, feeds["tokens"].shape[1])
        if "token" in feeds:
            feeds["token"] = np.resize(np.array(safe, np.int64), ROWS)
        if "class_id" in feeds:
            safe = [i for i in range(max(1, len(self.bundle.classes))) if i != self.avoid_class]
            feeds["class_id"] = np.resize(np.array(safe, np.int64), ROWS)
        return feeds


def seal(folder: Path, bundle: bundle_pb2.Bundle) -> None:
    """List every file of the folder in the bundle as it lies there, then write bundle.json."""
    del bundle.files[:]
    for path in sorted(folder.iterdir()):
        if path.name != "bundle.json":
            content = path.read_bytes()
            bundle.files.add(path=path.name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    text = json_format.MessageToJson(bundle, preserving_proto_field_name=True, indent=2)
    (folder / "bundle.json").write_text(text + "\n", encoding="utf-8")


def stepper(
    name: str = "tiny-text",
    version: int = 1,
    *,
    tokens: Sequence[str] = CHARACTERS,
    start_token: str | None = "\n",  # noqa: S107  # no password
    end_token: str | None = None,
    unknown_token: str | None = None,
    longest_prompt: int = 0,
    penalties_count_prompt: bool = False,
    nan_after: str | None = None,
    seed: int = 1,
) -> Draft:
    """A text model of 30 characters (newline, space, a–z, full stop, comma). After `nan_after` its logits are NaN."""
    poison = None if nan_after is None else tokens.index(nan_after)
    bundle = _bundle(name, version, bundle_pb2.MODEL_KIND_SEQUENCE)
    special = {"start_token": start_token, "end_token": end_token, "unknown_token": unknown_token}
    ids: dict[str, Any] = {field: tokens.index(token) for field, token in special.items() if token is not None}
    bundle.sequence.CopyFrom(
        bundle_pb2.SequenceSpec(
            vocabulary=bundle_pb2.Vocabulary(tokens=tokens, **ids),
            longest_prompt=longest_prompt,
            penalties_count_prompt=penalties_count_prompt,
        )
    )
    draft = _draft(bundle, {STEP: graphs.stepper(len(tokens), seed=seed, nan_after=poison)})
    draft.graph(STEP).states.add(input="alpha_in", output="zeta_out", initial_value=0.25)
    draft.graph(STEP).states.add(input="beta_in", output="eta_out")
    draft.avoid_token = poison
    return draft


def autoencoder(name: str = "tiny-faces", version: int = 1, *, seed: int = 2) -> Draft:
    """An autoencoder of 8×8 RGB pictures with latents of 8 numbers, prior normal, that knows glasses and hats."""
    bundle = _pictures(_bundle(name, version, bundle_pb2.MODEL_KIND_AUTOENCODER), 3, bundle_pb2.LATENT_PRIOR_NORMAL)
    draft = _draft(bundle, {DECODE: graphs.decoder(3, seed=seed), ENCODE: graphs.encoder(3, seed=seed + 1)})
    for name_of_direction, strength in ATTRIBUTES.items():
        bundle.attributes.add(name=name_of_direction, description="Made up.", strength=strength)
    draft.files["attributes.safetensors"] = safetensors.save(directions())
    return draft


def directions() -> Arrays:
    """The vectors of ATTRIBUTES."""
    generator = np.random.Generator(np.random.PCG64(8))
    return {name: generator.standard_normal(graphs.LATENT, np.float32) for name in ATTRIBUTES}


def class_generator(
    name: str = "tiny-shapes", version: int = 1, *, classes: Sequence[str] = ("dot", "bar", "ring"), seed: int = 4
) -> Draft:
    """A generator of 8×8 RGB pictures that takes a class, prior normal."""
    bundle = _pictures(_bundle(name, version, bundle_pb2.MODEL_KIND_GENERATOR), 3, bundle_pb2.LATENT_PRIOR_NORMAL)
    bundle.classes.extend(classes)
    return _draft(bundle, {DECODE: graphs.decoder(3, seed=seed, classes=len(classes))})


def grey_generator(name: str = "tiny-digits", version: int = 1, *, seed: int = 5) -> Draft:
    """A generator of 8×8 grey pictures with its critic, prior uniform."""
    bundle = _pictures(_bundle(name, version, bundle_pb2.MODEL_KIND_GENERATOR), 1, bundle_pb2.LATENT_PRIOR_UNIFORM)
    return _draft(bundle, {DECODE: graphs.decoder(1, seed=seed), CRITIC: graphs.critic(1, seed=seed + 1)})


def judge(
    name: str = "tiny-judge",
    version: int = 1,
    *,
    channels: int = 3,
    classes: Sequence[str] = ("dot", "bar", "ring"),
    seed: int = 7,
) -> Draft:
    """A critic of 8×8 pictures that stands alone, and tells classes apart where there are any."""
    bundle = _bundle(name, version, bundle_pb2.MODEL_KIND_CRITIC)
    bundle.image.CopyFrom(_image(channels))
    bundle.classes.extend(classes)
    return _draft(bundle, {CRITIC: graphs.critic(channels, seed=seed, classes=len(classes))})


def compressor(
    name: str = "tiny-codec", version: int = 1, *, step: float = 0.25, reach: int = 9, seed: int = 7
) -> Draft:
    """An autoencoder of 8×8 RGB pictures whose latents become codes, common values near zero."""
    draft = autoencoder(name, version, seed=seed)
    draft.bundle.code.CopyFrom(bundle_pb2.CodeSpec(step=step, reach=reach))
    draft.files["code.safetensors"] = code_file(frequencies(graphs.LATENT, reach))
    return draft


def transformer(name: str = "tiny-mirror", version: int = 1) -> Draft:
    """A transform of 8×8 RGB pictures."""
    bundle = _pictures(_bundle(name, version, bundle_pb2.MODEL_KIND_TRANSFORM), 3, bundle_pb2.LATENT_PRIOR_NORMAL)
    bundle.ClearField("latent")
    return _draft(bundle, {TRANSFORM: graphs.mirror(3)})


def cipher(name: str = "tiny-cipher", graph: onnx.ModelProto | None = None) -> Draft:
    """A transform of tensors that are no pictures."""
    return _draft(_bundle(name, 1, bundle_pb2.MODEL_KIND_TRANSFORM), {TRANSFORM: graph or graphs.cipher()})


def diffusion(
    name: str = "tiny-noise",
    version: int = 1,
    *,
    classes: Sequence[str] = ("dot", "bar", "ring"),
    training_steps: int = 40,
    nan_class: int | None = None,
    seed: int = 7,
) -> Draft:
    """A diffusion model of 8×8 grey pictures; five steps where a request does not say; NaN for `nan_class`."""
    bundle = _pictures(_bundle(name, version, bundle_pb2.MODEL_KIND_DIFFUSION), 1, bundle_pb2.LATENT_PRIOR_NORMAL)
    bundle.latent.size = graphs.SIDE**2
    bundle.classes.extend(classes)
    signal = np.linspace(0.99, 0.01, training_steps)
    bundle.diffusion.CopyFrom(
        bundle_pb2.DiffusionSpec(training_steps=training_steps, signal=signal, default_steps=5, default_guidance=1.5)
    )
    draft = _draft(bundle, {DENOISE: graphs.denoiser(seed=seed, classes=len(classes), nan_class=nan_class)})
    draft.avoid_class = nan_class
    return draft


def boltzmann(
    name: str = "tiny-chain", version: int = 1, *, classes: Sequence[str] = ("dot", "bar", "ring"), seed: int = 7
) -> Draft:
    """A Boltzmann machine of 8×8 grey pictures that takes a class; five steps where a request does not say."""
    bundle = _bundle(name, version, bundle_pb2.MODEL_KIND_BOLTZMANN)
    bundle.image.CopyFrom(bundle_pb2.ImageSpec(height=graphs.SIDE, width=graphs.SIDE, channels=1, low=0, high=1))
    noise = graphs.SIDE**2 + graphs.WIDTH
    start = [0.25] * graphs.WIDTH
    bundle.gibbs.CopyFrom(bundle_pb2.GibbsSpec(state_size=graphs.WIDTH, noise_size=noise, default_steps=5, start=start))
    bundle.classes.extend(classes)
    return _draft(bundle, {GIBBS: graphs.chain(seed=seed, classes=len(classes))})


def write_all(models: Path) -> Mapping[str, Path]:
    """Write one of each kind: the folder of every model by its name."""
    drafts = (stepper(), autoencoder(), class_generator(), grey_generator(), judge())
    return {draft.bundle.name: draft.write(models) for draft in drafts}


def declare(role: Role, model: onnx.ModelProto) -> bundle_pb2.Graph:
    """The declaration that is true of a graph; the state pairs are left to the caller."""
    declared = bundle_pb2.Graph(role=role, file=f"{_ROLE_NAMES[role]}.onnx")
    for values, specs in ((model.graph.input, declared.inputs), (model.graph.output, declared.outputs)):
        for value in values:
            tensor = value.type.tensor_type
            axes = [
                bundle_pb2.Axis(name=axis.dim_param) if axis.dim_param else bundle_pb2.Axis(size=axis.dim_value)
                for axis in tensor.shape.dim
            ]
            specs.add(name=value.name, dtype=_DTYPES[tensor.elem_type], shape=axes)
    return declared


def _draft(bundle: bundle_pb2.Bundle, models: dict[Role, onnx.ModelProto]) -> Draft:
    bundle.graphs.extend(declare(role, model) for role, model in models.items())
    return Draft(bundle, models)


def _bundle(name: str, version: int, kind: bundle_pb2.ModelKind.ValueType) -> bundle_pb2.Bundle:
    bundle = bundle_pb2.Bundle(
        schema_version=1,
        name=name,
        version=version,
        kind=kind,
        description="Made by hand for tests.",
        licence="CC0-1.0",
    )
    bundle.training.data.CopyFrom(bundle_pb2.DataSet(name="none", licence="CC0-1.0", held_out="nothing"))
    bundle.metrics.add(name="held_out_error", value=0.5, baseline=0.75, baseline_name="a coin", description="made up")
    return bundle


def _pictures(bundle: bundle_pb2.Bundle, channels: int, prior: bundle_pb2.LatentPrior.ValueType) -> bundle_pb2.Bundle:
    bundle.latent.CopyFrom(bundle_pb2.LatentSpec(size=graphs.LATENT, prior=prior))
    bundle.image.CopyFrom(_image(channels))
    return bundle


def _image(channels: int) -> bundle_pb2.ImageSpec:
    return bundle_pb2.ImageSpec(height=graphs.SIDE, width=graphs.SIDE, channels=channels, low=-1, high=1)
