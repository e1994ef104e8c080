"""What deploy/ says, against the schemas of Kubernetes and the program itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from gingham.cli.options import app
from gingham.service.limits import DEFAULT_LIMITS
from helm import check_confined

ROOT = Path(__file__).resolve().parents[1]
KUBERNETES = ROOT / "deploy" / "kubernetes"
UNIT = ROOT / "deploy" / "systemd" / "gingham.service"
NGINX = ROOT / "deploy" / "nginx" / "gingham.conf"
VERSIONS = ("1.25", "1.37")
"""The oldest that docs/deploy.md names, and the newest that the schemas are there for."""

MANIFESTS = sorted(path for path in KUBERNETES.glob("*.yaml") if path.stem != "kustomization")


def manifest(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / f"{name}.yaml").read_text(encoding="utf-8"))


def refusal(one: dict[str, Any], version: str) -> str | None:
    """Say what the schema of a version of Kubernetes has against a manifest."""
    schemas = pytest.importorskip(
        "kubernetes_validate",
        reason="the schemas of Kubernetes are not installed: pip install kubernetes-validate",
    )
    try:
        schemas.validate(one, version, strict=True)
    except schemas.ValidationError as error:
        return str(error.message)
    return None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_follow_the_schemas(path: Path, version: str) -> None:
    assert refusal(manifest(path.stem), version) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_wrong_manifests_are_refused(version: str) -> None:
    unknown = manifest("deployment")
    unknown["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    assert "readynessProbe" in (refusal(unknown, version) or "")
    mistyped = manifest("service")
    mistyped["spec"]["ports"][0]["port"] = "http"
    assert "'http'" in (refusal(mistyped, version) or "")
    incomplete = manifest("poddisruptionbudget")
    incomplete["spec"] = {"maxUnavailable": []}
    assert refusal(incomplete, version) is not None


def test_the_kustomization_names_every_manifest_but_the_job() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "index-job.yaml"]) == [path.name for path in MANIFESTS]


def test_manifests_mean_each_other() -> None:
    deployment, service = manifest("deployment")["spec"], manifest("service")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    selectors = (
        deployment["selector"]["matchLabels"],
        service["selector"],
        manifest("poddisruptionbudget")["spec"]["selector"]["matchLabels"],
        manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"],
    )
    for selector in selectors:
        assert selector.items() <= labels.items()
    (container,) = deployment["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    (served,) = service["ports"]
    assert served["targetPort"] in ports
    ingress = manifest("ingress")["spec"]
    backend = ingress["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": manifest("service")["metadata"]["name"], "port": {"name": "http"}}
    assert f"--allowed-host={ingress['rules'][0]['host']}" in container["args"]
    volumes = {volume["name"]: volume for volume in deployment["template"]["spec"]["volumes"]}
    names = {
        kind: manifest(kind)["metadata"]["name"] for kind in ("persistentvolumeclaim", "secret")
    }
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == names["persistentvolumeclaim"]
    assert volumes["keys"]["secret"]["secretName"] == names["secret"]
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (1, "Recreate")


@pytest.mark.parametrize("name", ["deployment", "index-job"])
def test_pods_are_confined(name: str) -> None:
    check_confined(manifest(name)["spec"]["template"]["spec"])


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smh]?)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit]


def test_nothing_in_front_is_stricter_than_the_limits() -> None:
    """Else a proxy would answer for gingham, or a change would be cut off."""
    pod = manifest("deployment")["spec"]["template"]["spec"]
    unit, nginx = UNIT.read_text(), NGINX.read_text()
    notes = manifest("ingress")["metadata"]["annotations"]
    bodies = [
        re.search(r"client_max_body_size (\d+)m;", nginx)[1],  # type: ignore[index]
        notes["nginx.org/client-max-body-size"].removesuffix("m"),
        notes["nginx.ingress.kubernetes.io/proxy-body-size"].removesuffix("m"),
    ]
    assert [size for size in bodies if int(size) << 20 <= DEFAULT_LIMITS.upload_bytes] == []
    patience = [
        *re.findall(r"proxy_read_timeout (\w+);", nginx),
        notes["nginx.org/proxy-read-timeout"],
        notes["nginx.ingress.kubernetes.io/proxy-read-timeout"],
        re.search(r"TimeoutStopSec=(\w+)", unit)[1],  # type: ignore[index]
        str(pod["terminationGracePeriodSeconds"]),
    ]
    assert [time for time in patience if seconds(time) <= DEFAULT_LIMITS.change_seconds] == []
    (temporary,) = [one for one in pod["volumes"] if one["name"] == "temporary"]
    room = int(temporary["emptyDir"]["sizeLimit"].removesuffix("Gi")) << 30
    assert room > DEFAULT_LIMITS.waiting * DEFAULT_LIMITS.upload_bytes


def told(where: str) -> list[str]:
    """Give the arguments with which gingham is started."""
    if where.endswith("unit"):
        unit = UNIT if where == "unit" else UNIT.with_name("gingham-watch.service")
        (line,) = re.findall(r"^ExecStart=\S+/gingham (.*)$", unit.read_text(), re.M)
        return list(line.split())
    (container,) = manifest(where)["spec"]["template"]["spec"]["containers"]
    return list(container["args"])


@pytest.mark.parametrize("where", ["unit", "watch-unit", "deployment", "index-job"])
def test_gingham_knows_what_it_is_told(where: str) -> None:
    name, *arguments = told(where)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    with command.make_context(name, arguments) as context:
        assert str(context.params["catalogue"]) == "shop"
