"""The process that tries out mutants: numbers come in, one line each, and findings go out as JSON."""

import json
import resource
import sys
from pathlib import Path

from benchmarks.fuzz import bundle_mutants as mutants
from benchmarks.fuzz import bundle_trial as trial

from rhapsode_server.runtime.providers import Runtime, RuntimeOptions

ADDRESS_SPACE = 6 << 30  # bytes: a machine that has them all must not be what is tested


def main() -> None:
    """Serve the numbers of standard input until it ends; the argument is the folder of the originals."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bundles = mutants.originals(Path(sys.argv[1]))
    runtime = Runtime(RuntimeOptions(provider="cpu"))
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(trial.run(int(line), bundles, runtime).fields()), flush=True)


if __name__ == "__main__":
    main()
