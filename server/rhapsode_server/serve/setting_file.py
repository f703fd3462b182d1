"""A small file that a setting names, read whole."""

import os
import stat

from rhapsode_server.errors import ConfigError


def read(flag: str, path: str, most: int) -> bytes:
    """The bytes of a file. Raises ConfigError where it cannot be read, has more than `most`, or is no regular file.

    A pipe would be empty, or wait for ever, when it is read again: by each worker, and when it has changed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{flag}: {path} is no regular file, and it is read more than once")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(most + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(f"{flag}: {path} cannot be read: {error.strerror}") from error
    if len(data) > most:
        raise ConfigError(f"{flag}: {path} has more than {most >> 20} MiB")
    return data
