"""Loaded models for the tests of the server: one of each kind, made once."""

from pathlib import Path

import pytest

from support import bundles, text_bundles
from support.living import Versions, write_versions
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
def texts(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Models of texts that know classes, and critics of texts, loaded."""
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    bundles.grey_generator().write(folder)
    text_bundles.headlines().write(folder)
    text_bundles.headlines("short-headlines", longest_prompt=8).write(folder)
    text_bundles.headlines("started-headlines", start_token="\n").write(folder)
    text_bundles.text_critic().write(folder)
    text_bundles.text_critic("few-letters", tokens=tuple("aeiou"), longest=6).write(folder)
    text_bundles.text_critic("some-letters", tokens=(*"aeiou", "<?>"), unknown_token="<?>", longest=6).write(folder)
    text_bundles.text_critic("failing-taste", nan_token="z").write(folder)
    return load(folder)


@pytest.fixture(scope="session")
def loaded(models_folder: Path) -> Loaded:
    """The same, loaded."""
    return load(models_folder)


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """Models of which there are two versions."""
    return write_versions(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="module")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of texts, for servers that are processes of their own."""
    folder = tmp_path_factory.mktemp("one-model")
    bundles.stepper().write(folder)
    return folder
