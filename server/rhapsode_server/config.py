"""The server's settings: one class, of which each field is a flag and a variable; command_line.py reads them."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


def _host_and_port(address: str) -> str:
    """Refuse what is no host:port; gRPC itself would take port 99999 for 34463."""
    host, _, port = address.rpartition(":")
    if (
        not host
        or (":" in host and not host.startswith("["))
        or not port.isascii()
        or not port.isdigit()
        or int(port) > 65_535
    ):
        raise PydanticCustomError(
            "address", "should be host:port, the port from 0 to 65535, an IPv6 address in brackets"
        )
    return address


def _socket(address: str) -> str:
    return address if address.startswith("unix:") and address != "unix:" else _host_and_port(address)


def _admin(address: str) -> str:
    return address and _socket(address)


def is_loopback(host: str) -> bool:
    """Whether only this machine is reached there; a name may come to mean any."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _page(address: str) -> str:
    return address and _host_and_port(address)


def _sizes(text: str) -> str:
    """Refuse what is no list of batch sizes."""
    if text and not all(word.isascii() and word.isdigit() and 1 <= int(word) <= 4096 for word in text.split(",")):
        raise PydanticCustomError("sizes", "should be whole numbers from 1 to 4096 with commas between them")
    return text


class Config(BaseModel):
    """What an operator may set. Flag `--max-batch`, variable RHAPSODE_MAX_BATCH and field max_batch are one thing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: Annotated[Path, Field(description="folder of bundles, models/<name>/<version>/")] = Path("models")
    watch: Annotated[
        bool, Field(description="serve what comes into the folder of models, and no more what leaves it")
    ] = False
    versions: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="newest versions of a model that are served besides those with an alias; 0 for all",
        ),
    ] = 0
    max_models: Annotated[
        int, Field(ge=0, le=1_000_000, description="versions of models in memory at a time; 0 for no limit")
    ] = 0
    max_model_bytes: Annotated[
        int, Field(ge=0, description="bytes of the bundles in memory at a time; 0 for no limit")
    ] = 0
    model_control: Annotated[
        Literal["admin", "clients"],
        Field(description="who may load and unload models: admin, at --admin-address; clients, at --address too"),
    ] = "admin"
    address: Annotated[
        str,
        AfterValidator(_socket),
        Field(description="where gRPC listens, host:port or unix:path; port 0 takes a free one"),
    ] = "127.0.0.1:50051"
    metrics_address: Annotated[
        str, AfterValidator(_page), Field(description="where Prometheus scrapes over HTTP; empty for nowhere")
    ] = "127.0.0.1:9464"

    tls_certificate: Annotated[
        str, Field(description="PEM file of the server's certificate and what leads to its authority; empty: no TLS")
    ] = ""
    tls_key: Annotated[str, Field(description="PEM file of the certificate's private key, without a passphrase")] = ""
    tls_client_ca: Annotated[
        str,
        Field(
            description="PEM file of authorities; clients must show a certificate of theirs; empty: anybody may call"
        ),
    ] = ""

    access: Annotated[
        str, Field(description="TOML file of who may call what, and how often; empty: anybody may call everything")
    ] = ""
    admin_address: Annotated[
        str,
        AfterValidator(_admin),
        Field(description="where health and administration listen besides, host:port or unix:path; empty for nowhere"),
    ] = ""

    provider: Annotated[
        Literal["auto", "cuda", "cpu", "tensorrt"],
        Field(description="execution provider; auto takes CUDA where a session really runs on it, else the CPU"),
    ] = "auto"
    device: Annotated[int, Field(ge=0, le=1024, description="number of the GPU")] = 0
    gpu_memory_limit: Annotated[int, Field(ge=0, description="bytes that ONNX Runtime may take; 0 for no limit")] = 0
    require_gpu: Annotated[bool, Field(description="end instead of falling back to the CPU")] = False
    threads: Annotated[int, Field(ge=0, le=1024, description="threads of a run; 0 for the cgroup's share")] = 0

    workers: Annotated[
        int, Field(ge=1, le=64, description="processes that serve, on a CPU: each holds the models and its own limits")
    ] = 1

    max_batch: Annotated[int, Field(ge=1, le=4096, description="most rows in one run")] = 64
    run_steps: Annotated[int, Field(ge=1, le=1024, description="most tokens that one run makes for a row")] = 32
    run_budget_ms: Annotated[
        float, Field(ge=0.1, le=10_000, description="milliseconds that a run of several tokens may take")
    ] = 50
    step_form: Annotated[
        Literal["auto", "loop", "unrolled", "plain"],
        Field(description="how tokens are stepped; auto is loop on the CPU, unrolled elsewhere; plain: one a run"),
    ] = "auto"
    batch_buckets: Annotated[
        str,
        AfterValidator(_sizes),
        Field(
            description="sizes up to max_batch that batches of steps in loop form are padded to, as 8,64; empty: none"
        ),
    ] = ""
    batch_delay_ms: Annotated[
        float, Field(ge=0, le=1000, description="milliseconds that a batch which is not full waits for more requests")
    ] = 0
    crowd_delay_ms: Annotated[
        float, Field(ge=0, le=1000, description="the same after a batch of four or more requests; the longer one holds")
    ] = 1
    slots: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="requests on one graph that are stepped at a time, long ones apart; 0 for max_batch",
        ),
    ] = 0
    queue: Annotated[Count, Field(description="requests on one graph that may wait for a slot")] = 1024
    queue_wait: Annotated[
        Seconds, Field(gt=0, description="most seconds that a request may have to expect to wait for a slot")
    ] = 0.1
    long_after: Annotated[
        Seconds,
        Field(description="seconds of a slot from which on a request is long, with slots apart; 0 for none"),
    ] = 5
    client_concurrency: Annotated[
        int, Field(ge=0, le=1_000_000, description="requests of one client at a time; 0 for no limit of its own")
    ] = 0
    client_rate: Annotated[
        float, Field(ge=0, le=1_000_000, description="requests a second of one client in the long run; 0 for no limit")
    ] = 0
    client_burst: Annotated[Count, Field(description="requests that a client with a rate may send at once")] = 10
    max_tokens: Annotated[Count, Field(description="most tokens generated for a candidate")] = 8192
    max_prompt_tokens: Annotated[Count, Field(description="most tokens in a prompt")] = 8192
    max_images_per_stream: Annotated[Count, Field(description="most pictures of a streaming request")] = 100_000
    message_bytes: Annotated[
        int, Field(ge=65_536, le=1 << 30, description="most bytes of a message, either way; clients expect 4 MiB")
    ] = 4 * 1024 * 1024
    flush_tokens: Annotated[
        int,
        Field(
            ge=1, le=1024, description="tokens or pictures of a stream that make a message when more than four are open"
        ),
    ] = 16
    flush_interval_ms: Annotated[
        int, Field(ge=0, le=10_000, description="most that a made token or picture waits for more")
    ] = 100

    default_deadline: Annotated[Seconds, Field(gt=0, description="seconds for a request that names no deadline")] = 300
    maximum_deadline: Annotated[Seconds, Field(gt=0, description="most seconds for any request")] = 600
    stall_timeout: Annotated[
        Seconds,
        Field(gt=0, description="seconds that a reader may leave a message untaken before its work is given up"),
    ] = 30
    run_timeout: Annotated[
        Seconds,
        Field(ge=1, description="seconds after which a run is taken for hung: readiness goes, the process ends"),
    ] = 60
    drain_delay: Annotated[
        Seconds, Field(description="seconds of serving on after readiness has gone, for load balancers to notice")
    ] = 5
    grace: Annotated[Seconds, Field(description="seconds that requests under way have to finish in a stop")] = 30

    max_connections: Annotated[Count, Field(description="most connections at a time")] = 1000
    max_streams_per_connection: Annotated[Count, Field(description="most requests at a time on a connection")] = 100
    keepalive_time: Annotated[Seconds, Field(ge=1, description="seconds of silence before a ping")] = 30
    keepalive_timeout: Annotated[Seconds, Field(ge=1, description="seconds to wait for a ping's answer")] = 10
    connection_idle: Annotated[Seconds, Field(ge=1, description="seconds before an unused connection is closed")] = 300
    connection_age: Annotated[Seconds, Field(ge=1, description="seconds before a connection is asked to end")] = 600
    connection_age_grace: Annotated[
        Seconds, Field(ge=1, description="seconds that its requests then have; a stream lives no longer than both")
    ] = 600

    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="least weight of a line")] = (
        "info"
    )
    log_format: Annotated[Literal["json", "console"], Field(description="for machines or for people")] = "json"

    @property
    def grpc_addresses(self) -> Mapping[str, str]:
        """Where gRPC listens, by the flag that says so."""
        told = {"--address": self.address, "--admin-address": self.admin_address}
        return {flag: address for flag, address in told.items() if address}

    @field_validator("admin_address")
    @classmethod
    def _is_private(cls, admin_address: str, others: ValidationInfo) -> str:
        """Refuse what others than this machine reach where nobody asks who they are, and the address of the models."""
        near = admin_address.startswith("unix:") or is_loopback(admin_address.rpartition(":")[0])
        if admin_address and not near and not others.data.get("access"):
            raise PydanticCustomError(
                "admin_address",
                "should be unix:path or a loopback address (127.0.0.1, [::1], localhost), unless --access is set",
            )
        if admin_address and not admin_address.endswith(":0") and admin_address == others.data.get("address"):
            raise PydanticCustomError("admin_address", "should be another one than --address")
        return admin_address

    @field_validator("workers")
    @classmethod
    def _can_share(cls, workers: int, others: ValidationInfo) -> int:
        """Refuse several processes where one port or one GPU is all there is; the fields above are read already."""
        if workers > 1 and str(others.data.get("address")).startswith("unix:"):
            raise PydanticCustomError("workers", "should be 1 on a unix socket, which processes cannot share as a port")
        if workers > 1 and others.data.get("admin_address"):
            raise PydanticCustomError("workers", "should be 1 with an admin address, which tells of one process")
        if workers > 1 and others.data.get("model_control") == "clients":
            raise PydanticCustomError("workers", "should be 1 with --model-control clients, which reaches one process")
        if workers > 1 and (others.data.get("provider") in ("cuda", "tensorrt") or others.data.get("require_gpu")):
            raise PydanticCustomError("workers", "should be 1 on a GPU: run a server for each GPU instead")
        return workers
