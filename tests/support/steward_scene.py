"""A folder of models, what is served, and a steward between them: values, with a clock of the test's own."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rhapsode_server.observe.logs import open_log
from rhapsode_server.repository.residents import Key, Residents
from rhapsode_server.repository.sights import Named, Sight, View
from rhapsode_server.serve.steward import Begun, Steward


@dataclass(frozen=True)
class Model:
    """A model in memory."""

    name: str
    version: int
    digest: str
    fingerprint: str = ""
    size: int = 1


def sight(digest: str = "one", *, missing: str = "", touched: int = 0) -> Sight:
    return Sight((("bundle.json", 1, touched, touched),), digest, missing, firm=True)


def ref(key: Key) -> str:
    return f"{key[0]}@{key[1]}"


class Scene:
    """A folder, what is served, and a steward between them."""

    def __init__(
        self,
        *served: int,
        newest: int = 0,
        aliases: Mapping[str, int] | None = None,
        full: Sequence[int] = (),
        looked: bool = True,
    ) -> None:
        self.residents: Residents[Model] = Residents([Model("m", version, "one") for version in served])
        for alias, version in (aliases or {}).items():
            self.residents.set_alias("m", alias, version)
        self.folder: dict[Key, Sight] | None = {("m", version): sight() for version in (*served, *full)}
        self.files = {"m": Named(tuple((aliases or {}).items()))}
        self.unread: dict[str, str] = {}
        self.strange: list[str] = []
        self.broken: set[str] = set()
        self.full = False
        self.log = io.StringIO()
        self.now = 0.0
        begun = Begun(full={("m", version): sight() for version in full}, aliases={"m": aliases or {}})
        self.steward = Steward(self.residents, newest, open_log("info", "json", "0", self.log), begun)
        if looked:
            self.rest()

    def put(self, version: int, here: Sight | None = None) -> None:
        assert self.folder is not None
        self.folder["m", version] = here or sight()

    def remove(self, version: int) -> None:
        assert self.folder is not None
        del self.folder["m", version]

    def name(self, **aliases: int) -> None:
        self.files["m"] = Named(tuple(aliases.items()))

    def look(self, seconds: float = 1.0) -> list[str]:
        """What is done after one more look."""
        self.see(seconds)
        done = []
        while key := self.steward.next_load():
            done.append(self._load(key))
        for move in self.steward.moves():
            self.residents.set_alias(move.name, move.alias, move.version)
            self.steward.moved(move)
            done.append(f"{move.alias}={move.version}")
        for key in self.steward.unloads():
            self.steward.unloaded(key)
            self._unload(key[1])
            done.append(f"-{ref(key)}")
        return done

    def see(self, seconds: float = 1.0) -> None:
        """One more look, of which nothing is done."""
        self.now += seconds
        view = None if self.folder is None else View(dict(self.folder), self.files, self.strange, self.unread)
        self.steward.see(view, self.now)

    def rest(self) -> list[str]:
        """The same after as many looks as it takes for all to settle."""
        return [*self.look(), *self.look(), *self.look()]

    def load(self, version: int, digest: str = "one") -> None:
        """As an operator commands."""
        self._ready(("m", version), digest)

    def unload(self, version: int) -> None:
        """The same."""
        for model in self._unload(version):
            self.steward.put_away(("m", version), model.digest)

    def _unload(self, version: int) -> list[Model]:
        left = [model for model in self.residents.served if (model.name, model.version) == ("m", version)]
        for model in left:
            self.residents.leave(("m", version))
            self.residents.gone(model)
        return left

    def served(self) -> list[int]:
        return [model.version for model in self.residents.served]

    def said(self, event: str) -> list[dict[str, object]]:
        return [line for line in map(json.loads, self.log.getvalue().splitlines()) if line["msg"] == event]

    def _load(self, key: Key) -> str:
        assert self.folder is not None
        digest = self.folder[key].digest
        if digest in self.broken:
            self.residents.begin(key, 1)
            self.residents.failed(key, "broken")
            self.steward.failed(key)
            return f"!{ref(key)}"
        if self.full:
            self.steward.no_room(key)
            return f"?{ref(key)}"
        self._ready(key, digest)
        self.steward.loaded(key)
        return f"+{ref(key)}"

    def _ready(self, key: Key, digest: str) -> None:
        self.residents.begin(key, 1)
        replaced = self.residents.ready(Model(*key, digest))
        if replaced:
            self.residents.gone(replaced)
