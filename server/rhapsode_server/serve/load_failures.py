"""What a load's failure is to those who asked for it, and to metrics."""

from collections.abc import Iterator

from rhapsode_server.errors import (
    DeviceLost,
    LoadChanged,
    LoadCrashed,
    LoadFailed,
    LoadTooLong,
    RepositoryFull,
    RequestError,
    StartupError,
)
from rhapsode_server.observe.loads import Failure

LONGEST = 1000
"""Characters of a problem that are told: there may be many bundles with one."""
_KINDS: tuple[tuple[type[Exception], Failure], ...] = (
    (RepositoryFull, "full"),
    (LoadCrashed, "crashed"),
    (LoadTooLong, "timed_out"),
    (LoadChanged, "changed"),
    (StartupError, "refused"),
)


def kind_of(error: Exception) -> Failure:
    """Name the failure for metrics."""
    if device_lost(error):
        return "device_lost"
    return next((name for kind, name in _KINDS if isinstance(error, kind)), "failed")


def told(error: Exception) -> RequestError:
    """The failure in words for whoever asked: rules that the bundle breaks, and nothing of the inside of the server."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, StartupError):
        return LoadFailed(error.message[:LONGEST])
    return LoadFailed("the server failed to load it; its log says more")


def device_lost(error: Exception) -> DeviceLost | None:
    """What lost the device of this process, where that is behind the failure: no other model can be run either."""
    return next((each for each in _causes(error) if isinstance(each, DeviceLost)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = None if error.__cause__ is error else error.__cause__
