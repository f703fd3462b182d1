"""What a server has done, told by its log or by its metrics page.

The page is for one look: a server that is asked again and again gives the last page once more. Waiting is for the log.
"""

import json
import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from support.server import Process


def answers(line: str, method: str) -> bool:
    """Whether a line of a log tells of an rpc of this method that has gone well."""
    if '"msg": "rpc"' not in line:
        return False
    told = json.loads(line)
    return bool(told["grpc_code"] == "OK" and told["grpc_method"].endswith(f"/{method}"))


def answered(server: Process, method: str) -> int:
    """How many rpcs of a method have gone well, as far as the log has been written: it is some hundredths late."""
    return sum(answers(line, method) for line in server.child.lines)


def until_answered(server: Process, method: str, count: int) -> None:
    """Wait until the log tells of so many rpcs of a method that have gone well."""
    server.child.wait(lambda lines: sum(answers(line, method) for line in lines) >= count)


def page(server: Process) -> str:
    """Its metrics page as it is now. Raises RuntimeError where it is an old one, since too many were asked for."""
    asked = time.monotonic()
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=30) as reply:
        text = str(reply.read(), "utf-8")
        if int(reply.headers["Age"]) > time.monotonic() - asked:
            raise RuntimeError(f"the metrics page is {reply.headers['Age']} s old: wait for the log instead")
    return text


def started_calls(server: Process, method: str) -> int:
    """How often a server was asked for this rpc, by its metrics page."""
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(page(server))
        for sample in family.samples
        if sample.name == "grpc_server_started_total" and sample.labels["grpc_method"] == method
    )
