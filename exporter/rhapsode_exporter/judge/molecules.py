"""How many of a generator's SMILES are molecules, how many of these differ, how many are new, by RDKit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.errors import EvaluationRefusedError

TOLD_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Census:
    """Of `written` SMILES, `valid` parse; among these are `different` molecules, `new` of which nobody taught."""

    written: int
    valid: int
    different: int
    new: int

    @property
    def validity(self) -> float:
        """The share that are molecules."""
        return _share(self.valid, self.written)

    @property
    def uniqueness(self) -> float:
        """Different molecules for each valid SMILES."""
        return _share(self.different, self.valid)

    @property
    def novelty(self) -> float:
        """The share of the different molecules that are new."""
        return _share(self.new, self.different)


def canonical(smiles: Sequence[str]) -> list[str | None]:
    """The canonical SMILES of each, by which molecules are compared; None where RDKit cannot parse and sanitise it.

    Spaces and line ends around a SMILES are nothing; the empty one is no molecule. Raises EvaluationRefusedError
    where RDKit is not installed.
    """
    try:
        from rdkit import Chem, rdBase  # only who judges molecules needs it
    except ImportError as error:
        raise EvaluationRefusedError('molecules are judged by RDKit: pip install "rhapsode[exporter]"') from error
    with rdBase.BlockLogs():  # it explains every refusal on standard error
        parsed = [Chem.MolFromSmiles(text) if (text := line.strip()) else None for line in smiles]
        return [None if molecule is None else Chem.MolToSmiles(molecule) for molecule in parsed]


def known_molecules(smiles: Sequence[str], note: Callable[[str], None]) -> frozenset[str]:
    """The canonical SMILES of a training set; `note` is told now and then how far it is, as it takes a while."""
    found: set[str] = set()
    for start in range(0, len(smiles), TOLD_EVERY):
        found.update(text for text in canonical(smiles[start : start + TOLD_EVERY]) if text is not None)
        note(f"read {min(start + TOLD_EVERY, len(smiles)):,} of {len(smiles):,} known molecules")
    return frozenset(found)


def census(smiles: Sequence[str], known: frozenset[str]) -> Census:
    """Count molecules; `known` are canonical SMILES, as `known_molecules` gives them."""
    valid = [text for text in canonical(smiles) if text is not None]
    different = set(valid)
    return Census(len(smiles), len(valid), len(different), len(different - known))


def figures(
    generated: Sequence[str], beside: Sequence[str], known: frozenset[str], beside_name: str
) -> tuple[Metric, ...]:
    """The figures of generated SMILES; those of an n-gram's, `beside`, become their baselines.

    `known` are the canonical SMILES of the training set, as `known_molecules` gives them.
    """
    ours, theirs = census(generated, known), census(beside, known)

    def metric(name: str, value: float, baseline: float, description: str) -> Metric:
        return Metric(
            name=name,
            value=value,
            higher_is_better=True,
            baseline=baseline,
            baseline_name=f"SMILES of {beside_name}",
            description=description,
        )

    return (
        metric(
            "valid_share",
            ours.validity,
            theirs.validity,
            f"share of {ours.written:,} generated SMILES that RDKit parses and sanitises",
        ),
        metric(
            "unique_share",
            ours.uniqueness,
            theirs.uniqueness,
            f"different molecules among the {ours.valid:,} valid ones, by canonical SMILES",
        ),
        metric(
            "novel_share",
            ours.novelty,
            theirs.novelty,
            f"share of the {ours.different:,} different molecules that are none of the training set's",
        ),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
