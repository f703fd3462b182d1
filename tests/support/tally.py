"""What a server has counted, read from its metrics page."""

import http.client

from prometheus_client.parser import text_string_to_metric_families


def started_calls(metrics_address: str, method: str) -> int:
    """How often a server was asked for this rpc."""
    connection = http.client.HTTPConnection(metrics_address, timeout=10)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "grpc_server_started_total" and sample.labels["grpc_method"] == method
    )
