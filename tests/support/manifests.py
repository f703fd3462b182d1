"""Kubernetes manifests as kustomize renders them, checked against the schemas of their kinds."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import kubernetes_validate
import pytest
import yaml

from house.project import ROOT

KUBERNETES = ROOT / "deploy/kubernetes"
SCHEMAS = ROOT / "tests/cluster/schemas"
VERSIONS = ("1.27", "1.37")
"""The versions of Kubernetes that the manifests are for: the oldest, and the newest of which schemas are here."""

Object: TypeAlias = dict[str, Any]  # a document of YAML

_KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(_KUBECTL is None, reason="kubectl is not installed")


@cache
def _rendered(folder: str) -> list[Object]:
    words = [str(_KUBECTL), "kustomize", str(KUBERNETES / folder)]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return list(yaml.safe_load_all(text))


def rendered(folder: str) -> list[Object]:
    """The objects of a folder with a kustomization, fresh ones each time."""
    return deepcopy(_rendered(folder))


def only(objects: list[Object], kind: str, name: str = "") -> Object:
    """The one object of a kind, and of a name where one is given."""
    found = [each for each in objects if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects are {kind} {name}"
    return found[0]


def complaints(thing: Object, version: str) -> list[str]:
    """What its schema has against an object, fields that it does not know included."""
    own = SCHEMAS / f"{thing['kind'].lower()}.json"
    if own.exists():
        return list(_against(closed(json.loads(own.read_text("utf-8"))), thing))
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [str(error)]
    return []


def closed(schema: Any) -> Any:
    """The schema of a custom resource, with fields that it does not name forbidden; Kubernetes drops them silently."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    open_ended = "additionalProperties" in inner or inner.get("x-kubernetes-preserve-unknown-fields")
    names_fields = isinstance(inner.get("properties"), dict) and inner.get("type") == "object"
    return {**inner, "additionalProperties": False} if names_fields and not open_ended else inner


def _against(schema: Any, thing: Object) -> Iterator[str]:
    for error in jsonschema.Draft202012Validator(schema).iter_errors(thing):
        yield f"{error.json_path}: {error.message}"
