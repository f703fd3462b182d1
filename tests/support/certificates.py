"""Certificates for tests, as files."""

from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test's own, whose files lie in a folder."""

    folder: Path
    authority: trustme.CA

    @property
    def roots(self) -> Path:
        """Whom to trust."""
        path = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(path)
        return path

    def certificate(self, name: str) -> tuple[Path, Path]:
        """A certificate for `name` with what leads to its authority, and its key."""
        issued = self.authority.issue_cert(name)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return chain, key

    def credentials(self, client: str | None = None) -> grpc.ChannelCredentials:
        """What a client needs that trusts this authority, and shows a certificate of its own where it has a name."""
        roots = self.roots.read_bytes()
        if client is None:
            return grpc.ssl_channel_credentials(roots)
        chain, key = self.certificate(client)
        return grpc.ssl_channel_credentials(roots, key.read_bytes(), chain.read_bytes())


def authority(folder: Path) -> Authority:
    """Found one."""
    folder.mkdir(exist_ok=True)
    return Authority(folder, trustme.CA())
