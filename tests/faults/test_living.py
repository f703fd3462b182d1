"""Models are reloaded, renamed and unloaded under load, for a moment; and the judge of that can fail."""

import tempfile
from pathlib import Path

import pytest
from benchmarks.living.changes import Score
from benchmarks.living.findings import Findings
from benchmarks.living.judging import offences
from benchmarks.living.kinds import DIGITS, TEXT
from benchmarks.living.living import Scale, Target, live
from benchmarks.living.load import Asked
from benchmarks.living.reigns import Reigns
from benchmarks.living.weights import SHIPPED, Shelf
from benchmarks.soak.history import OK, Ending, Item, Message, Origin, Question, Record, Reference

from support import broken_server
from support.bundles import grey_generator, stepper
from support.server import MODULE, process

BRIEF = Scale(seconds=2.5, quiet=0.5, score=Score(beats=4), rate=40.0, seeds=2, still=0.1, turns=0)
MODELS = (TEXT, DIGITS)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models under the names of shipped ones, so that they are asked for the same."""
    folder = tmp_path_factory.mktemp("shipped")
    stepper(TEXT).write(folder)
    grey_generator(DIGITS).write(folder)
    return folder


def lived(shipped: Path, scale: Scale, program: tuple[str, ...] = MODULE) -> Findings:
    """What a server of these models does, run by these words."""
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder) / "contents", Path(folder) / "models")
        for name in MODELS:
            shelf.make(shipped, name)
            shelf.put(name, SHIPPED, 1)
        admin = f"unix:{folder}/admin"
        with process(shelf.models, "--admin-address", admin, program=program) as server:
            target = Target(server.process.pid, server.address, admin, server.metrics_address, MODELS)
            return live(target, shelf, scale)


def test_nobody_notices_that_models_change(shipped: Path) -> None:
    found = lived(shipped, BRIEF)
    assert found.offences == []
    assert [promise for promise in found.promises() if not promise.held] == []
    assert len(found.asked) > 20
    assert {deed.did for deed in found.deeds} == {"load", "switch", "unload", "failed load"}
    assert len({asked.record.origin for asked in found.asked}) > len(MODELS) * 2


@pytest.mark.parametrize("broken", ["switch_at_once", "keep_the_old_meaning"])
def test_a_server_that_breaks_a_promise_is_seen(shipped: Path, broken: str) -> None:
    found = lived(shipped, BRIEF, (broken_server.__file__, broken))
    assert not all(promise.held for promise in found.promises())


OLD, NEW = Origin("m", 1, "old"), Origin("m", 2, "new")
QUESTION = Question("stream", 7)
TRUTH = {
    (QUESTION, who.fingerprint): Reference(who, frozenset({Item(0, 0, who.fingerprint)}), frozenset())
    for who in (OLD, NEW)
}


def reigns() -> Reigns:
    """The old until five, when the new is asked for, which is confirmed at six."""
    made = Reigns()
    made.change({"m": OLD}, 0.0, 1.0)
    made.change({"m": NEW}, 5.0, 6.0)
    return made


def asked(since: float, spoke: float, who: Origin | None, value: str = "", code: str = OK) -> Asked:
    """A stream that was answered by somebody, with these bytes."""
    messages = (Message(spoke, (Item(0, 0, value or (who.fingerprint if who else "")),), origin=who),)
    return Asked(
        "m", True, False, Record(0, QUESTION, since, 0, (OK,), messages=messages, endings=(Ending(spoke, code),))
    )


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (asked(2.0, 3.0, OLD), ""),
        (asked(2.0, 3.0, NEW), "was answered by 2 (new), not by 1 (old)"),
        (asked(5.5, 5.6, OLD), ""),
        (asked(5.5, 5.6, NEW), ""),
        (asked(4.0, 9.0, OLD), ""),
        (asked(7.0, 8.0, NEW), ""),
        (asked(7.0, 8.0, OLD), "was answered by 1 (old), not by 2 (new)"),
        (asked(7.0, 8.0, Origin("m", 2, "")), "gave"),
        (asked(7.0, 8.0, Origin("m", 2, ""), value="new"), ""),
        (asked(7.0, 8.0, NEW, value="old"), "gave"),
        (asked(7.0, 8.0, None), "names no version"),
        (asked(7.0, 8.0, NEW, code="UNAVAILABLE"), "ended with UNAVAILABLE"),
    ],
)
def test_a_reply_is_judged_by_what_its_reference_meant_then(one: Asked, told: str) -> None:
    found = list(offences(one, TRUTH, reigns().of))
    assert bool(found) == bool(told)
    assert told in "".join(found)
