"""The Kubernetes manifests are what their schemas allow, and agree with the server, the image and one another."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from typing import Any, cast

import pytest
import yaml
from grpc_health.v1.health_pb2 import HealthCheckRequest

from house.project import ROOT
from rhapsode_server import command_line
from rhapsode_server.config import Config
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.health import NOT_SERVING, SERVING, Health
from rhapsode_server.rpc.methods import SERVED
from support.ending import longest_stop
from support.manifests import KUBERNETES, VERSIONS, Object, complaints, needs_kubectl, only, rendered

pytestmark = needs_kubectl

OVERLAYS = ("overlays/cpu", "overlays/gpu")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
NAME = "app.kubernetes.io/name"


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    return rendered(request.param)


def pod(objects: list[Object]) -> Object:
    """The pods' specification."""
    return cast("Object", only(objects, "Deployment")["spec"]["template"]["spec"])


def container(objects: list[Object]) -> Object:
    (found,) = pod(objects)["containers"]
    return cast("Object", found)


def settings(objects: list[Object]) -> Config:
    """What the server makes of the settings that its pods get. Raises ConfigError where it would not start."""
    return command_line.read([], only(objects, "ConfigMap")["data"])[1]


def ports(of: Object) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in of["ports"]}


def image_ports() -> dict[str, int]:
    """Where the server listens in the image."""
    return {
        name: int(re.findall(rf"RHAPSODE_{variable}=0\.0\.0\.0:(\d+)", DOCKERFILE)[0])
        for name, variable in (("grpc", "ADDRESS"), ("metrics", "METRICS_ADDRESS"))
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_have_nothing_against_them(objects: list[Object], version: str) -> None:
    assert [complaints(each, version) for each in objects] == [[]] * len(objects)


def test_a_field_that_does_not_exist_is_found() -> None:
    objects = rendered("overlays/cpu")
    container(objects)["livenesProbe"] = {}
    only(objects, "ServiceMonitor")["spec"]["jobLable"] = "app"
    assert "livenesProbe" in complaints(only(objects, "Deployment"), VERSIONS[-1])[0]
    assert "jobLable" in complaints(only(objects, "ServiceMonitor"), VERSIONS[-1])[0]


def test_every_kind_that_was_asked_for_is_there(objects: list[Object]) -> None:
    kinds = {each["kind"] for each in objects}
    assert kinds == {
        "Namespace", "ServiceAccount", "ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy",
        "ServiceMonitor", "HorizontalPodAutoscaler",
    }  # fmt: skip
    assert {each["metadata"].get("namespace") for each in objects if each["kind"] != "Namespace"} == {"rhapsode"}


def test_the_server_takes_its_settings(objects: list[Object]) -> None:
    (source,) = container(objects)["envFrom"]
    assert source["configMapRef"]["name"] == only(objects, "ConfigMap")["metadata"]["name"]
    assert settings(objects).require_gpu == ("nvidia.com/gpu" in container(objects)["resources"]["limits"])


def test_a_stop_has_the_time_that_it_takes(objects: list[Object]) -> None:
    assert pod(objects)["terminationGracePeriodSeconds"] >= longest_stop(settings(objects))


def test_so_has_a_stop_under_kserve() -> None:
    asked = yaml.safe_load((KUBERNETES / "kserve/inference-service.yaml").read_text("utf-8"))["spec"]["predictor"]
    assert asked["terminationGracePeriodSeconds"] >= longest_stop(Config())


def test_ports_are_those_of_the_image(objects: list[Object]) -> None:
    assert ports(container(objects)) == image_ports()
    for service in (each for each in objects if each["kind"] == "Service"):
        assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]}.items() <= image_ports().items()


async def test_probes_ask_for_what_health_knows(objects: list[Object]) -> None:
    await _probes_fit(container(objects))


def test_the_user_is_the_images(objects: list[Object]) -> None:
    (user, group) = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[-1]
    security = pod(objects)["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (int(user), int(group))


def test_pods_can_do_as_little_as_possible(objects: list[Object]) -> None:
    spec, inner = pod(objects), container(objects)["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner["readOnlyRootFilesystem"] is True
    assert inner["allowPrivilegeEscalation"] is False
    assert inner["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["serviceAccountName"] == only(objects, "ServiceAccount")["metadata"]["name"]


def test_processors_are_limited_since_threads_follow(objects: list[Object]) -> None:
    resources = container(objects)["resources"]
    assert resources["limits"]["cpu"] == resources["requests"]["cpu"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]


def test_images_bear_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    images = [container(rendered(overlay))["image"] for overlay in OVERLAYS]
    images.append(_kserve()["spec"]["containers"][0]["image"])
    assert images == [f"rhapsode:{version}", f"rhapsode:{version}-cuda", f"rhapsode:{version}"]


def test_selectors_choose_the_pods(objects: list[Object]) -> None:
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    chosen = [
        only(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        *(each["spec"]["selector"] for each in objects if each["kind"] == "Service"),
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in pod(objects)["topologySpreadConstraints"]),
    ]
    assert all(selector.items() <= labels.items() for selector in chosen)


def test_a_client_finds_every_pod_behind_the_headless_service(objects: list[Object]) -> None:
    assert only(objects, "Service", "rhapsode-headless")["spec"]["clusterIP"] == "None"
    assert "clusterIP" not in only(objects, "Service", "rhapsode")["spec"]


def test_prometheus_finds_each_pod_once_as_the_job_of_the_rules(objects: list[Object]) -> None:
    monitor = only(objects, "ServiceMonitor")["spec"]
    (endpoint,) = monitor["endpoints"]
    found = [
        each
        for each in objects
        if each["kind"] == "Service"
        and monitor["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
        and endpoint["port"] in {port["name"] for port in each["spec"]["ports"]}
    ]
    assert [each["metadata"]["labels"][monitor["jobLabel"]] for each in found] == ["rhapsode"]


def test_the_network_policy_opens_ports_that_exist(objects: list[Object]) -> None:
    policy = only(objects, "NetworkPolicy")["spec"]
    opened = [port["port"] for rule in policy["ingress"] for port in rule["ports"]]
    assert opened == ["grpc", "metrics"]
    assert all(rule["from"] for rule in policy["ingress"])
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 4317, 4318}
    assert all(rule["to"] for rule in policy["egress"])


def test_a_roll_never_lacks_a_server_but_where_gpus_are_counted() -> None:
    rolls = [only(rendered(overlay), "Deployment")["spec"]["strategy"]["rollingUpdate"] for overlay in OVERLAYS]
    assert rolls == [{"maxSurge": 1, "maxUnavailable": 0}, {"maxSurge": 0, "maxUnavailable": 1}]


def test_a_pod_that_goes_leaves_another_one(objects: list[Object]) -> None:
    fewest = only(objects, "HorizontalPodAutoscaler")["spec"]["minReplicas"]
    away = only(objects, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"]
    assert fewest > max(away, only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"])


def test_the_autoscaler_counts_pods_by_metrics_that_are_served(objects: list[Object]) -> None:
    scaler, deployment = only(objects, "HorizontalPodAutoscaler")["spec"], only(objects, "Deployment")
    served = {rule["name"]["as"] for rule in _adapter()}
    assert {metric["pods"]["metric"]["name"] for metric in scaler["metrics"]} == served
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "rhapsode"}
    assert "replicas" not in deployment["spec"]  # else applying again would set it back


def test_the_adapter_serves_what_the_rules_record() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text("utf-8"))["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    assert {rule["seriesQuery"].partition("{")[0] for rule in _adapter()} <= recorded


def test_pods_are_not_taken_away_while_requests_may_live(objects: list[Object]) -> None:
    window = only(objects, "HorizontalPodAutoscaler")["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
    assert window >= settings(objects).maximum_deadline


def test_the_documented_line_makes_a_rule_of_the_rules() -> None:
    page = (ROOT / "docs/deployment.md").read_text("utf-8")
    (line,) = re.findall(r"^(\{ cat .*\}) \| kubectl apply", page, re.MULTILINE)
    made = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rule = yaml.safe_load(made)
    assert complaints(rule, VERSIONS[-1]) == []
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text("utf-8"))


def test_the_serving_runtime_is_one() -> None:
    runtime = _kserve()
    assert complaints(runtime, VERSIONS[-1]) == []
    inner = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
    assert complaints({**inner, "spec": {"containers": runtime["spec"]["containers"]}}, VERSIONS[-1]) == []


async def test_the_serving_runtime_starts_our_server() -> None:
    (inner,) = _kserve()["spec"]["containers"]
    assert inner["name"] == "kserve-container"  # where KServe mounts the storage
    assert str(command_line.read(inner["args"], {})[1].models) == "/mnt/models"
    assert ports(inner) == {"h2c": image_ports()["grpc"]}
    assert _kserve()["spec"]["annotations"]["prometheus.kserve.io/port"] == str(image_ports()["metrics"])
    await _probes_fit(inner)


def test_no_protocol_is_claimed_that_is_not_spoken() -> None:
    claimed = _kserve()["spec"]["protocolVersions"]
    asked = yaml.safe_load((KUBERNETES / "kserve/inference-service.yaml").read_text("utf-8"))["spec"]["predictor"]
    assert claimed == ["rhapsode-v1", "grpc-v2"]
    assert {"rhapsode.v1.TextService", "inference.GRPCInferenceService"} <= SERVED.keys()
    assert asked["model"]["protocolVersion"] in claimed
    assert asked["model"]["runtime"] == _kserve()["metadata"]["name"]
    assert asked["model"]["modelFormat"]["name"] == _kserve()["spec"]["supportedModelFormats"][0]["name"]


async def _probes_fit(inner: Object) -> None:
    """Readiness goes when a stop begins, the others stay; all ask at the data port, and wait two seconds or more."""
    health = Health([])
    probes = dict(_probes(inner))
    for probe in probes.values():
        assert probe["grpc"]["port"] == image_ports()["grpc"]
        assert probe["timeoutSeconds"] >= 2
    asked = {name: HealthCheckRequest(service=probe["grpc"]["service"]) for name, probe in probes.items()}
    call = cast("Call", None)  # a check has no use for it
    assert {(await health.Check(request, call)).status for request in asked.values()} == {SERVING}
    health.leave()
    after = {name: (await health.Check(request, call)).status for name, request in asked.items()}
    assert after == {"startupProbe": SERVING, "readinessProbe": NOT_SERVING, "livenessProbe": SERVING}


def _probes(inner: Object) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, value in inner.items() if name.endswith("Probe"))


def _adapter() -> list[Object]:
    read = yaml.safe_load((ROOT / "deploy/prometheus/adapter.yaml").read_text("utf-8"))
    return cast("list[Object]", read["rules"])


def _kserve() -> Object:
    return only(rendered("kserve"), "ServingRuntime")
