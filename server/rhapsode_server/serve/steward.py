"""What is to be done so that what is served is what the folder of models holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from rhapsode_server.observe.logs import Log
from rhapsode_server.repository.resident import Resident
from rhapsode_server.repository.residents import Key, Residents
from rhapsode_server.repository.settling import Settling
from rhapsode_server.repository.sights import NOTHING, Named, Sight, View
from rhapsode_server.repository.wanted import Aliases, wanted
from rhapsode_server.serve.remarks import Remarks

SETTLE = 1.0
"""Seconds for which a folder must have been the same before anything is done for it."""
PATIENCE = 60.0
"""Seconds for which it may lack files, and be the same, before it is taken for broken."""

ResidentT = TypeVar("ResidentT", bound=Resident)
_Room: TypeAlias = Sequence[tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class Move:
    """An alias that is to name another version; None for none."""

    name: str
    alias: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Begun:
    """What became of the folder at the start."""

    failed: Mapping[Key, Sight] = field(default_factory=dict)
    """What could not be loaded, as it was then."""
    full: Mapping[Key, Sight] = field(default_factory=dict)
    """What there was no room for, as it was then."""
    aliases: Aliases = field(default_factory=dict)
    """Those that were set."""


class Steward:
    """Decides, and does nothing but tell the residents what has gone, and what is waited for.

    Told of each look at the folder, it is asked for a load, then moves, then unloads. What was tried is not tried again
    until its folder changes: what failed, and what was served and then unloaded by command. What is served though a
    later load of it failed is loaded anew when its folder changes: nothing else could say that all is well with it.
    What was loaded by command is left alone until its folder goes, or it is unloaded.
    """

    def __init__(self, residents: Residents[ResidentT], newest: int, log: Log, begun: Begun) -> None:
        self._residents = residents
        self._newest = newest
        self._log = log
        self._view = NOTHING
        self._folders: Settling[Key, Sight | None] = Settling(SETTLE)
        self._files: Settling[str, Named] = Settling(SETTLE)
        self._settled: Mapping[Key, Sight | None] = {}
        self._named: Mapping[str, Named] = {}
        self._tried: dict[Key, Sight] = dict(begun.failed)
        self._failed: set[Key] = set(begun.failed)
        self._refused: dict[Key, tuple[Sight, _Room]] = {key: (here, self._room) for key, here in begun.full.items()}
        self._before = self._room
        self._ours: set[Key] = set(self._served)
        self._loading: Key | None = None
        self._put_away: dict[Key, str] = {}
        self._aliases = {name: dict(those) for name, those in begun.aliases.items()}
        self._waits: dict[Key, str] = {}
        self._away = False
        self._remarks = Remarks(log)

    def unrest(self) -> bool:
        """Whether another look is worth while soon."""
        return self._folders.unrest() or self._files.unrest()

    def see(self, view: View | None, now: float) -> None:
        """Take a look at the folder, None where it could not be looked into.

        A folder that is missing, or holds no model at all, is a disk that is not there: nothing is done until it is.
        """
        away = view is None or not (view.versions or view.unread or not self._served)
        if away != self._away:
            self._away = away
            say = self._log.warning if away else self._log.info
            say("models folder away" if away else "models folder back", served=len(self._served))
        self._remarks.look()
        self._view = NOTHING if view is None or away else view
        served = self._served
        self._settled = self._folders.see({**dict.fromkeys(() if away else served), **self._view.versions}, now)
        named = self._aliases.keys() | self._residents.awaited.names
        absent = {} if away else dict.fromkeys(named - self._view.unread.keys(), Named())
        self._named = self._files.see({**absent, **self._view.names}, now)
        self._note(served)
        self._forget()
        self._wait()
        self._say_oddities()

    def next_load(self) -> Key | None:
        """The next version to load, which counts as tried from now on; None where there is none, or one is loading."""
        for key in () if self._loading else self._wanted():
            sight = self._settled.get(key)
            if sight is not None and self._loadable(key):
                self._tried[key] = sight
                self._before = self._room
                self._loading = key
                return key
        return None

    def loaded(self, key: Key) -> None:
        """It is served now."""
        self._loading = None
        self._ours.add(key)
        self._failed.discard(key)

    def failed(self, key: Key) -> None:
        """It could not be loaded as it is."""
        self._loading = None
        self._failed.add(key)

    def no_room(self, key: Key) -> None:
        """It could not be loaded beside what was in memory then: that is tried again when something else is."""
        self._loading = None
        if here := self._tried.pop(key, None):  # it may have gone meanwhile
            self._refused[key] = (here, self._before)

    def moves(self) -> Sequence[Move]:
        """The aliases that should name something else: as files say it anew, not where they were moved by command."""
        busy = self._busy
        good = [(name, named) for name, named in self._named.items() if not named.problem]
        return [move for name, named in good for move in self._moves(name, named, busy=name in busy)]

    def moved(self, move: Move) -> None:
        """It names that now."""
        names = self._aliases.setdefault(move.name, {})
        if move.version is None:
            names.pop(move.alias, None)
        else:
            names[move.alias] = move.version

    def unloads(self) -> Sequence[Key]:
        """The versions that should be served no more; none of a model that has loads to come."""
        kept, busy = set(self._wanted()), self._busy
        going = [key for key in self._served if key[0] not in busy and self._should_go(key, kept)]
        return [key for key in going if not self._is_named(key)]

    def unloaded(self, key: Key) -> None:
        """It is served no more, by our doing: it may come again."""
        self._ours.discard(key)
        self._tried.pop(key, None)

    def stays(self, key: Key) -> None:
        """It could not be unloaded, and is served on."""
        self._ours.add(key)

    def put_away(self, key: Key, digest: str) -> None:
        """It was unloaded by command: as it was, it is not to come again by itself, whether or not it has been seen."""
        self._put_away[key] = digest

    @property
    def _served(self) -> Mapping[Key, Resident]:
        return {(model.name, model.version): model for model in self._residents.served}

    @property
    def _room(self) -> _Room:
        """All that takes room, be it served or on its way out."""
        here = [*self._residents.served, *self._residents.leaving]
        return sorted((model.name, model.version, model.digest) for model in here)

    @property
    def _busy(self) -> frozenset[str]:
        """The models of which a version is loading, or is to be loaded."""
        return frozenset(key[0] for key in {*self._wanted(), self._loading} if key and self._is_due(key))

    def _is_due(self, key: Key) -> bool:
        return key == self._loading or self._loadable(key)

    def _wanted(self) -> Sequence[Key]:
        files = {name: dict(named.aliases) for name, named in self._named.items()}
        names = {key[0] for key in self._view.versions}
        aliases = {name: {**self._residents.aliases(name), **files.get(name, {})} for name in names}
        return wanted([key for key in self._view.versions if self._counts(key)], aliases, self._newest)

    def _counts(self, key: Key) -> bool:
        """Whether it takes one of the places of its model; what cannot be served leaves its place to an older one."""
        put_away = key in self._put_away or (key in self._tried and key not in self._failed)
        return key in self._served or put_away or self._loadable(key)

    def _loadable(self, key: Key) -> bool:
        sight = self._settled.get(key)
        if sight is None or self._tried.get(key) == sight or self._refused.get(key) == (sight, self._room):
            return False
        if self._put_away.get(key) == sight.digest:
            return False
        served = self._served.get(key)
        if served is not None and served.digest == sight.digest and not self._residents.status(key).failed:
            return False
        return not sight.missing or self._folders.rest(key) >= PATIENCE

    def _moves(self, name: str, named: Named, *, busy: bool) -> Sequence[Move]:
        """Those that need no load first: a model that has loads to come keeps the aliases that are to go."""
        wished, had = dict(named.aliases), self._aliases.get(name, {})
        moves = [Move(name, alias, None) for alias in had if alias not in wished and not busy]
        awaited: dict[str, int] = {}
        for alias, version in wished.items():
            if had.get(alias) == version:
                continue
            due = self._is_due((name, version))
            if (name, version) not in self._served:
                awaited[alias] = version
                if not due:
                    self._remarks.once(
                        (name, alias), "alias waits for its version", model=name, alias=alias, model_version=version
                    )
            elif not due:
                moves.append(Move(name, alias, version))
        self._residents.awaited.say(name, awaited)
        return moves

    def _should_go(self, key: Key, kept: set[Key]) -> bool:
        if self._away or key[0] in self._view.unread:
            return False
        if key not in self._view.versions:
            return key in self._settled
        return key in self._ours and key not in kept

    def _is_named(self, key: Key) -> bool:
        aliases = self._residents.names_of(key)
        if aliases:
            self._remarks.once(key, "alias keeps version", model=key[0], model_version=key[1], alias=aliases[0])
        return bool(aliases)

    def _note(self, served: Mapping[Key, Resident]) -> None:
        """What is served as it lies there needs no trying, even after it has been unloaded by command."""
        self._ours &= served.keys()
        for key, model in served.items():
            sight = self._settled.get(key)
            if sight is not None and sight.digest == model.digest and not self._residents.status(key).failed:
                self._tried[key] = sight
        for key in self._put_away.keys() & (served.keys() | self._settled.keys()):
            digest, sight = self._put_away.pop(key), self._settled.get(key)
            if key not in served and sight is not None and sight.digest == digest:
                self._tried[key] = sight
                self._failed.discard(key)

    def _forget(self) -> None:
        """Let go of what has gone."""
        if self._away:
            return
        known = self._view.versions.keys() | self._served.keys()
        self._tried = {key: sight for key, sight in self._tried.items() if key in known}
        self._refused = {key: why for key, why in self._refused.items() if key in known}
        self._put_away = {key: digest for key, digest in self._put_away.items() if key in known}
        self._failed &= known
        for status in self._residents.statuses:  # whoever had it loaded
            if status.failed and (status.name, status.version) not in known and status.name not in self._view.unread:
                self._residents.forgive((status.name, status.version))

    def _wait(self) -> None:
        """Tell of versions that are not whole; of each once, not at each look."""
        before = self._waits
        self._waits = {
            key: sight.missing
            for key, sight in self._settled.items()
            if sight is not None and sight.missing and self._tried.get(key) != sight
        }
        for key in before.keys() - self._waits.keys():
            self._residents.wait(key, "")
        for key, why in self._waits.items():
            if before.get(key) != why:
                self._residents.wait(key, f"waited for: {why}")

    def _say_oddities(self) -> None:
        for name in self._view.strange:
            self._remarks.once(name, "no name of a model or version", folder=name)
        for name in self._view.astray:
            self._remarks.once(name, "link leads nowhere", folder=name)
        for name, reason in self._view.unread.items():
            self._remarks.once(name, "model folder unread", model=name, reason=reason)
        for name, named in self._named.items():
            if named.problem:
                self._remarks.once((name, "aliases"), "aliases not read", model=name, reason=named.problem)
        for key, why in self._waits.items():
            self._remarks.once((key, "missing"), "bundle waited for", model=key[0], model_version=key[1], reason=why)
