"""The options of every command that say which server, and who calls it."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from rhapsode_client.channel import DEFAULT_ADDRESS, ChannelSettings, Tls

PANEL = "Connection"
TOKEN = "RHAPSODE_TOKEN"  # noqa: S105 - the name of the variable
CERTIFICATE, KEY = b"-----BEGIN CERTIFICATE-----", b"PRIVATE KEY-----"

AdminAddress: TypeAlias = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="RHAPSODE_ADMIN_ADDRESS",
        help="The server's --admin-address: host:port or unix:path.",
        rich_help_panel=PANEL,
    ),
]
Address: TypeAlias = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="RHAPSODE_ADDRESS",
        help="The server: host:port, dns:///host:port or unix:path; several: ip:port,ip:port.",
        rich_help_panel=PANEL,
    ),
]


def _file(name: str, text: str, default: str, envvar: str | None = None) -> Any:  # noqa: ANN401 - typer's own type
    return typer.Option(
        name, help=text, envvar=envvar, show_default=default, rich_help_panel=PANEL, exists=True, dir_okay=False
    )


TlsRoots: TypeAlias = Annotated[
    Path | None, _file("--tls-ca", "Talk TLS, and trust this PEM file of root certificates.", "plain text")
]
TlsCertificate: TypeAlias = Annotated[
    Path | None, _file("--tls-cert", "Talk TLS, and show this PEM file of a certificate of one's own.", "none")
]
TlsKey: TypeAlias = Annotated[Path | None, _file("--tls-key", "PEM file of that certificate's private key.", "none")]
TokenFile: TypeAlias = Annotated[
    Path | None,
    _file("--token-file", "File of the token that says who calls.", "what RHAPSODE_TOKEN says", "RHAPSODE_TOKEN_FILE"),
]


@dataclass(frozen=True, slots=True)
class Connection:
    """What the options say."""

    address: Address = DEFAULT_ADDRESS
    tls_ca: TlsRoots = None
    tls_cert: TlsCertificate = None
    tls_key: TlsKey = None
    token_file: TokenFile = None

    def settings(self) -> ChannelSettings:
        """What the client needs to know. Raises typer.BadParameter for a file that is not what it should be."""
        return ChannelSettings(tls=self._tls(), token=self._token())

    def _tls(self) -> Tls | None:
        if not (self.tls_ca or self.tls_cert or self.tls_key):
            return None
        if (self.tls_cert is None) != (self.tls_key is None):
            raise typer.BadParameter("one is of no use without the other", param_hint="--tls-cert and --tls-key")
        return Tls(
            root_certificates=_pem(self.tls_ca, "--tls-ca", CERTIFICATE, "certificates"),
            private_key=_pem(self.tls_key, "--tls-key", KEY, "private key"),
            certificate_chain=_pem(self.tls_cert, "--tls-cert", CERTIFICATE, "certificates"),
        )

    def _token(self) -> str | None:
        """The token: a file goes before the variable. None of the messages says what it is."""
        if self.token_file is None:
            return os.environ.get(TOKEN) or None
        token = self.token_file.read_text(encoding="utf-8", errors="replace").strip()
        if not token or len(token.split()) > 1:
            raise typer.BadParameter(
                f"{self.token_file} should hold a token and nothing else", param_hint="--token-file"
            )
        return token


DEFAULT_CONNECTION = Connection()


@dataclass(frozen=True, slots=True)
class AdminConnection(Connection):
    """What the options say of a server's other address, which has no default."""

    address: AdminAddress


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer needs it: its parameter `connection` is made of options, the same for every command that
    takes the same kind of one.
    """
    parameters = inspect.signature(command, eval_str=True).parameters
    kind: type[Connection] = parameters["connection"].annotation
    options = list(inspect.signature(kind, eval_str=True).parameters.values())
    names = [option.name for option in options]

    @wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - whatever the command takes
        connection = kind(**{name: given.pop(name) for name in names})
        command(**given, connection=connection)

    shown = [
        each
        for parameter in parameters.values()
        for each in (options if parameter.name == "connection" else [parameter])
    ]
    run.__annotations__ = {each.name: each.annotation for each in shown}
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return run


def _pem(path: Path | None, option: str, mark: bytes, what: str) -> bytes | None:
    """What a PEM file holds; gRPC would take anything, and fail at the first connection."""
    if path is None:
        return None
    data = path.read_bytes()
    if mark not in data:
        raise typer.BadParameter(f"{path} holds no {what} in PEM", param_hint=option)
    return data
