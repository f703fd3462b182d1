"""Where the bundles of a models folder lie."""

from pathlib import Path

from rhapsode_exporter.bundle.whole import MANIFEST
from rhapsode_exporter.bundle.write import bundle_folder
from rhapsode_exporter.errors import BundleUnreadableError


def find_bundle(models: Path, name: str, version: int | None = None) -> Path:
    """The folder of a bundle, of its newest version where none is named; BundleUnreadableError where there is none."""
    if version is not None:
        return bundle_folder(models, name, version)
    found = [int(path.parent.name) for path in models.glob(f"{name}/*/{MANIFEST}") if path.parent.name.isdecimal()]
    if not found:
        known = ", ".join(sorted({path.parent.parent.name for path in models.glob(f"*/*/{MANIFEST}")}))
        raise BundleUnreadableError(f"{models} holds no bundle named {name}; it has {known or 'none'}")
    return bundle_folder(models, name, max(found))


def newest_bundles(models: Path) -> tuple[Path, ...]:
    """The folders of the newest versions of all bundles, by name."""
    names = sorted({path.parent.parent.name for path in models.glob(f"*/*/{MANIFEST}")})
    return tuple(find_bundle(models, name) for name in names)
