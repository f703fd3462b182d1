"""What a server needs before it can serve: where to run, and every model, checked."""

from rhapsode_server.config import Config
from rhapsode_server.observe.logs import Log
from rhapsode_server.repository import registry
from rhapsode_server.repository.registry import Batching, LoadedModel, Registry
from rhapsode_server.runtime.providers import CPU, Runtime, RuntimeOptions
from rhapsode_server.serve.access import read_access
from rhapsode_server.serve.preflight import check_sizes
from rhapsode_server.serve.processors import share
from rhapsode_server.serve.tls import read_tls


def load(config: Config, log: Log) -> tuple[Runtime, Registry]:
    """Choose where to run; read, verify and warm up every model. Raises StartupError."""
    read_access(config)
    read_tls(config)  # what is wrong with it should not be said after a minute of loading
    options = RuntimeOptions(
        provider=config.provider,
        device=config.device,
        gpu_memory_limit=config.gpu_memory_limit or None,
        threads=config.threads or share(),
        require_gpu=config.require_gpu,
    )
    runtime = Runtime(options)
    log.info(
        "runtime",
        provider=runtime.placement.provider,
        fallback_reason=runtime.placement.fallback_reason,
        onnxruntime=runtime.version,
        threads=options.threads,
    )

    def tell(model: LoadedModel) -> None:
        log.info(
            "model loaded",
            model=model.name,
            model_version=model.version,
            fingerprint=model.fingerprint,
            batch_invariant=model.batch_invariant,
            form=model.form,
            duration_ms=round(model.load_seconds * 1000, 3),
        )
        if model.unfused_reason:
            log.warning("steps not fused", model=model.name, model_version=model.version, reason=model.unfused_reason)

    def announce(bundle: str) -> None:
        # The last words of a process that ONNX Runtime, or the kernel for want of memory, ends without any of its own.
        log.info("model loading", bundle=bundle)

    return runtime, registry.load(config.models, runtime, _batching(config, runtime), tell, announce)


def _batching(config: Config, runtime: Runtime) -> Batching:
    """Take the settings; a GPU is given batches of one size, because it chooses its algorithms by their shape.

    Raises ConfigError where a size is larger than any batch.
    """
    sizes = check_sizes(config)
    if not sizes and runtime.placement.provider != CPU:
        sizes = (config.max_batch,)
    return Batching(config.max_batch, config.run_steps, config.run_budget_ms / 1000, sizes, config.step_form)
