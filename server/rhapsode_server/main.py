"""The command rhapsode-server."""

import os
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from importlib.metadata import version

from rhapsode_server import command_line
from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError, StartupError
from rhapsode_server.observe.logs import Log, open_log
from rhapsode_server.observe.traces_settings import read_settings
from rhapsode_server.serve.new_token import entry, new_token
from rhapsode_server.serve.preflight import preflight
from rhapsode_server.serve.process import leave, prepare, run_alone
from rhapsode_server.serve.supervisor import supervise
from rhapsode_server.serve.wish import nothing_to_lose


def main() -> None:
    """Run the command, with the process's own arguments and environment."""
    prepare()
    leave(run(sys.argv[1:], dict(os.environ)))


def run(argv: list[str], environ: dict[str, str]) -> int:
    """Do what the arguments say: the exit code, 0 for well, 1 for models that cannot be served, 2 for wrong options."""
    try:
        action, settings = command_line.read(argv, environ)
        match action:
            case "version":
                _say(f"rhapsode-server {version('rhapsode')}")
            case "print-config":
                _say("\n".join(command_line.lines(settings)))
            case "new-token":
                _print_token(new_token())
            case "check" | "serve":
                with closing(open_log(settings.log_level, settings.log_format, version("rhapsode"))) as log:
                    return _serve(settings, environ, log, check_only=action == "check")
    except StartupError as error:
        with suppress(OSError):  # the exit code says the same where nobody reads
            print(error.message, file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


def _say(text: str) -> None:
    """Print to whoever reads; one that has what it wants, and leaves, is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python tries once more at its end


def _print_token(token: str) -> None:
    """Print it by itself, so that it can go straight to a file; its lines for the access file where people look."""
    _say(token)
    print(f"for the file of --access; the token itself is not kept anywhere:\n\n{entry(token)}", file=sys.stderr)


def _serve(settings: Config, environ: Mapping[str, str], log: Log, check_only: bool) -> int:
    with nothing_to_lose(finished_by_it=not check_only):
        preflight(settings, environ, listens=not check_only)
        tracing = read_settings(environ)
        if settings.workers > 1 and not check_only:
            supervise(settings, tracing, log)
            return 0
        from rhapsode_server.serve import life, loading  # only here: a supervisor has no use for gRPC and ONNX Runtime

        if check_only:
            log.info("checked", models=loading.check(settings, log))
            return 0
        runtime, models = loading.load(settings, log)
        return run_alone(life.serve(settings, runtime, models, log, tracing))


if __name__ == "__main__":
    main()
