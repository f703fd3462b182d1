"""Where the command rhapsode begins: gRPC's core is told to be quiet before it is there, the only time it listens.

It stands beside rhapsode_client, since that package brings gRPC in with whatever is imported of it.
"""

import os


def main() -> None:
    """Run the command that the process was started with; ends the process."""
    # gRPC's core writes of every connection that goes; the commands say themselves what went wrong.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from rhapsode_client.cli.main import main as run  # only here: see above

    run()
