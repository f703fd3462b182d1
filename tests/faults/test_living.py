"""Models are reloaded, renamed and unloaded under load, for a moment; and the judge of that can fail."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest
from benchmarks.living.judging import offences
from benchmarks.living.kinds import LASTING, TEXT, kinds
from benchmarks.living.living import Scale, Target, live
from benchmarks.living.load import Asked
from benchmarks.living.reigns import Reigns
from benchmarks.living.weights import SHIPPED, Shelf
from benchmarks.soak.history import OK, Ending, Item, Message, Origin, Question, Record, Reference, reference
from benchmarks.soak.recorder import Recorder

from rhapsode_server.rpc.leases import Holders
from support import broken_server
from support.bundles import stepper
from support.living import come, leave, load_one
from support.server import load, process, running

BRIEF = Scale(seconds=1.5, quiet=0.2, loads=2, rate=40.0, seeds=1, still=0.2, warm=False)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model under the name of a shipped one, so that it is asked for the same."""
    folder = tmp_path_factory.mktemp("shipped")
    stepper(TEXT).write(folder)
    return folder


def test_nobody_notices_that_models_change(shipped: Path, tmp_path: Path) -> None:
    shelf, admin = Shelf(tmp_path / "contents", tmp_path / "models"), f"unix:{tmp_path}/admin"
    shelf.make(shipped, TEXT)
    shelf.put(TEXT, SHIPPED, 1)
    with process(shelf.models, "--admin-address", admin) as server:
        target = Target(server.process.pid, server.address, admin, server.metrics_address, (TEXT,))
        found = live(target, shelf, BRIEF)
        assert server.stop() == 0
    assert found.offences == []
    assert [promise.text for promise in found.promises() if not promise.held and "memory" not in promise.text] == []
    assert {deed.did for deed in found.deeds} == {"load", "switch", "unload", "failed load"}
    assert len({asked.record.origin for asked in found.asked if asked.record.origin}) > 2


async def replaced_meanwhile(shipped: Path) -> list[str]:
    """What is wrong with long streams that are under way when their model is replaced, as clients see it."""
    old, new = load(shipped), load_one(stepper(TEXT, 2, seed=9).write(shipped))
    lasting = next(kind for kind in kinds((TEXT,)) if kind.name == LASTING)
    async with running(old) as server:
        recorder, catalog, meant = Recorder(server.channel), server.server.catalog, Reigns()
        alone = [await recorder.ask(lasting, seed) for seed in range(3)]
        truth = {(one.question, one.origin.fingerprint): reference(one) for one in alone if one.origin}
        (before,) = {one.origin for one in alone if one.origin}
        meant.change({TEXT: before}, 0.0, 0.0)
        asking = asyncio.gather(*(recorder.ask(lasting, seed) for seed in range(3)))
        while catalog.holders(old.models.find(TEXT)) < 3:
            await asyncio.sleep(0)
        begun, first = time.monotonic(), old.models.find(TEXT)
        come(catalog, new)
        meant.change({TEXT: Origin(TEXT, 2, new.fingerprint)}, begun, time.monotonic())
        await leave(catalog, first)
        seen = [Asked(TEXT, True, False, record) for record in await asking]
    return [text for one in seen for text in offences(one, truth, meant.of)]


async def test_a_server_that_replaces_models_without_regard_to_who_needs_them_is_seen(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await replaced_meanwhile(shipped) == []
    monkeypatch.setattr(Holders, "none", Holders.none)  # undoes what follows
    broken_server.switch_at_once()
    shutil.rmtree(shipped / TEXT / "2")
    found = await replaced_meanwhile(shipped)
    assert len(found) == 3
    assert all("ended with" in text for text in found)


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
