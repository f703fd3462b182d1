"""Tunes as files: notes, MIDI, sound and picture."""

from pathlib import Path

from rhapsode_client.cli.files import save
from rhapsode_client.cli.session import title
from rhapsode_client.cli.terminal import note, progress, write_json
from rhapsode_client.cli.tunes import Composed, compose
from rhapsode_client.cli.wish import Wish
from rhapsode_client.client import Client
from rhapsode_client.music.midi import midi
from rhapsode_client.music.roll import piano_roll
from rhapsode_client.music.sound import wav

KINDS = (".abc", ".mid", ".wav", ".png")


def write_tunes(client: Client, wish: Wish, count: int, prefix: Path, *, as_json: bool) -> None:
    """Have tunes written, and save each as it comes; several are numbered. Raises RhapsodeError and OSError."""
    tunes = progress(compose(client, wish, count), count, title(wish.model))
    for number, composed in enumerate(tunes, 1):
        ending = f"-{number:0{len(str(count))}}" if count > 1 else ""
        files = _save(composed, prefix.with_name(prefix.name + ending))
        _tell(composed, files, as_json=as_json)


def _save(composed: Composed, prefix: Path) -> tuple[Path, ...]:
    """The files of KINDS: what is heard has its repeats, what is seen is as it is written."""
    files = tuple(prefix.with_name(prefix.name + kind) for kind in KINDS)
    abc, heard, sound, seen = files
    played, written = composed.written.played(), composed.written.melody()
    save(abc, composed.abc.encode())
    save(heard, midi(played, composed.tune.metre))
    save(sound, wav(played))
    piano_roll(written, composed.abc.splitlines()[1].removeprefix("T:")).save(seen)
    return files


def _tell(composed: Composed, files: tuple[Path, ...], *, as_json: bool) -> None:
    tune, started, seconds = composed.tune, composed.started, composed.written.played().seconds
    if not as_json:
        by = f"{started.model}@{started.version}, seed {started.seed}"
        note(f"{files[0]}, {', '.join(KINDS[1:])}: {tune.metre}, {tune.key}, {seconds:.0f} s, {by}")
        return
    record = {
        "files": [str(file) for file in files],
        "metre": tune.metre,
        "key": tune.key,
        "bars": len(composed.written.bars),
        "seconds": seconds,
        "seed": started.seed,
        "model": started.model,
        "version": started.version,
        "fingerprint": started.fingerprint,
    }
    write_json(record)
