"""Runs the recipes of docs/ci.md: a small runner, server or kubelet for each, and real commands.

Each runner follows the documentation of its CI system: the shell and its options, the
environment that is passed on, and the steps after a failure. Nothing else is emulated.
"""

import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.command_line import PATIENCE_S
from tailer.clock import SystemClock

DOCUMENT = Path(__file__).parents[2] / "docs" / "ci.md"
IMAGE = "registry.example.com/tailer:1"
_LOOK_S = 0.05

# As much of `docker run` as the recipe uses. Nothing is passed on that is not named.
_DOCKER = """\
#!{python}
import os, sys
words = iter(sys.argv[2:])
passed, volumes, folder = ["PATH", "HOME", "TAILER_LATENESS", "TAILER_DRAIN"], dict(), "/"
for word in words:
    if word == "--env":
        passed.append(next(words))
    elif word == "--volume":
        source, _, target = next(words).rpartition(":")
        volumes[target] = source
    elif word == "--workdir":
        folder = next(words)
    elif word == "--user":
        assert next(words) == f"{{os.getuid()}}:{{os.getgid()}}"
    elif word not in ("--rm", "--init"):
        break
if sys.argv[1] != "run" or word != "{image}":
    sys.exit(125)
command = list(words)
os.chdir(volumes.get(folder, folder))
os.execvpe(command[0], command, {{name: os.environ[name] for name in passed if name in os.environ}})
"""


def block(heading: str, language: str) -> str:
    """The one block of that language below that heading."""
    text = DOCUMENT.read_text(encoding="utf-8")
    (section,) = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert isinstance(found, str)
    return found


def start_execution() -> str:
    """The script that every recipe calls, as it is shown."""
    text = DOCUMENT.read_text(encoding="utf-8")
    (found,) = re.findall(
        r"^<!-- file: start-execution -->\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert isinstance(found, str)
    return found


@dataclass(slots=True)
class Played:
    """How the job ended, what it said, and where the files are that outlive it."""

    code: int
    output: str
    kept: Path
    restarts: int = 0


@dataclass(slots=True)
class Place:
    """A machine with the programs that a job may call, and a folder for it.

    `secrets` are what the CI server knows by these names.
    """

    folder: Path
    secrets: Mapping[str, str]
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bin.mkdir(parents=True)
        self.job.mkdir()
        self.kept.mkdir()
        self._program("tailer", f'#!/bin/sh\nexec {sys.executable} -m tailer "$@"\n')
        for name in ("python", "python3"):
            self._program(name, f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        self._program("pip", f'#!/bin/sh\necho "$@" >> {self.folder}/installed\n')
        self._program("start-execution", start_execution())
        self._program("docker", _DOCKER.format(python=sys.executable, image=IMAGE))
        shutil.copy(self.bin / "start-execution", self.job)
        self.environ |= {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "TAILER_LATENESS": "2s",  # no line is late here
            "TAILER_DRAIN": "1s",
        }

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def job(self) -> Path:
        return self.folder / "job"

    @property
    def kept(self) -> Path:
        return self.folder / "kept"

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> Played:
        done = subprocess.run(
            command,
            cwd=self.job,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
        return Played(done.returncode, done.stdout.decode(), self.kept)

    def start(self, script: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Run the script from a file, so that the shell does not exec its last command."""
        path = self.folder / "step.sh"
        path.write_text(script, encoding="utf-8")
        return subprocess.Popen(
            ["bash", "-e", str(path)],
            cwd=self.job,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def keep(self, names: Sequence[str]) -> None:
        """Copy artifacts as a CI server does; missing files are skipped."""
        for name in names:
            if (self.job / name).exists():
                shutil.copy(self.job / name, self.kept)

    def _program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)


def play_github(place: Place) -> Played:
    """Each step runs in its own shell; after a failure only `always()` steps run."""
    (job,) = yaml.safe_load(block("GitHub Actions", "yaml"))["jobs"].values()

    def resolved(text: str) -> str:
        return re.sub(r"\$\{\{ (?:secrets|vars)\.(\w+) \}\}", lambda it: place.secrets[it[1]], text)

    environ = {name: resolved(value) for name, value in job["env"].items()}
    exported = place.folder / "github.env"
    exported.touch()
    played = Played(0, "", place.kept)
    for step in job["steps"]:
        if played.code and step.get("if") != "always()":
            continue
        if "run" in step:
            more = dict(line.split("=", 1) for line in exported.read_text().splitlines())
            environ |= {"GITHUB_ENV": str(exported), **more}
            done = place.run(["bash", "-e", "-c", step["run"]], environ)
            played.code, played.output = played.code or done.code, played.output + done.output
        elif step["uses"].startswith("actions/upload-artifact@"):
            place.keep(step["with"]["path"].split())
        else:
            assert step["uses"].startswith(("actions/checkout@", "actions/setup-python@"))
    return played


def play_gitlab(place: Place) -> Played:
    """All lines of the script in one shell."""
    (job,) = yaml.safe_load(block("GitLab CI", "yaml")).values()
    assert job["image"] == IMAGE
    script = "\n".join(job["script"])
    played = place.run(
        ["bash", "-eo", "pipefail", "-c", script], {**place.secrets, **job["variables"]}
    )
    if job["artifacts"]["when"] == "always" or not played.code:
        place.keep(job["artifacts"]["paths"])
    assert job["allow_failure"] == {"exit_codes": 11}  # a DEAD one is not allowed to
    return played


def play_jenkins(place: Place) -> Played:
    recipe = block("Jenkins", "groovy")
    assert recipe.count("{") == recipe.count("}")
    assert f"docker {{ image '{IMAGE}' }}" in recipe
    environ = dict(re.findall(r"^ +(\w+) = '(.*)'$", recipe, re.MULTILINE))
    for name, credential in re.findall(r"^ +(\w+) = credentials\('(.*)'\)$", recipe, re.MULTILINE):
        assert credential == "aicore-service-key"
        environ[name] = place.secrets[name]
    for name in re.findall(r"string\(name: '(\w+)'\)", recipe):
        environ[name] = place.secrets[name]
    (script,) = re.findall(r"sh '''\n(.*?)'''", recipe, re.DOTALL)
    played = place.run(["sh", "-xe", "-c", textwrap.dedent(script)], environ)
    (names,) = re.findall(r"always \{\s+archiveArtifacts artifacts: '(.*?)'", recipe)
    place.keep(names.split(", "))
    return played


def play_docker(place: Place) -> Played:
    """The files are where the job was."""
    played = place.run(["sh", "-e", "-c", block("`docker run`", "sh")], place.secrets)
    return Played(played.code, played.output, place.job)


@dataclass(slots=True)
class Pod:
    """A Job's only pod, as a kubelet would run it: one sidecar, one container."""

    place: Place
    restarts: int = 0
    output: list[Path] = field(default_factory=list)

    @property
    def spec(self) -> dict[str, Any]:
        recipe = block("A Kubernetes Job, with `tailer` as a sidecar", "yaml")
        spec: dict[str, Any] = yaml.safe_load(recipe)["spec"]["template"]["spec"]
        return spec

    def start(self, container: dict[str, Any]) -> subprocess.Popen[bytes]:
        assert container["image"] == IMAGE
        assert container["envFrom"] == [{"secretRef": {"name": "aicore"}}]
        mounts = {one["mountPath"]: self.volume(one["name"]) for one in container["volumeMounts"]}
        named = {one["name"]: one["value"] for one in container.get("env", ())}
        environ = {name: str(mounts.get(value, value)) for name, value in named.items()}
        self.output.append(self.place.folder / f"{container['name']}.{len(self.output)}")
        with self.output[-1].open("wb") as output:
            return subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=mounts[container["workingDir"]],
                env={
                    **self.place.environ,
                    **self.place.secrets,
                    **environ,
                    "HOSTNAME": "training-x7k2p",
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def volume(self, name: str) -> Path:
        assert name in [one["name"] for one in self.spec["volumes"]]
        path = self.place.folder / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    async def play(self) -> Played:
        """The sidecar is started again while the container lives, and then gets a SIGTERM."""
        (sidecar,), (container,) = self.spec["initContainers"], self.spec["containers"]
        assert sidecar["restartPolicy"] == "Always"
        clock = SystemClock()
        beside = self.start(sidecar)
        main = self.start(container)
        try:
            while main.poll() is None:
                if beside.poll() is not None:
                    self.restarts += 1
                    beside = self.start(sidecar)
                await clock.sleep(_LOOK_S)
            beside.terminate()
            beside.wait(self.spec.get("terminationGracePeriodSeconds", 30) / 2)
        finally:
            for process in (main, beside):
                if process.poll() is None:
                    process.kill()
                process.wait()
        output = "".join(path.read_text(encoding="utf-8") for path in self.output)
        kept = self.volume("artifacts") / "training-x7k2p"
        return Played(main.returncode, output, kept, self.restarts)


def pid_of(folder: Path, word: str) -> int:
    """Of the process in `folder` which has this word in its command line."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode().split("\0")
            if word in words and (path / "cwd").readlink() == folder:
                return int(path.name)
        except OSError:  # ended, or owned by another user
            continue
    return 0
