"""The access file: what it may say, and that all that is wrong with it is told, without a word of what stands there."""

import os
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError
from rhapsode_server.main import run
from rhapsode_server.rpc.access import NotRecognised, Rules
from rhapsode_server.rpc.methods import INFERENCE
from rhapsode_server.serve.access import read_access
from rhapsode_server.serve.new_token import PREFIX, entry, new_token

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "ab" * 32
GOOD = f"""
[[clients]]
name = "gallery"
tokens = [{{ sha256 = "{DIGEST}" }}, {{ sha256 = "{"CD" * 32}", expires = 2027-01-31T00:00:00+01:00 }}]
methods = ["rhapsode.v1.ImageService", "rhapsode.v1.ModelService/ListModels"]
models = ["faces-vae"]
rate = 20
burst = 40
"""


def read(path: Path, text: str, **settings: Any) -> Rules:
    file = path / "access.toml"
    file.write_text(text, encoding="utf-8")
    rules = read_access(Config(access=str(file), **settings))
    assert rules is not None
    return rules


def wrong(path: Path, text: str, **settings: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(path, text, **settings)
    return [line.removeprefix(f"--access: {path}/access.toml: ") for line in caught.value.message.splitlines()]


def test_a_client_is_what_its_entry_and_the_settings_say(tmp_path: Path) -> None:
    rules = read(tmp_path, GOOD, client_concurrency=7, client_rate=3)
    (caller,) = rules.callers
    assert (caller.name, caller.models) == ("gallery", frozenset({"faces-vae"}))
    assert (caller.concurrency, caller.rate, caller.burst) == (7, 20, 40)
    assert caller.may_call("rhapsode.v1.ImageService", "StreamImages")
    assert caller.may_call("rhapsode.v1.ModelService", "ListModels")
    assert not caller.may_call("rhapsode.v1.ModelService", "GetModel")
    assert {token.expires for token in rules.tokens.values()} == {None, datetime(2027, 1, 30, 23, tzinfo=UTC)}


def test_the_example_of_the_documents_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    rules = read(tmp_path, page.split("```toml\n")[1].split("```")[0], tls_client_ca="ca.pem")
    callers = {caller.name: caller for caller in rules.callers}
    assert callers.keys() == {"batch", "gallery", "operator", "platform", "triton"}
    for method in ("ModelInfer", "ModelStreamInfer", "RepositoryIndex"):
        assert callers["triton"].may_call(INFERENCE, method)
    loads = {name for name, caller in callers.items() if caller.may_call(INFERENCE, "RepositoryModelLoad")}
    assert loads == {"platform"}


def test_all_methods_are_not_those_of_administration(tmp_path: Path) -> None:
    (caller,) = read(tmp_path, entry(new_token())).callers
    assert caller.may_call("rhapsode.v1.TextService", "StreamText")
    assert caller.may_call(INFERENCE, "ModelInfer")
    assert not caller.may_call(INFERENCE, "RepositoryModelUnload")
    assert not caller.may_call("rhapsode.v1.AdminService", "GetServerState")


@pytest.mark.parametrize("named", ["rhapsode.v1.AdminService", "rhapsode.v1.AdminService/GetServerState"])
def test_administration_is_named_beside_all_methods(tmp_path: Path, named: str) -> None:
    lines = re.sub(r"methods = \[.*?\]", f'methods = ["*", "{named}"]', entry(new_token()), flags=re.DOTALL)
    (caller,) = read(tmp_path, lines).callers
    assert caller.may_call("rhapsode.v1.TextService", "StreamText")
    assert caller.may_call("rhapsode.v1.AdminService", "GetServerState")
    assert caller.may_call("rhapsode.v1.AdminService", "SetLogLevel") is ("/" not in named)


def test_a_new_token_is_let_in_by_its_lines(tmp_path: Path) -> None:
    token = new_token()
    rules = read(tmp_path, entry(token))
    found = rules.by_token([f"bearer  {token}"], NOW)
    assert found is not None
    with pytest.raises(NotRecognised):
        rules.by_token([f"Bearer {token}x"], NOW)
    assert token not in repr(rules)


def test_the_command_makes_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--new-token"], {}) == 0
    said = capsys.readouterr()
    assert said.out.startswith(PREFIX)
    assert said.out.strip() not in said.err
    assert "[[clients]]" in said.err


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = f"""
colour = "red"
[[clients]]
name = "no name"
tokens = [{{ sha256 = "the-token-itself" }}, {{ sha256 = "{DIGEST}", expires = 2027-01-31T00:00:00 }}, {{}}]
methods = ["rhapsode.v1.TextService/Nothing", "*"]
models = ["Faces@1"]
rate = -1
[[clients]]
name = "twice"
tokens = [{{ sha256 = "{DIGEST.upper()}" }}]
[[clients]]
name = "twice"
methods = []
models = []
certificates = ["a", "a"]
secret = "the-token-itself"
[[clients]]
name = "nothing"
methods = ["*"]
models = []
concurrency = "the-token-itself"
burst = 0
"""
    told = wrong(tmp_path, text)
    assert {line.partition(":")[0] for line in told} == {
        "colour",
        "clients[0].name",
        "clients[0].tokens[0].sha256",
        "clients[0].tokens[1].expires",
        "clients[0].tokens[2].sha256",
        "clients[0].methods[0]",
        "clients[0].models[0]",
        "clients[0].rate",
        "clients[1].methods",
        "clients[1].models",
        "clients[1].tokens[0].sha256",
        "clients[2].name",
        "clients[2].methods",
        "clients[2].secret",
        "clients[2].certificates",
        "clients[2].certificates[1]",
        "clients[3]",
        "clients[3].concurrency",
        "clients[3].burst",
    }
    assert not [line for line in told if "the-token" in line or DIGEST in line.lower() or "Faces@1" in line]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "clients: is missing"),
        ("clients = []", "clients: list should have at least 1 item after validation, not 0"),
        ("clients = 3", "clients: input should be a valid list"),
        ("[[clients]]\nname = the-token", "is not TOML: at line 2, column 8"),
        (f'[[clients]]\nname="a"\ntokens=[{{sha256="{"0" * 63}"}}]\nmethods=["*"]\nmodels=["*"]', "64 hexadecimal"),
        (
            f'[[clients]]\nname="a"\nmethods=["*"]\nmodels=["*"]\ntokens=[{{sha256="{sha256().hexdigest()}"}}]',
            "SHA-256 of nothing",
        ),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (line,) = wrong(tmp_path, text)
    assert said in line
    assert "the-token" not in line


def test_a_file_that_is_not_there_is_a_wrong_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--models", str(tmp_path), "--access", f"{tmp_path}/none.toml", "--check"], {}) == 2
    assert "--access" in capsys.readouterr().err


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"--access: .*/pipe is no regular file"):
        read_access(Config(access=str(tmp_path / "pipe")))


def test_certificates_need_an_authority(tmp_path: Path) -> None:
    text = '[[clients]]\nname="a"\ncertificates=["spiffe://x/a"]\nmethods=["*"]\nmodels=["*"]'
    assert wrong(tmp_path, text) == ["clients[0].certificates: need --tls-client-ca; without it no client shows one"]
    assert read(tmp_path, text, tls_client_ca="ca.pem").by_certificate(["b", "spiffe://x/a"]).name == "a"
