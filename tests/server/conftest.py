"""Loaded models for the tests of the server: one of each kind, made once."""

from pathlib import Path

import pytest

from support import bundles
from support.server import Loaded, load


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundle of each kind, and text models that want a prompt, know an unknown token, or fail after a "z"."""
    folder = tmp_path_factory.mktemp("models")
    bundles.write_all(folder)
    bundles.stepper("no-start", start_token=None).write(folder)
    bundles.stepper("with-unknown", unknown_token=",", longest_prompt=5, end_token=".").write(folder)
    bundles.stepper("failing", nan_after="z").write(folder)
    bundles.compressor().write(folder)
    bundles.transformer().write(folder)
    return folder


@pytest.fixture(scope="session")
def loaded(models_folder: Path) -> Loaded:
    """The same, loaded."""
    return load(models_folder)
