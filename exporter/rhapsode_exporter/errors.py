"""Everything that can go wrong in the exporter, as one tree of errors.

ExporterError
├── DataUnavailableError      a data set could not be fetched, or is not what its hash says
├── RunSettingsChangedError   a checkpoint was made with other settings
├── RunExistsError            a run folder holds a checkpoint and nobody said what to do with it
├── ExportFailedError         a network did not become the graph that a bundle needs
├── ParityFailedError         torch and ONNX Runtime disagree on the goldens
├── GraphFailedError          ONNX Runtime cannot load or run a graph
├── BundleExistsError         a bundle of that name and version is already there
├── BundleUnreadableError     a folder does not hold a whole bundle
├── QuantizationRefusedError  a graph has nothing to quantise, or cannot be quantised
├── ImportRefusedError        a graph that was exported elsewhere does not fit the bundle contract
├── DrawingRefusedError       a bundle has no graph that draws pictures
└── EvaluationRefusedError    a bundle cannot be measured here
"""

from collections.abc import Mapping
from pathlib import Path


class ExporterError(Exception):
    """The base of all errors that the exporter reports to its user; the message says what to do."""


class DataUnavailableError(ExporterError):
    """A data set could not be fetched, or its content is not what was expected."""


class RunSettingsChangedError(ExporterError):
    """A checkpoint was made with other settings than the run that wants to go on from it."""

    def __init__(self, path: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        names = sorted(n for n in {*found, *wanted} if found.get(n) != wanted.get(n))
        changes = ", ".join(f"{n} {found.get(n, 'unset')} → {wanted.get(n, 'unset')}" for n in names)
        super().__init__(
            f"the checkpoint in {path} was made with other settings ({changes}); use --fresh to start anew"
        )


class RunExistsError(ExporterError):
    """A run folder holds a checkpoint, and neither --resume nor --fresh was given."""


class ExportFailedError(ExporterError):
    """A network did not become the graph that a bundle needs."""


class ParityFailedError(ExporterError):
    """Torch and ONNX Runtime disagree on the goldens by more than the graph's tolerance."""


class GraphFailedError(ExporterError):
    """ONNX Runtime cannot load or run a graph; the message is its own, in one line."""


class BundleExistsError(ExporterError):
    """A bundle of that name and version is already there."""


class ImportRefusedError(ExporterError):
    """A graph that was exported elsewhere, or its description, does not fit the bundle contract: a line a reason."""


class BundleUnreadableError(ExporterError):
    """A folder does not hold a whole bundle."""


class QuantizationRefusedError(ExporterError):
    """A graph has nothing to quantise, or cannot be quantised."""


class DrawingRefusedError(ExporterError):
    """A bundle has no graph that draws pictures."""


class EvaluationRefusedError(ExporterError):
    """A bundle cannot be measured here: its data are not known, or there is no figure for what it does."""
