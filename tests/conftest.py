"""What a run of the tests can be told."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--company",
        type=int,
        metavar="N",
        help="random requests to each shipped model in company (by default 1,000 shared out among all of them)",
    )
