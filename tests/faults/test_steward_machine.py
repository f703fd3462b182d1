"""Whatever becomes of the folder and whatever is commanded, the watch comes to rest, and no alias leads nowhere."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode_server.errors import ModelInUse
from support.steward_scene import Scene, sight

VERSIONS = st.integers(1, 5)
Step = Callable[[Scene], object]


def put(version: int, digest: str) -> Step:
    def step(scene: Scene) -> None:
        if scene.folder is not None:
            scene.put(version, sight(digest, missing="a file is missing" if digest == "half" else ""))

    return step


def remove(version: int) -> Step:
    return lambda scene: scene.folder is not None and scene.folder.pop(("m", version), None)


def name(alias: str, version: int) -> Step:
    return lambda scene: scene.name(**{alias: version})


def load(version: int) -> Step:
    return lambda scene: scene.load(version)


def unload(version: int) -> Step:
    def step(scene: Scene) -> None:
        try:
            scene.unload(version)
        except ModelInUse:
            assert scene.residents.names_of(("m", version))

    return step


def away() -> Step:
    def step(scene: Scene) -> None:
        scene.folder = None if scene.folder is not None else {("m", 1): sight()}

    return step


STEPS = st.one_of(
    st.builds(put, VERSIONS, st.sampled_from(["one", "two", "bad", "half"])),
    st.builds(remove, VERSIONS),
    st.builds(name, st.sampled_from(["stable", "default"]), VERSIONS),
    st.builds(load, VERSIONS),
    st.builds(unload, VERSIONS),
    st.builds(away),
)


@settings(max_examples=200, deadline=None)
@given(newest=st.integers(0, 3), steps=st.lists(st.tuples(STEPS, st.booleans()), max_size=12))
def test_it_comes_to_rest(newest: int, steps: list[tuple[Step, bool]]) -> None:
    scene = Scene(1, 2, newest=newest, aliases={"stable": 1})
    scene.broken.add("bad")
    for step, at_rest in steps:
        step(scene)
        scene.look(0.4)
        if at_rest:
            scene.rest()
            scene.rest()
            assert scene.rest() == []
        served = scene.served()
        assert all(version in served for version in scene.residents.aliases("m").values())
        assert all(model.digest not in ("bad", "half") for model in scene.residents.served)


@settings(max_examples=200, deadline=None)
@given(newest=st.integers(1, 3), steps=st.lists(st.tuples(VERSIONS, st.sampled_from(["one", "two", "bad", "half"]))))
def test_the_newest_sound_ones_are_served(newest: int, steps: list[tuple[int, str]]) -> None:
    """One that is served counts as sound, whatever has become of its folder."""
    scene = Scene(1, newest=newest)
    scene.broken.add("bad")
    for version, digest in steps:
        put(version, digest)(scene)
        sound = {key[1] for key, here in (scene.folder or {}).items() if here.digest in ("one", "two")}
        expected = sorted(sound | set(scene.served()))[-newest:]
        scene.rest()
        assert scene.served() == expected
