"""Reads the settings from flags and variables; says all that is wrong with them at once."""

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError

PREFIX = "RHAPSODE_"
# Not settings: what rhapsode-train and rhapsode read, and what Kubernetes sets in pods that see a Service of ours.
OTHERS = re.compile(
    r"RHAPSODE_((DATA|TOKEN|TOKEN_FILE)=.*|"
    r"(\w+_)?(SERVICE_HOST=.*|SERVICE_PORT(_\w+)?=\d+|PORT=\w+://.*|PORT_\d+_(TCP|UDP)(_\w+)?=.*))"
)

Action = Literal["serve", "check", "print-config", "new-token", "version"]

_ACTIONS: Mapping[str, Action] = MappingProxyType(
    {"check": "check", "print-config": "print-config", "new-token": "new-token", "version": "version"}
)


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def read(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Action, Config]:
    """Read the settings: flags before variables before defaults. Raises ConfigError, a line for each thing wrong."""
    wrong: list[str] = []
    flags = _read_flags(argv, wrong)
    action = _ACTIONS.get(str(flags.pop("action", "")), "serve")
    variables = _read_variables(environ, wrong)
    try:
        config = Config.model_validate({**variables, **flags})
    except ValidationError as error:
        wrong += (_explain(str(one["loc"][0]), one["msg"], flags) for one in error.errors())
    if wrong:
        raise ConfigError("\n".join(wrong))
    return action, config


def _read_flags(argv: Sequence[str], wrong: list[str]) -> dict[str, str | bool]:
    try:
        known, unknown = parser().parse_known_args(argv)
    except argparse.ArgumentError as error:
        wrong.append(str(error))
        return {}
    given = vars(known)
    wrong += (f"unknown {'flag' if word.startswith('-') else 'word'}: {word}" for word in unknown)
    wrong += (f"{_flag(name)}: needs a value" for name, value in given.items() if value is None)
    return {name: value for name, value in given.items() if value is not None}


def _read_variables(environ: Mapping[str, str], wrong: list[str]) -> dict[str, str]:
    ours = {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX) and not OTHERS.fullmatch(f"{name}={value}")
    }
    fields = {variable(field): field for field in Config.model_fields}
    wrong += (f"unknown variable: {name}" for name in sorted(ours.keys() - fields.keys()))
    return {field: ours[name] for name, field in fields.items() if name in ours}


def _explain(field: str, message: str, flags: Mapping[str, str | bool]) -> str:
    origin = _flag(field) if field in flags else variable(field)
    return f"{origin}: {message[0].lower()}{message[1:]}"


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def parser() -> argparse.ArgumentParser:
    """Make the parser of the flags; it reads words only, their meaning is checked with the variables'."""
    made = argparse.ArgumentParser(
        "rhapsode-server",
        description="Serves bundles of generative models over gRPC.",
        epilog=f"Every flag is also a variable: --max-batch is {variable('max_batch')}.",
        argument_default=argparse.SUPPRESS,
        exit_on_error=False,
        allow_abbrev=False,
    )
    for action, text in (
        ("check", "load, verify and warm up the models, then end: 0 if all is well"),
        ("print-config", "print the settings as they are read, then end"),
        ("new-token", "print a new token, and on standard error its lines for --access; then end"),
        ("version", "print the version, then end"),
    ):
        made.add_argument(f"--{action}", dest="action", action="store_const", const=action, help=text)
    for name, field in Config.model_fields.items():
        text = f"{field.description} (default: {str(field.default) or 'empty'})"
        if field.annotation is bool:
            made.add_argument(_flag(name), dest=name, action=argparse.BooleanOptionalAction, help=text)
        else:  # a missing value is told with everything else that is wrong
            metavar = "|".join(choices(field)) or "VALUE"
            made.add_argument(_flag(name), dest=name, nargs="?", metavar=metavar, help=text)
    return made


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The values that a field may have, where they can be counted up; a flag that is there or not has none."""
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def lines(config: Config) -> Iterator[str]:
    """Each setting as a line of a shell's environment file."""
    for name, value in config.model_dump(mode="json").items():
        word = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"{variable(name)}={shlex.quote(word) if word else ''}"
