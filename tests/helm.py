"""The chart of deploy/helm, as helm renders it, and what must hold of what is rendered."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Literal

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy" / "helm" / "gingham"
TOOLS = ROOT / "deploy" / "node_modules" / "tools"
"""Where the Makefile puts helm and kubectl."""


def tool(name: str) -> str:
    """Find helm or kubectl."""
    ours = TOOLS / name / name
    found = str(ours) if ours.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: make {TOOLS.relative_to(ROOT)}, which needs npm")
    return found


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm or kubectl without any cluster, home or settings."""
    alone = {
        key: value for key, value in os.environ.items() if not key.startswith(("HELM", "KUBE"))
    }
    return subprocess.run(
        [tool(name), *arguments], text=True, capture_output=True, env=alone | {"HOME": "/nowhere"}
    )


def given(values: dict[str, Any]) -> list[str]:
    """Write values, by their paths such as `readers.enabled`, as options of helm."""
    return [f"--set-json={path}={json.dumps(value)}" for path, value in values.items()]


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what helm makes of the chart with values by their paths."""
    return _rendered(json.dumps(values))


@cache
def _rendered(values: str) -> list[dict[str, Any]]:
    done = run("helm", "template", "gingham", str(CHART), "-n=gingham", *given(json.loads(values)))
    assert (done.returncode, done.stderr) == (0, "")
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def chosen(manifests: list[dict[str, Any]], kind: str, name: str = "gingham") -> dict[str, Any]:
    """Give the one manifest of a kind and name."""
    (one,) = [one for one in manifests if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return one


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class _Group(_Strict):
    ray_start_params: dict[str, str]
    template: dict[str, Any]


class _Workers(_Group):
    group_name: str
    replicas: int
    min_replicas: int
    max_replicas: int


class _Cluster(_Strict):
    ray_version: str
    head_group_spec: _Group
    worker_group_specs: list[_Workers]


class _Job(_Strict):
    entrypoint: str
    shutdown_after_job_finishes: bool
    ttl_seconds_after_finished: int
    backoff_limit: int = Field(ge=0)
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode"]
    submitter_pod_template: dict[str, Any]
    ray_cluster_spec: _Cluster


class RayJob(_Strict):
    """The fields of KubeRay's RayJob that the chart uses, by hand: no package has its schema."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: dict[str, Any]
    spec: _Job

    def templates(self) -> list[dict[str, Any]]:
        """Give its pods, which Kubernetes has a schema for."""
        cluster = self.spec.ray_cluster_spec
        groups = [cluster.head_group_spec, *cluster.worker_group_specs]
        return [self.spec.submitter_pod_template, *(group.template for group in groups)]


def _left_out(given: Any, kept: Any, path: str = "") -> list[str]:
    """Name what a model did not take over."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [
            name
            for key, value in given.items()
            for name in (
                _left_out(value, kept[key], f"{path}.{key}") if key in kept else [f"{path}.{key}"]
            )
        ]
    if isinstance(given, list) and isinstance(kept, list):
        pairs = zip(given, kept, strict=True)
        return [name for one, other in pairs for name in _left_out(one, other, f"{path}[]")]
    return [] if given == kept else [path]


def check(manifest: dict[str, Any], version: str) -> None:
    """Refuse what a schema refuses: of Kubernetes, or of the operator whose resource it is."""
    match kind := manifest["kind"]:
        case "RayJob":
            for template in RayJob.model_validate(manifest).templates():
                pods = {"apiVersion": "v1", "kind": "PodTemplate", "template": template}
                kubernetes_validate.validate(pods, version, strict=True)
        case "ServiceMonitor" | "ScaledObject":
            module = "prometheus_operator.v1" if kind == "ServiceMonitor" else "keda.v1alpha1"
            model = getattr(importlib.import_module(f"cloudcoil.models.{module}"), kind)
            read = model.model_validate(manifest)
            kept = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
            if unknown := _left_out(manifest, kept):
                raise ValueError(f"{kind} has no {', '.join(unknown)}")
        case _:
            kubernetes_validate.validate(manifest, version, strict=True)


def pods(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the specifications of the pods of a manifest."""
    match manifest["kind"]:
        case "Deployment" | "Job":
            return [manifest["spec"]["template"]["spec"]]
        case "Pod":
            return [manifest["spec"]]
        case "RayJob":
            return [one["spec"] for one in RayJob.model_validate(manifest).templates()]
        case _:
            return []


def check_confined(pod: dict[str, Any]) -> None:
    """Fail if a pod may do more than it needs."""
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
