"""What stands in for the child that rehearses a bundle: run as a program, `python -P rehearsing.py`.

It crashes on models that are named so, lies of others, and waits at a gate, where there is one, before it does as ever.
"""

import io
import json
import os
import signal
import sys
from pathlib import Path

GATE = ".gate"
"""A FIFO in the folder of models: a child opens it to read, and waits until there is a writer."""
CHILDREN = ".children"
"""A file there in which each child leaves a line with its id."""
PROGRAM = ("-P", __file__)
LIE = {
    "name": "a-liar",
    "version": 1,
    "digest": "0" * 64,
    "fingerprint": "",
    "batch_invariant": True,
    "form": "",
    "unfused_reason": "",
    "load_seconds": 0.0,
}


def main() -> int:
    """Do so."""
    said = sys.stdin.read()
    folder = Path(json.loads(said)["folder"])
    models, name = folder.parents[1], folder.parent.name
    with (models / CHILDREN).open("a") as children:
        children.write(f"{os.getpid()}\n")
    if name == "a-crasher":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "a-liar":
        print(json.dumps(LIE))
        return 0
    if (models / GATE).exists():
        (models / GATE).read_bytes()
    sys.stdin = io.StringIO(said)
    from rhapsode_server.repository import in_child

    return in_child.main()


if __name__ == "__main__":
    sys.exit(main())
