"""Reading bundle.yaml, the description of a model whose graphs were exported elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from rhapsode.v1.bundle_pb2 import Bundle, GraphRole, ImageSpec, LatentPrior, LatentSpec, ModelKind, SequenceSpec
from rhapsode_exporter.bundle.whole import NAME
from rhapsode_exporter.bundle.write import SCHEMA_VERSION
from rhapsode_exporter.importer import limits
from rhapsode_exporter.importer.contract import CRITIC, DECODE, STEP
from rhapsode_exporter.importer.description import Description
from rhapsode_exporter.importer.graph_section import KIND_ROLES, read_graphs
from rhapsode_exporter.importer.problems import Problem
from rhapsode_exporter.importer.section import Section, shown
from rhapsode_exporter.importer.tokenizer_file import KEY as TOKENIZER
from rhapsode_exporter.importer.vocabulary import check_texts, read_vocabulary
from rhapsode_exporter.importer.yaml_file import read_yaml

KINDS: Mapping[str, ModelKind.ValueType] = MappingProxyType(
    {
        "sequence": ModelKind.MODEL_KIND_SEQUENCE,
        "autoencoder": ModelKind.MODEL_KIND_AUTOENCODER,
        "generator": ModelKind.MODEL_KIND_GENERATOR,
    }
)
PRIORS: Mapping[str, LatentPrior.ValueType] = MappingProxyType(
    {"normal": LatentPrior.LATENT_PRIOR_NORMAL, "uniform": LatentPrior.LATENT_PRIOR_UNIFORM}
)


def describe(path: Path, files: Sequence[Path]) -> tuple[Description, list[Problem]]:
    """What the file `path` says of the ONNX files, and everything that is wrong with it; no ONNX file is opened."""
    values, problems = read_yaml(path, limits.MANIFEST_BYTES)
    if problems:
        return Description(Bundle(), ()), problems
    section = Section("", values, problems)
    manifest = _identity(section)
    graphs = read_graphs(section, manifest.kind, files)
    roles = {graph.role for graph in graphs}.union(*KIND_ROLES.get(manifest.kind, ((), ()))[:1])
    _parts(section, manifest, roles, path.parent)
    section.refuse_rest()
    return Description(manifest, graphs, _tokenizer(section, manifest, path.parent)), problems


def _tokenizer(section: Section, manifest: Bundle, folder: Path) -> bytes | None:
    """The file that the vocabulary was read from, where that was a tokenizer's."""
    if not manifest.sequence.vocabulary.tokenizer:
        return None
    return (folder / section.section("sequence").section("vocabulary").text(TOKENIZER)).read_bytes()


def _identity(section: Section) -> Bundle:
    """Name, version, kind, description and licence: each has to be there."""
    if section.require("name", "the model's name, such as 'tides'", "M2"):
        name = section.text("name", "M2")
        if name and not NAME.fullmatch(name):
            section.wrong("name", f"is {shown(name)}; it must match {NAME.pattern}", "M2")
    section.require("version", "a whole number from 1 up", "M2")
    section.require("kind", f"one of: {', '.join(KINDS)}", "M3")
    for key, hint in (("description", "one paragraph for people"), ("licence", "that of the weights")):
        if section.require(key, hint, "M8") and isinstance(section.value(key), str) and not section.text(key).strip():
            section.wrong(key, "is empty", "M8")
    return Bundle(
        schema_version=SCHEMA_VERSION,
        name=section.text("name", "M2"),
        version=section.integer("version", 1, limits.VERSION, "M2"),
        kind=section.choice("kind", KINDS, ModelKind.MODEL_KIND_UNSPECIFIED, "M3"),
        description=section.text("description", "M8"),
        licence=section.text("licence", "M8"),
    )


def _parts(section: Section, manifest: Bundle, roles: set[GraphRole.ValueType], folder: Path) -> None:
    """The parts of the manifest that follow from the graphs: each stands exactly where a graph needs it."""
    pictures = roles - {STEP}
    if _stands(section, "sequence", STEP in roles, "a step graph"):
        manifest.sequence.CopyFrom(_sequence(section.section("sequence"), folder))
    if _stands(section, "latent", bool(pictures - {CRITIC}), "a decode or encode graph"):
        manifest.latent.CopyFrom(_latent(section.section("latent")))
    if _stands(section, "image", bool(pictures), "a decode, encode or critic graph"):
        manifest.image.CopyFrom(_image(section.section("image")))
    if "classes" in section:
        if DECODE not in roles:
            section.wrong("classes", "stands only where there is a decode graph; remove it", "M6")
        classes = section.texts("classes", "M6")
        if check_texts(section, "classes", classes, limits.CLASSES):
            manifest.classes.extend(classes)


def _stands(section: Section, key: str, wanted: bool, users: str) -> bool:
    if wanted:
        return section.require(key, f"{users} needs it", "M5")
    if key in section:
        section.wrong(key, f"stands only where there is {users}; remove it", "M5")
    return False


def _sequence(section: Section, folder: Path) -> SequenceSpec:
    found = SequenceSpec(
        longest_prompt=section.integer("longest_prompt", 0, limits.UINT32, "M1"),
        penalties_count_prompt=section.flag("penalties_count_prompt"),
    )
    if section.require("vocabulary", "the tokens, by id", "M6"):
        found.vocabulary.CopyFrom(read_vocabulary(section.section("vocabulary"), folder))
    section.refuse_rest()
    return found


def _latent(section: Section) -> LatentSpec:
    section.require("size", "how many numbers a latent has", "M5")
    section.require("prior", f"what latents were drawn from in training, one of: {', '.join(PRIORS)}", "M5")
    found = LatentSpec(
        size=section.integer("size", 1, limits.LATENT_SIZE, "M5"),
        prior=section.choice("prior", PRIORS, LatentPrior.LATENT_PRIOR_UNSPECIFIED, "M5"),
        mean_radius=section.number("mean_radius", 0.0, "M7", low=0.0),
    )
    section.refuse_rest()
    return found


def _image(section: Section) -> ImageSpec:
    for key in ("height", "width", "channels"):
        section.require(key, "pictures have fixed sizes", "M5")
    for key in ("low", "high"):
        section.require(key, f"the tensor's value of a {'black' if key == 'low' else 'white'} pixel", "M7")
    found = ImageSpec(
        height=section.integer("height", 1, limits.IMAGE_SIDE, "M5"),
        width=section.integer("width", 1, limits.IMAGE_SIDE, "M5"),
        channels=section.integer("channels", 1, 3, "M5"),
        low=section.number("low", 0.0, "M7"),
        high=section.number("high", 0.0, "M7"),
    )
    if found.channels == 2:
        section.wrong("channels", "is 2; it is 1 (grey) or 3 (red, green, blue)", "M5")
    if "low" in section and "high" in section and found.low >= found.high:
        section.wrong("high", f"is {found.high:g}, which is not above low, {found.low:g}", "M7")
    section.refuse_rest()
    return found
