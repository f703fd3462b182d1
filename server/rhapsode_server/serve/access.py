"""The access file: read at the start, and again when it has changed."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

from rhapsode_server.config import Config, is_loopback
from rhapsode_server.errors import ConfigError
from rhapsode_server.rpc.access import Rules, Token
from rhapsode_server.rpc.caller import ALL, Caller
from rhapsode_server.rpc.quotas import Share
from rhapsode_server.serve import setting_file
from rhapsode_server.serve.access_file import AccessEntries, ClientEntry, problems

LARGEST = 4 << 20  # bytes of a file: about 20,000 clients


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told of what has been read anew, from whatever thread read it."""

    fresh: Callable[[Rules], object]
    failed: Callable[[str], object]


class AccessRotation:
    """Reads the file again. Requests under way keep the rules that they began with. For any thread."""

    name = "access"

    def __init__(self, config: Config, rules: Rules, told: Told) -> None:
        self._config = config
        self._rules = rules
        self._told = told
        self._reading = Lock()

    @property
    def paths(self) -> Sequence[str]:
        """The files to watch."""
        return [self._config.access]

    def reload(self) -> str:
        """Read the file, and tell of new rules: why it is of no use, where the old ones are kept; or ""."""
        with self._reading:
            try:
                rules = read_access(self._config)
            except ConfigError as error:
                self._told.failed(error.message)
                return error.message
            if rules is not None and rules != self._rules:
                self._rules = rules
                self._told.fresh(rules)
            return ""


def plain_text(config: Config) -> Iterator[str]:
    """Say where tokens can be read on the way."""
    for name, address in config.grpc_addresses.items():
        on_net = not address.startswith("unix:") and not is_loopback(address.rpartition(":")[0])
        if on_net and not config.tls_certificate:
            yield f"tokens come to {name} in plain text: set --tls-certificate, unless a proxy before it speaks TLS"


def share_of(config: Config) -> Share:
    """What a client has of which nothing else is said."""
    return Share(config.client_concurrency, config.client_rate, config.client_burst)


def read_access(config: Config) -> Rules | None:
    """Read the file that the settings name; None where they name none.

    Raises ConfigError, a line for each thing wrong; none has a word of what stands in the file.
    """
    if not config.access:
        return None
    content = _content(config.access)
    wrong = list(problems(content, certificates=bool(config.tls_client_ca)))
    if wrong:
        raise ConfigError("\n".join(f"--access: {config.access}: {line}" for line in wrong))
    return _rules(AccessEntries.model_validate(content).clients, share_of(config))


def _content(path: str) -> dict[str, object]:
    """The tables of a file. Raises ConfigError."""
    try:
        return tomllib.loads(setting_file.read("--access", path, LARGEST).decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"--access: {path} is not UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        where = str(error).rpartition("(")[2].removesuffix(")") if "(at " in str(error) else "somewhere"
        raise ConfigError(f"--access: {path} is not TOML: {where}") from error  # the rest may quote the file


def _rules(clients: Sequence[ClientEntry], share: Share) -> Rules:
    tokens: dict[bytes, Token] = {}
    certificates: dict[str, Caller] = {}
    for client in clients:
        caller = _caller(client, share)
        tokens |= {bytes.fromhex(each.sha256): Token(caller, each.expires) for each in client.tokens}
        certificates |= dict.fromkeys(client.certificates, caller)
    return Rules(tokens, certificates)


def _caller(client: ClientEntry, share: Share) -> Caller:
    return Caller(
        name=client.name,
        methods=frozenset(client.methods),
        models=None if ALL in client.models else frozenset(client.models),
        concurrency=share.concurrency if client.concurrency is None else client.concurrency,
        rate=share.rate if client.rate is None else client.rate,
        burst=share.burst if client.burst is None else client.burst,
    )
