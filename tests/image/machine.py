"""What this machine has for building an image: its tools, its package registries, its Debian."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = ("buildah", "mmdebstrap", "unshare", "setpriv")
APT_SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "cert")
CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def missing() -> str:
    """Why no image can be built here; nothing where one can."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"not here: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "buildah's chroot isolation and mounts need root"


def codename() -> str:
    """The Debian release that this machine runs, and that the base is made of."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def apt_sources() -> list[str]:
    """Where this machine takes Debian's packages from; mmdebstrap's own default where it does not say."""
    return [path for path in APT_SOURCES if Path(path).is_file()][:1]


def pip_secrets(folder: Path) -> list[str]:
    """Options of buildah that lend the build this machine's way to a package registry, written to files of a folder."""
    settings = {key: value for key, value in _pip_settings().items() if key in PIP_KEYS}
    authorities = settings.pop("cert", None) or next(filter(None, map(os.environ.get, CA_VARIABLES)), None)
    options = []
    if authorities:
        settings["cert"] = "/run/secrets/ca"
        options = ["--secret", f"id=ca,src={authorities}"]
    settings["extra-index-url"] = _remote(settings.get("extra-index-url", ""))
    lines = [f"{key} = {value}" for key, value in settings.items() if value]
    configuration = folder / "pip.conf"
    configuration.write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
    return [*options, "--secret", f"id=pip,src={configuration}"]


def _pip_settings() -> dict[str, str]:
    """pip's settings by bare name; variables, which pip lists first, win."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings: dict[str, str] = {}
    for name, value in (line.split("=", 1) for line in done.stdout.splitlines() if "=" in line):
        settings.setdefault(name.rpartition(".")[2], value.strip("'"))
    return settings


def _remote(urls: str) -> str:
    """Those of several indexes that a build sees as well: not folders of this machine."""
    return " ".join(url for url in urls.replace("\\n", " ").split() if not url.startswith(("file:", "/")))
