"""The Kubernetes manifest is consistent, and matches tailer and its image."""

from pathlib import PurePath
from typing import Any

import pytest
import yaml
from support.dockerfile import ROOT, only, stages

from tailer.config import Config, SyslogSection, parse_config

COMPRESSION_S = 10  # what a compression under way may take beyond shutdown_timeout_s
DOCUMENTS = list(yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text(encoding="utf-8")))
RUNTIME = stages()[-1]


def of_kind(kind: str) -> dict[str, Any]:
    (found,) = (document for document in DOCUMENTS if document["kind"] == kind)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def pod() -> dict[str, Any]:
    spec = of_kind("Deployment")["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only_one,) = pod["containers"]
    assert isinstance(only_one, dict)
    return only_one


@pytest.fixture
def config() -> Config:
    text = of_kind("ConfigMap")["data"]["config.toml"]
    return parse_config(text, name="the ConfigMap", environ={})


def test_there_is_never_a_second_pod() -> None:
    spec = of_kind("Deployment")["spec"]

    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


def test_the_selector_matches_its_pods() -> None:
    spec = of_kind("Deployment")["spec"]

    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


def test_the_grace_period_covers_the_shutdown_timeout(pod: dict[str, Any], config: Config) -> None:
    assert pod["terminationGracePeriodSeconds"] > config.daemon.shutdown_timeout_s + COMPRESSION_S


def test_it_runs_as_the_image_does(pod: dict[str, Any], container: dict[str, Any]) -> None:
    uid, gid = map(int, only(RUNTIME, "USER").text.split(":"))
    context = pod["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (uid, gid, gid)
    assert container["args"] == only(RUNTIME, "CMD").words


def test_the_pod_has_no_privileges(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """The profile `restricted` of the Pod Security Standards, and a file system to read only."""
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")],
)
def test_probes_use_the_listen_address(
    container: dict[str, Any], config: Config, probe: str, path: str
) -> None:
    """A probe comes from the node, so loopback would refuse it."""
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = container[probe]["httpGet"]

    assert f"0.0.0.0:{ports[asked['port']]}" == config.status.listen
    assert asked["path"] == path


def test_every_file_that_the_configuration_names_is_mounted(
    container: dict[str, Any], config: Config
) -> None:
    mounted = [PurePath(mount["mountPath"]) for mount in container["volumeMounts"]]
    named = [config.aicore.service_key_file, config.spool.path]
    named += [sink.to.tls_ca_file for sink in config.sinks if isinstance(sink.to, SyslogSection)]

    assert all(path is not None and path.parent in mounted for path in named)


def test_only_the_spool_can_be_written(container: dict[str, Any], config: Config) -> None:
    writable = [
        mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")
    ]

    assert writable == [str(config.spool.path.parent)]


def test_every_mount_has_a_volume(pod: dict[str, Any], container: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}

    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
    assert volumes["config"]["configMap"]["name"] == of_kind("ConfigMap")["metadata"]["name"]
    claim = volumes["spool"]["persistentVolumeClaim"]["claimName"]
    assert claim == of_kind("PersistentVolumeClaim")["metadata"]["name"]
