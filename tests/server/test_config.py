"""Settings: flags before variables before defaults, and everything wrong told at once."""

import contextlib
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhapsode_server import command_line
from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError


def read(*argv: str, **environ: str) -> Config:
    return command_line.read(argv, environ)[1]


def test_the_defaults_are_the_documented_ones() -> None:
    settings = read()
    assert (str(settings.models), settings.address, settings.metrics_address) == (
        "models",
        "127.0.0.1:50051",
        "127.0.0.1:9464",
    )
    assert (settings.provider, settings.threads, settings.max_tokens) == ("auto", 0, 8192)
    assert settings.message_bytes == 4 * 1024 * 1024


def test_a_flag_goes_before_a_variable_before_the_default() -> None:
    assert read().max_batch == 64
    assert read(RHAPSODE_MAX_BATCH="8").max_batch == 8
    assert read("--max-batch", "4", RHAPSODE_MAX_BATCH="8").max_batch == 4
    assert read("--max-batch=2").max_batch == 2


def test_truth_values_are_flags_of_their_own() -> None:
    assert read("--require-gpu").require_gpu
    assert not read("--no-require-gpu", RHAPSODE_REQUIRE_GPU="true").require_gpu
    assert read(RHAPSODE_REQUIRE_GPU="1").require_gpu


def test_the_environment_of_others_is_passed_over() -> None:
    assert read(PATH="/bin", RHAPSOD="x") == read()


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read("--bogus", "--max-batch", "0", "--slots", RHAPSODE_QUEUE="many", RHAPSODE_QUEUES="1")
    told = caught.value.message.splitlines()
    assert len(told) == 5
    for word in ("--bogus", "--max-batch", "--slots", "RHAPSODE_QUEUE:", "RHAPSODE_QUEUES"):
        assert sum(word in line for line in told) == 1


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e9", ""])
def test_seconds_are_finite_and_within_reason(value: str) -> None:
    with pytest.raises(ConfigError, match="--grace"):
        read("--grace", value)


@pytest.mark.parametrize(
    "value", ["", "host", "127.0.0.1:", ":80", "127.0.0.1:65536", "127.0.0.1:-1", "h:²", "unix:", "::1:50051"]
)
def test_an_address_has_a_host_and_a_port(value: str) -> None:
    with pytest.raises(ConfigError, match="--address: should be host:port"):
        read("--address", value)
    if value:
        with pytest.raises(ConfigError, match="--metrics-address: should be host:port"):
            read("--metrics-address", value)


@pytest.mark.parametrize("value", ["127.0.0.1:0", "[::1]:65535", "localhost:50051", "unix:/run/rhapsode", "unix:s"])
def test_an_address_may_be_a_socket(value: str) -> None:
    assert read("--address", value).address == value


def test_a_flag_is_never_guessed_from_its_beginning() -> None:
    with pytest.raises(ConfigError, match="unknown flag: --max-bat"):
        read("--max-bat", "3")


def test_what_is_printed_can_be_read_again() -> None:
    settings = read("--models", "a folder", "--metrics-address", "", "--grace", "2.5", "--require-gpu")
    printed = dict(shlex.split(line)[0].split("=", 1) for line in command_line.lines(settings))
    assert len(printed) == len(Config.model_fields)
    assert read(**printed) == settings


def test_every_setting_has_a_help_text() -> None:
    text = command_line.parser().format_help()
    assert all(field.description for field in Config.model_fields.values())
    assert all(f"--{name.replace('_', '-')}" in text for name in Config.model_fields)


def test_values_to_choose_from_are_shown() -> None:
    text = command_line.parser().format_help()
    assert "--step-form [auto|loop|unrolled|plain]" in text
    assert "--max-batch [VALUE]" in text


@pytest.mark.parametrize(
    ("argv", "action"),
    [((), "serve"), (("--check",), "check"), (("--print-config",), "print-config"), (("--version",), "version")],
)
def test_actions(argv: tuple[str, ...], action: str) -> None:
    assert command_line.read(argv, {})[0] == action


@given(st.lists(st.text(max_size=12), max_size=4), st.text(max_size=12))
def test_no_words_make_anything_but_settings_or_a_config_error(argv: list[str], value: str) -> None:
    words = [word for word in argv if word not in ("-h", "--help")]
    with contextlib.suppress(ConfigError):
        assert isinstance(command_line.read(words, {"RHAPSODE_SLOTS": value})[1], Config)


@pytest.mark.parametrize(
    "setting",
    [
        "RHAPSODE_DATA=/somewhere",
        "RHAPSODE_SERVICE_HOST=10.0.0.1",
        "RHAPSODE_SERVICE_PORT_GRPC=50051",
        "RHAPSODE_PORT=tcp://10.0.0.1:50051",
        "RHAPSODE_PORT_50051_TCP_ADDR=10.0.0.1",
        "RHAPSODE_GPU_SERVICE_PORT=50051",
    ],
)
def test_a_variable_of_another_program_is_not_taken_for_a_mistake(setting: str) -> None:
    name, _, value = setting.partition("=")
    assert read(**{name: value}) == Config()


def test_a_port_that_is_no_service_of_kubernetes_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="unknown variable: RHAPSODE_PORT"):
        read(RHAPSODE_PORT="8080")


def test_there_is_one_process_unless_more_are_asked_for() -> None:
    assert read().workers == 1
    assert read("--workers", "64").workers == 64
    assert read(RHAPSODE_WORKERS="2").workers == 2


@pytest.mark.parametrize("value", ["0", "-1", "65", "x", "1.5", ""])
def test_the_number_of_workers_has_bounds(value: str) -> None:
    with pytest.raises(ConfigError, match="--workers: "):
        read(f"--workers={value}")


def test_what_clients_load_must_not_be_in_one_worker_only() -> None:
    with pytest.raises(ConfigError, match="--workers: should be 1 with --model-control clients"):
        read("--workers", "2", "--model-control", "clients")


def test_workers_cannot_share_a_unix_socket() -> None:
    with pytest.raises(ConfigError, match="--workers: should be 1 on a unix socket"):
        read("--workers", "2", "--address", "unix:/run/rhapsode")
    assert read("--workers", "1", "--address", "unix:/run/rhapsode").workers == 1


@pytest.mark.parametrize("gpu", [["--provider", "cuda"], ["--provider=tensorrt"], ["--require-gpu"]])
def test_workers_do_not_share_a_gpu(gpu: list[str]) -> None:
    with pytest.raises(ConfigError, match="RHAPSODE_WORKERS: should be 1 on a GPU: run a server for each GPU"):
        read(*gpu, RHAPSODE_WORKERS="2")
