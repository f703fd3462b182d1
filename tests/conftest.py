"""What a run of the tests can be told."""

import pytest
from hypothesis import settings

# How long an example takes says something of the machine, which may be busy, and nothing of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--company",
        type=int,
        metavar="N",
        help="random requests to each shipped model in company (by default 1,000 shared out among all of them)",
    )
