"""Rules and dashboards look at all rpcs that are ours, and count no probe as one."""

import re
from collections.abc import Iterator

import pytest

from house.project import ROOT
from rhapsode_server.rpc.guarded import OURS
from rhapsode_server.rpc.methods import PROBES, SERVED

FILES = ("deploy/prometheus/rules.yaml", "deploy/grafana/rhapsode.json")
SELECTOR = re.compile(r"\{[^{}]*grpc_service=[^{}]*\}")
SERVICES, METHODS = re.compile(r'grpc_service=~"([^"]+)"'), re.compile(r'grpc_method!~"([^"]+)"')
OUR_SERVICES = {name for name in SERVED if f"{name}/".startswith(OURS)}
OUR_PROBES = {name.rpartition("/")[2] for name in PROBES}
STREAMS = 'grpc_type="server_stream"'  # of which none is a probe


def selectors(file: str) -> Iterator[str]:
    """Each selection of rpcs by their services."""
    yield from SELECTOR.findall((ROOT / file).read_text("utf-8").replace('\\"', '"'))


@pytest.mark.parametrize("file", FILES)
def test_every_service_of_ours_is_selected_and_no_other(file: str) -> None:
    found = list(selectors(file))
    assert len(found) >= 3
    for each in found:
        (pattern,) = SERVICES.findall(each)
        assert {name for name in SERVED if re.fullmatch(pattern, name)} == OUR_SERVICES, each


@pytest.mark.parametrize("file", FILES)
def test_no_probe_is_selected(file: str) -> None:
    for each in selectors(file):
        if STREAMS not in each:
            (pattern,) = METHODS.findall(each)
            methods = {method for name in OUR_SERVICES for method in SERVED[name]}
            assert {method for method in methods if re.fullmatch(pattern, method)} == OUR_PROBES, each
