"""The certificates of a deployment, as its script makes them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVERS = ("postgresql", "temporal", "openbao")
_SCRIPT = Path(__file__).parents[1] / "deploy" / "tls" / "certificates.sh"


@dataclass(frozen=True, slots=True)
class Certificates:
    """The directory that the script works in."""

    root: Path

    @property
    def authority(self) -> Path:
        return self.root / "trust" / "ca.crt"

    def certificate(self, server: str) -> Path:
        return self.root / server / "server.crt"

    def key(self, server: str) -> Path:
        return self.root / server / "server.key"

    def make(self) -> str:
        """Run the script and return what it said."""
        for name in ("authority", "trust", *SERVERS):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TLS_DIRECTORY": str(self.root)}
        command = ["/bin/sh", str(_SCRIPT)]
        return subprocess.run(command, env=environment, check=True, timeout=30, capture_output=True, text=True).stdout


def made_in(directory: Path) -> Certificates:
    """Make an authority and the servers' certificates below a directory."""
    certificates = Certificates(directory)
    certificates.make()
    return certificates
