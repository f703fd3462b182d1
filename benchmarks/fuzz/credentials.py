"""What clients show to a server with an access file: sound credentials, and all that is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

from benchmarks.fuzz.methods import NAMED_ALONE

UNAUTHENTICATED, PERMISSION_DENIED = "UNAUTHENTICATED", "PERMISSION_DENIED"
CLIENT_CONCURRENCY, QUOTA_EXCEEDED = "CLIENT_CONCURRENCY", "QUOTA_EXCEEDED"
REASONS = frozenset({UNAUTHENTICATED, PERMISSION_DENIED, CLIENT_CONCURRENCY, QUOTA_EXCEEDED})
AUTHORIZATION = "authorization"
ONLY_SERVICE = "rhapsode.v1.TextService"
_HEALTH = "/grpc.health.v1.Health/"
_WHOLE, _SECOND, _NARROW, _FEW, _SLOW, _OLD = TOKENS = tuple(
    f"fuzz-{name}-{sha256(name.encode()).hexdigest()[:24]}"
    for name in ("whole", "second", "narrow", "few", "slow", "old")
)
_ALL = 'methods = ["*"]\nmodels = ["*"]\n'
_CLIENTS: Sequence[tuple[str, str, Sequence[str], Sequence[str]]] = (
    ("whole", _ALL, (_WHOLE, _SECOND), (_OLD,)),
    ("narrow", f'methods = ["{ONLY_SERVICE}"]\nmodels = []\n', (_NARROW,), ()),
    ("few", f"{_ALL}concurrency = 1\n", (_FEW,), ()),
    ("slow", f"{_ALL}rate = 2\nburst = 2\n", (_SLOW,), ()),
)
Header = tuple[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Credential:
    """What an rpc shows, and what may come of that."""

    shown: Sequence[Header]
    known: bool = False
    """Whether it is a client's."""
    service: str = ""
    """The only one that the client may call, with no model at all; all of both where it is empty."""
    limit: str = ""
    """The reason that the client is told once it has had its share."""

    def due(self, path: str) -> str:
        """The reason that an rpc of this name must be refused with; none where it must not be."""
        if path.startswith(_HEALTH):
            return ""
        if not self.known:
            return UNAUTHENTICATED
        if path in NAMED_ALONE:
            return PERMISSION_DENIED
        return PERMISSION_DENIED if self.service and not path.startswith(f"/{self.service}/") else ""

    def served(self, path: str) -> bool:
        """Whether an rpc of this name may go well."""
        return path.startswith(_HEALTH) or (self.known and not self.service and path not in NAMED_ALONE)

    def may(self, path: str) -> frozenset[str]:
        """The reasons of access that an rpc of this name may be refused with."""
        return frozenset() if path.startswith(_HEALTH) else frozenset({self.due(path) or self.limit})


def write_access(path: Path) -> Path:
    """Write the access file that knows these clients."""
    path.write_text("\n".join(_entry(*client) for client in _CLIENTS), encoding="utf-8")
    return path


def sound() -> Credential:
    """The client's that may do everything."""
    return Credential(_bearer(_WHOLE), known=True)


def credential(random: Random) -> Credential:
    """Draw one: a half is a client's that may do everything, a quarter is none."""
    (make,) = random.choices((_whole, _limited, _none), (50, 25, 25))
    return make(random)


def _whole(random: Random) -> Credential:
    scheme, gap = random.choice(("Bearer", "bearer", "BEARER", "bEaReR")), " " * random.choice((1, 1, 1, 2, 9))
    return Credential(_header(f"{scheme}{gap}{random.choice((_WHOLE, _SECOND))}"), known=True)


def _limited(random: Random) -> Credential:
    return random.choice(
        (
            Credential(_bearer(_NARROW), known=True, service=ONLY_SERVICE),
            Credential(_bearer(_FEW), known=True, limit=CLIENT_CONCURRENCY),
            Credential(_bearer(_SLOW), known=True, limit=QUOTA_EXCEEDED),
        )
    )


def _none(random: Random) -> Credential:
    return Credential(random.choice(_STRANGE)(random))


_STRANGE: Sequence[Callable[[Random], Sequence[Header]]] = (
    lambda _: (),
    lambda _: _header(""),
    lambda _: _header("Bearer"),
    lambda _: _header(_WHOLE),
    lambda _: _header(f"Basic {_WHOLE}"),
    lambda _: _header(f"Bearer{_WHOLE}"),
    lambda _: _header(f"Bearer {_WHOLE.upper()}"),
    lambda _: _header(f"Bearer Bearer {_WHOLE}"),
    lambda _: _header(f"Bearer {_WHOLE}, Bearer {_WHOLE}"),
    lambda _: _header(f'Bearer {_WHOLE} "' + "'\\;--"),
    lambda _: _bearer(_OLD),
    lambda _: _bearer(_digest(_WHOLE)),  # what stands in the file
    lambda random: _bearer(_WHOLE[: random.randrange(len(_WHOLE))]),
    lambda random: _bearer(_WHOLE + random.choice("0x~,=")),
    lambda random: _bearer("".join(chr(random.randrange(0x21, 0x7F)) for _ in range(random.randrange(1, 99)))),
    lambda random: _bearer("a" * random.choice((1023, 1024, 1025, 4000))),
    lambda _: (*_bearer(_WHOLE), *_bearer(_WHOLE)),
    lambda _: (*_bearer(_OLD), *_bearer(_WHOLE)),
    lambda _: (*_bearer(_WHOLE), *_header("")),
    lambda _: ((f"{AUTHORIZATION}-bin", f"Bearer {_WHOLE}".encode()),),
    lambda random: ((f"{AUTHORIZATION}-bin", random.randbytes(random.randrange(99))),),
    lambda _: ((f"proxy-{AUTHORIZATION}", f"Bearer {_WHOLE}"),),
)


def _bearer(token: str) -> Sequence[Header]:
    return _header(f"Bearer {token}")


def _header(value: str) -> Sequence[Header]:
    return ((AUTHORIZATION, value),)


def _entry(name: str, rights: str, tokens: Sequence[str], expired: Sequence[str]) -> str:
    shown = [f'{{ sha256 = "{_digest(token)}" }}' for token in tokens]
    shown += [f'{{ sha256 = "{_digest(token)}", expires = 2001-01-01T00:00:00Z }}' for token in expired]
    return f'[[clients]]\nname = "{name}"\ntokens = [{", ".join(shown)}]\n{rights}'


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
