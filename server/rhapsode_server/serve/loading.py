"""What a server needs before it can serve: where to run, and every model, checked."""

from rhapsode_server.config import Config
from rhapsode_server.errors import StartupError
from rhapsode_server.observe.logs import Log
from rhapsode_server.repository import registry
from rhapsode_server.repository.files import label
from rhapsode_server.repository.folders import bundle_folders
from rhapsode_server.repository.in_child import Bounds, Rehearsed, rehearse_in_child
from rhapsode_server.repository.registry import Batching, LoadedModel, Registry
from rhapsode_server.runtime.providers import CPU, Runtime, RuntimeOptions
from rhapsode_server.serve.model_loader import Loader
from rhapsode_server.serve.preflight import check_sizes
from rhapsode_server.serve.processors import share


def load(config: Config, log: Log) -> tuple[Runtime, Registry]:
    """Choose where to run; read, verify and warm up every model. Raises StartupError."""
    runtime = _runtime(config, log)
    heard = Heard(log)
    return runtime, registry.load(config.models, runtime, _batching(config, runtime), heard.loaded, heard.begins)


def check(config: Config, log: Log) -> int:
    """Do as much, each model in a process of its own, and keep none: how many there are.

    A bundle that ends its process, or takes longer than any should, is refused like others. Raises StartupError.
    """
    batching = _batching(config, _runtime(config, log))
    heard = Heard(log)
    problems: list[str] = []
    folders = bundle_folders(config.models)
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
        self._log.info("model loading", bundle=bundle)

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
