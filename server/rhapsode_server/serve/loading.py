"""What a server needs before it can serve: where to run, and every model, checked."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial

from rhapsode_server.config import Config
from rhapsode_server.errors import StartupError
from rhapsode_server.observe.logs import Log
from rhapsode_server.repository import registry
from rhapsode_server.repository.files import label
from rhapsode_server.repository.folders import bundle_folders
from rhapsode_server.repository.in_child import Bounds, Rehearsed, rehearse_in_child
from rhapsode_server.repository.registry import Batching, LoadedModel, Registry
from rhapsode_server.repository.residents import Key
from rhapsode_server.repository.schema import VERSION
from rhapsode_server.runtime.providers import CPU, Runtime, RuntimeOptions
from rhapsode_server.serve.first_load import all_that_can_be, all_wanted, name_problems, view_of
from rhapsode_server.serve.load_failures import kind_of, told
from rhapsode_server.serve.memory import loaded_apart
from rhapsode_server.serve.model_loader import FirstLoader, Loader
from rhapsode_server.serve.preflight import check_sizes
from rhapsode_server.serve.processors import share

_SOME = 20  # bundles that a log line names


def load(config: Config, log: Log) -> tuple[Runtime, Registry]:
    """Choose where to run; read, verify and warm up the models that should be served. Raises StartupError.

    With --watch those that are refused are left out: to end beside one bad bundle would be an outage of all others.
    """
    runtime = _runtime(config, log)
    heard = Heard(log)
    batching = _batching(config, runtime)
    if config.watch:
        with closing(FirstLoader(config.models, runtime, batching)) as first:
            return runtime, all_that_can_be(config, first, heard)
    every = partial(registry.load_folders, runtime=runtime, batching=batching)
    with loaded_apart():
        return runtime, all_wanted(config, lambda folders: every(folders, progress=heard.loaded, begin=heard.begins))


def check(config: Config, log: Log) -> int:
    """Do as much, each model in a process of its own, and keep none: how many there are.

    A bundle that ends its process, or takes longer than any should, is refused like others. Raises StartupError.
    """
    batching = _batching(config, _runtime(config, log))
    heard = Heard(log)
    folders = bundle_folders(config.models)
    problems = list(name_problems(view_of(config.models)))
    for folder in folders:
        heard.begins(label(folder))
        try:
            heard.loaded(rehearse_in_child(folder, _options(config), batching, Bounds()))
        except StartupError as error:
            problems.append(error.message)
    if problems:
        raise StartupError("\n".join(problems))
    return len(folders)


def loader(config: Config, runtime: Runtime) -> Loader:
    """Make what loads more models, on the provider that those have which are served."""
    return Loader(config.models, runtime, _batching(config, runtime))


class Heard:
    """Logs how far the loading is."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def begins(self, bundle: str) -> None:
        """Say which is next."""
        # The last words of a process that ONNX Runtime, or the kernel for want of memory, ends without any of its own.
        name, _, version = bundle.partition("/")
        number = int(version) if VERSION.fullmatch(version) else version  # which is refused then
        self._log.info("model loading", model=name, model_version=number)

    def failed(self, key: Key, error: Exception) -> None:
        """Say why it is not served."""
        kind = kind_of(error)
        where = {"model": key[0], "model_version": key[1], "reason": kind, "problem": told(error).message}
        self._log.error("model load failed", **where, **({"exc_info": error} if kind == "failed" else {}))

    def later(self, keys: Sequence[Key]) -> None:
        """Say that they are not served yet, and why."""
        some = " ".join(f"{name}/{version}" for name, version in keys[:_SOME])
        self._log.warning("models left to the watch", count=len(keys), bundles=some)

    def loaded(self, model: LoadedModel | Rehearsed) -> None:
        """Say what it is, and what is not as it was meant."""
        self._log.info(
            "model loaded",
            model=model.name,
            model_version=model.version,
            fingerprint=model.fingerprint,
            batch_invariant=model.batch_invariant,
            form=model.form,
            duration_ms=round(model.load_seconds * 1000, 3),
        )
        if reason := model.unfused_reason:
            self._log.warning("steps not fused", model=model.name, model_version=model.version, reason=reason)


def _runtime(config: Config, log: Log) -> Runtime:
    options = _options(config)
    runtime = Runtime(options)
    log.info(
        "runtime",
        provider=runtime.placement.provider,
        fallback_reason=runtime.placement.fallback_reason,
        onnxruntime=runtime.version,
        threads=options.threads,
    )
    return runtime


def _options(config: Config) -> RuntimeOptions:
    return RuntimeOptions(
        provider=config.provider,
        device=config.device,
        gpu_memory_limit=config.gpu_memory_limit or None,
        threads=config.threads or share(),
        require_gpu=config.require_gpu,
    )


def _batching(config: Config, runtime: Runtime) -> Batching:
    """Take the settings; a GPU is given batches of one size, because it chooses its algorithms by their shape.

    Raises ConfigError where a size is larger than any batch.
    """
    sizes = check_sizes(config)
    if not sizes and runtime.placement.provider != CPU:
        sizes = (config.max_batch,)
    return Batching(config.max_batch, config.run_steps, config.run_budget_ms / 1000, sizes, config.step_form)
