"""The chart of deploy/helm with every value: schemas, the plain manifests, and gingham itself."""

from __future__ import annotations

import copy
import json
import shlex
import tomllib
from typing import Any

import pytest
import typer.main
import yaml

from gingham.cli.options import app
from gingham.service.metrics import ServiceMetrics
from helm import CHART, ROOT, check, check_confined, chosen, given, pods, rendered, run

VERSIONS = ("1.25", "1.37")

BUCKET = {"catalogue.bucket": "s3://bucket/shop"}
READERS = BUCKET | {"readers.enabled": True}
UNSCALED = READERS | {"readers.autoscaling.by": "none"}
CPU = READERS | {"readers.autoscaling.by": "cpu"}
KEDA = READERS | {"readers.autoscaling.by": "keda"}
MONITOR = {"serviceMonitor.enabled": True}
JOB = {"indexing.enabled": True}
RAY = BUCKET | JOB | {"indexing.by": "ray", "indexing.source": "s3://bucket/photos"}
ACCOUNT = {"serviceAccount.create": True}
ALL = READERS | MONITOR | RAY | ACCOUNT

RESOURCES = {"requests": {"cpu": "3", "memory": "5Gi"}, "limits": {"cpu": "6", "memory": "7Gi"}}
TOLERATIONS = [{"key": "images", "operator": "Exists"}]
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["fast"]}]}
            ]
        }
    }
}
SPREAD = [
    {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "readers"}},
    }
]

VALUES: list[tuple[dict[str, Any], str, Any]] = [
    ({}, "nameOverride", "looks"),
    ({}, "fullnameOverride", "looks"),
    ({}, "image.repository", "registry.example.org/gingham"),
    ({}, "image.tag", "0.2.0"),
    ({}, "image.pullPolicy", "Always"),
    ({}, "image.pullSecrets", ["registry"]),
    ({}, "catalogue.name", "birds"),
    ({}, "catalogue.bucket", "s3://bucket/shop"),
    ({}, "catalogue.index", "postgresql://gingham@db.example.org/shop?schema=shop"),
    (ALL, "environment", {"AWS_REGION": "eu-central-1"}),
    (ALL, "credentials.existingSecret", "bucket"),
    ({}, "keys.existingSecret", "keys"),
    ({}, "keys.content.keys", [{"name": "ann"}]),
    ({}, "host", "looks.example.org"),
    ({}, "arguments", ["--access-log"]),
    ({}, "serviceAccount.create", True),
    ({}, "serviceAccount.name", "buckets"),
    (
        ACCOUNT,
        "serviceAccount.annotations",
        {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"},
    ),
    ({}, "writer.replicas", 0),
    ({}, "writer.resources", RESOURCES),
    ({}, "writer.nodeSelector", {"disk": "fast"}),
    ({}, "writer.tolerations", TOLERATIONS),
    ({}, "writer.affinity", AFFINITY),
    (BUCKET, "readers.enabled", True),
    (READERS, "readers.host", "find.example.org"),
    (UNSCALED, "readers.replicas", 5),
    (READERS, "readers.autoscaling.by", "none"),
    (READERS, "readers.autoscaling.by", "cpu"),
    (READERS, "readers.autoscaling.by", "keda"),
    (READERS, "readers.autoscaling.minimum", 3),
    (KEDA, "readers.autoscaling.minimum", 3),
    (READERS, "readers.autoscaling.maximum", 30),
    (KEDA, "readers.autoscaling.maximum", 30),
    (READERS, "readers.autoscaling.waiting", 4),
    (KEDA, "readers.autoscaling.waiting", 4),
    (CPU, "readers.autoscaling.cpu", 50),
    (KEDA, "readers.autoscaling.prometheus", "http://prometheus:9090"),
    (READERS, "readers.cache.size", "200Gi"),
    (READERS, "readers.cache.storageClass", "fast"),
    (READERS, "readers.resources", RESOURCES),
    (READERS, "readers.nodeSelector", {"disk": "fast"}),
    (READERS, "readers.tolerations", TOLERATIONS),
    (READERS, "readers.affinity", AFFINITY),
    (READERS, "readers.topologySpreadConstraints", SPREAD),
    (BUCKET, "persistence.enabled", False),
    ({}, "persistence.existingClaim", "photos"),
    ({}, "persistence.size", "2Ti"),
    ({}, "persistence.storageClass", "fast"),
    ({}, "persistence.accessModes", ["ReadWriteOncePod"]),
    ({}, "temporary.size", "8Gi"),
    ({}, "ingress.enabled", False),
    ({}, "ingress.className", "nginx"),
    ({}, "ingress.tlsSecret", ""),
    ({}, "ingress.annotations", {"cert-manager.io/cluster-issuer": "letsencrypt"}),
    ({}, "podDisruptionBudget.enabled", False),
    ({}, "networkPolicy.enabled", False),
    ({}, "networkPolicy.namespaces", ["traefik"]),
    (BUCKET, "networkPolicy.ports", [443]),
    ({}, "networkPolicy.egress", [{"ports": [{"port": 8443, "protocol": "TCP"}]}]),
    ({}, "serviceMonitor.enabled", True),
    (MONITOR, "serviceMonitor.interval", "1m"),
    (MONITOR, "serviceMonitor.labels", {"release": "prometheus"}),
    ({}, "indexing.enabled", True),
    (JOB, "indexing.source", "photos/2026"),
    (BUCKET | JOB | {"indexing.source": "s3://bucket/photos"}, "indexing.by", "ray"),
    (JOB, "indexing.wait", 60),
    (JOB, "indexing.resources", RESOURCES),
    (RAY, "indexing.ray.image", "registry.example.org/gingham-ray:0.2.0"),
    (RAY, "indexing.ray.version", "9.9.9"),
    (RAY, "indexing.ray.workers", 40),
    (RAY, "indexing.ray.resources", RESOURCES),
]


def leaves(values: dict[str, Any], before: str = "") -> set[str]:
    """Name all values of values.yaml; what is free within is one value."""
    whole = {"environment", "ingress.annotations"}
    found = set()
    for key, value in values.items():
        path = f"{before}{key}"
        inner = isinstance(value, dict) and value and path not in whole and key != "resources"
        found |= leaves(value, f"{path}.") if inner else {path}
    return found


def test_every_value_is_rendered_here() -> None:
    assert {path for _, path, _ in VALUES} == leaves(
        yaml.safe_load((CHART / "values.yaml").read_text())
    )


@pytest.mark.parametrize(("base", "path", "value"), VALUES, ids=lambda one: str(one)[:40])
def test_every_value_changes_manifests_which_follow_the_schemas(
    base: dict[str, Any], path: str, value: Any
) -> None:
    manifests = rendered(base | {path: value})
    changed = [one for one in manifests if one not in rendered(base)]
    assert len(manifests) != len(rendered(base)) or changed
    for one in changed:
        check(one, VERSIONS[-1])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "values", [{}, ALL, KEDA, CPU, JOB], ids=["default", "all", "keda", "cpu", "job"]
)
def test_the_chart_passes_lint_and_the_schemas(values: dict[str, Any], version: str) -> None:
    done = run("helm", "lint", "--strict", "--quiet", str(CHART), *given(values))
    assert done.returncode == 0, done.stdout
    manifests = rendered(values)
    for one in manifests:
        check(one, version)
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names))


def test_wrong_manifests_are_refused() -> None:
    """Else the tests above could not fail."""
    for kind, values in (("ServiceMonitor", MONITOR), ("RayJob", RAY)):
        wrong = copy.deepcopy(
            chosen(rendered(values), kind, "gingham-index-1" if values is RAY else "gingham")
        )
        wrong["spec"]["intervall"] = "15s"
        with pytest.raises(ValueError, match="intervall"):
            check(wrong, VERSIONS[-1])
    scaled = copy.deepcopy(chosen(rendered(KEDA), "ScaledObject", "gingham-readers"))
    scaled["spec"]["triggers"][0]["metadata"]["threshold"] = ["2"]
    with pytest.raises(ValueError, match="threshold"):
        check(scaled, VERSIONS[-1])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"readers.enabled": True}, "bucket"),
        ({"persistence.enabled": False}, "bucket"),
        (RAY | {"catalogue.bucket": ""}, "bucket"),
        (RAY | {"indexing.source": "photos"}, "source"),
        ({"writer.replicas": 2}, "writer/replicas"),
        ({"catalogue.name": "../photos"}, "catalogue/name"),
        ({"catalogue.bucket": "s3://bucket/'; reboot '"}, "catalogue/bucket"),
        ({"catalogue.index": 'postgresql://x"y'}, "catalogue/index"),
        ({"host": "https://gingham.example.org"}, "host"),
        ({"readers.autoscaling.by": "luck"}, "autoscaling/by"),
        ({"ingres.enabled": False}, "ingres"),
        ({"persistence.size": "20 GB"}, "persistence/size"),
        ({"environment": {"AWS_REGION": 5}}, "environment"),
    ],
    ids=str,
)
def test_wrong_values_are_refused(values: dict[str, Any], said: str) -> None:
    done = run("helm", "template", "gingham", str(CHART), *given(values))
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("values", [{}, ALL, JOB], ids=["default", "all", "job"])
def test_pods_are_confined(values: dict[str, Any]) -> None:
    found = [pod for one in rendered(values) for pod in pods(one)]
    assert found
    for pod in found:
        check_confined(pod)


def plain(one: Any) -> Any:
    """Leave out what helm adds: labels that tell releases and their parts apart, and the like."""
    if isinstance(one, list):
        return [plain(each) for each in one]
    if not isinstance(one, dict):
        return one
    helms = {"instance", "component", "version", "managed-by"}
    return {
        key: plain(value)
        for key, value in one.items()
        if not key.startswith("helm.sh/")
        and key.removeprefix("app.kubernetes.io/") not in (helms if "/" in key else set())
        and (key, value) != ("imagePullPolicy", "IfNotPresent")
    }


def test_by_default_the_chart_is_the_plain_manifests() -> None:
    done = run("kubectl", "kustomize", str(ROOT / "deploy" / "kubernetes"))
    assert (done.returncode, done.stderr) == (0, "")
    ours = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert ours.pop("Namespace")
    ours["Job"] = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "index-job.yaml").read_text())
    theirs = {one["kind"]: copy.deepcopy(one) for one in rendered(JOB)}
    assert theirs.pop("Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test"
    # The one difference that is meant: that pod may ask.
    asking = theirs["NetworkPolicy"]["spec"]["ingress"][0]["from"].pop()
    assert asking["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    assert ours.keys() == theirs.keys()
    for kind, one in ours.items():
        other = theirs[kind]
        for each in (one, other):
            name = each["metadata"]["name"]
            each["metadata"] = {"annotations": each["metadata"].get("annotations") or {}}
            if kind == "Secret":
                each["stringData"] = {"keys.json": json.loads(each["stringData"]["keys.json"])}
            if kind == "Job":
                assert name.startswith("gingham-index")
                del each["spec"]["template"]["metadata"]  # other names for other selectors
        assert plain(other) == plain(one)


def test_manifests_mean_each_other() -> None:
    manifests = rendered(ALL)
    for part in ("", "-readers"):
        pod = chosen(manifests, "Deployment", f"gingham{part}")["spec"]["template"]
        labels = pod["metadata"]["labels"]
        other = chosen(manifests, "Deployment", "gingham" if part else "gingham-readers")
        others = other["spec"]["template"]["metadata"]["labels"]
        service = chosen(manifests, "Service", f"gingham{part}")
        budget = chosen(manifests, "PodDisruptionBudget", f"gingham{part}")
        for selector in (service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"]):
            assert selector.items() <= labels.items()
            assert not selector.items() <= others.items()
        (container,) = pod["spec"]["containers"]
        rule = chosen(manifests, "Ingress", f"gingham{part}")["spec"]["rules"][0]
        assert f"--allowed-host={rule['host']}" in container["args"]
        backend = rule["http"]["paths"][0]["backend"]["service"]
        assert (backend["name"], backend["port"]["name"]) == (f"gingham{part}", "http")
        monitor = chosen(manifests, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
        assert monitor.items() <= service["metadata"]["labels"].items()
        policy = chosen(manifests, "NetworkPolicy")["spec"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
        asking = policy["ingress"][0]["from"][-1]["podSelector"]["matchLabels"]
        testing = chosen(manifests, "Pod", "gingham-test")["metadata"]["labels"]
        assert asking.items() <= testing.items()
        assert not policy["podSelector"]["matchLabels"].items() <= testing.items()
    scaler = chosen(manifests, "HorizontalPodAutoscaler", "gingham-readers")["spec"]
    assert scaler["scaleTargetRef"]["name"] == "gingham-readers"
    # Nothing sets the number of replicas besides.
    assert "replicas" not in chosen(manifests, "Deployment", "gingham-readers")["spec"]
    job = chosen(manifests, "RayJob", "gingham-index-1")["spec"]["rayClusterSpec"]
    between = chosen(manifests, "NetworkPolicy", "gingham-ray")["spec"]["podSelector"][
        "matchLabels"
    ]
    for group in (job["headGroupSpec"], *job["workerGroupSpecs"]):
        assert between.items() <= group["template"]["metadata"]["labels"].items()


def test_readers_are_scaled_by_what_the_service_counts() -> None:
    counted = ServiceMetrics(lambda: 0).text().decode()
    (queue,) = chosen(rendered(READERS), "HorizontalPodAutoscaler", "gingham-readers")["spec"][
        "metrics"
    ]
    assert f"\n{queue['pods']['metric']['name']} 0.0\n" in counted
    (trigger,) = chosen(rendered(KEDA), "ScaledObject", "gingham-readers")["spec"]["triggers"]
    assert queue["pods"]["metric"]["name"] in trigger["metadata"]["query"]
    assert "gingham-readers" in trigger["metadata"]["query"]


@pytest.mark.parametrize(
    "values", [{}, READERS, JOB, BUCKET | JOB], ids=["writer", "readers", "job", "bucket-job"]
)
def test_gingham_knows_what_it_is_told(values: dict[str, Any]) -> None:
    told = [
        container["args"]
        for one in rendered(values)
        for pod in pods(one)
        for container in pod["containers"]
        if "args" in container
    ]
    assert len(told) == 1 + (values in (READERS,)) + ("indexing.enabled" in values)
    for name, *arguments in told:
        command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
        with command.make_context(name, list(arguments)) as context:
            assert str(context.params["catalogue"]) == values.get("catalogue.bucket", "shop")


def test_the_writer_creates_the_catalogue_where_there_is_none() -> None:
    index = "postgresql://gingham@db.example.org/shop?schema=shop"
    (folder,) = chosen(rendered({}), "Deployment")["spec"]["template"]["spec"]["initContainers"]
    (bucket,) = chosen(rendered(BUCKET | {"catalogue.index": index}), "Deployment")["spec"][
        "template"
    ]["spec"]["initContainers"]
    said = [shlex.split(one["command"][2])[-1] for one in (folder, bucket)]
    assert said == [
        'import gingham; gingham.Catalogue.create("shop").close()',
        f'import gingham; gingham.Catalogue.create("s3://bucket/shop", index="{index}").close()',
    ]
    for one in said:
        compile(one, "create", "exec")


def test_the_chart_has_the_version_of_gingham() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (project["version"], project["version"])
