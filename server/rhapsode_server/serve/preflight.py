"""What can be known to be wrong before anything is loaded, said all at once."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError, StartupError
from rhapsode_server.observe.endpoint import check_page
from rhapsode_server.observe.traces_settings import read_settings
from rhapsode_server.repository.folders import bundle_folders
from rhapsode_server.serve.access import read_access
from rhapsode_server.serve.free import check_free
from rhapsode_server.serve.tls import read_tls

Check = Callable[[], object]


def preflight(config: Config, environ: Mapping[str, str], *, listens: bool) -> None:
    """Check the settings against the machine; of a server that `listens`, the addresses too.

    Raises ConfigError with a line for each thing wrong, or StartupError where nothing but models are missing.
    """
    checks: list[Check] = [
        lambda: read_settings(environ),
        lambda: check_sizes(config),
        lambda: read_tls(config),
        lambda: read_access(config),
        lambda: check_models(config.models, may_be_empty=config.watch and listens),
    ]
    if listens:
        checks += [partial(check_free, address, flag) for flag, address in config.grpc_addresses.items()]
        checks.append(lambda: check_page(config.metrics_address))
    all_at_once(*checks)


def check_sizes(config: Config) -> tuple[int, ...]:
    """The sizes that batches are padded to. Raises ConfigError where one is larger than any batch."""
    sizes = tuple(int(word) for word in config.batch_buckets.split(",") if word)
    if any(size > config.max_batch for size in sizes):
        raise ConfigError(f"--batch-buckets: no batch is larger than --max-batch, {config.max_batch}")
    return sizes


def check_models(models: Path, *, may_be_empty: bool) -> None:
    """Raise StartupError where there is no model, or where the folder cannot be looked into.

    One that is watched may be empty, though not missing: a wrong name would be waited at for ever.
    """
    with suppress(OSError):  # which is told when it is looked into
        if may_be_empty and models.is_dir():
            return
    bundle_folders(models)


def all_at_once(*checks: Check) -> None:
    """Do all checks.

    Raises ConfigError with the lines of all that failed, StartupError where none of them was of that kind.
    """
    failures: list[StartupError] = []
    for check in checks:
        try:
            check()
        except StartupError as error:
            failures.append(error)
    if failures:
        wrong_option = any(isinstance(error, ConfigError) for error in failures)
        raise (ConfigError if wrong_option else StartupError)("\n".join(error.message for error in failures))
