"""The image, built once for all tests that look at it."""

from collections.abc import Iterator

import pytest

from image import machine
from image.building import Image, built
from image.container import Container, serving


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """The target cpu, built for real."""
    if reason := machine.missing():
        pytest.skip(reason)
    with built("cpu") as made:
        yield made


@pytest.fixture
def container(image: Image) -> Iterator[Container]:
    """Its server, on free ports, in no hurry to be kept alive."""
    with serving(image, RHAPSODE_DRAIN_DELAY="0") as running:
        yield running
