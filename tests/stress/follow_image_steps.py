"""Follows the Dockerfile without a container engine, then runs the result as one would.

This machine's own system, under a layer that is thrown away, stands in for the base image, so
every instruction is followed word by word, at its very paths: the build, then the process as
number 1 of its own, as the user of the image, without any capability, on a read-only tree with
the volumes as the only places to write. It follows a simulated service, has to write its lines
and to be healthy, and has to end with 0 at SIGTERM. Not covered are the
base image itself, layers, seccomp, networks. Needs root, for namespaces and mounts.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Event

import click
from support.command_line import PATIENCE_S
from support.dockerfile import ROOT, Instruction, only, stages

from tailer.clock import SystemClock
from tailer.timestamp import NS_PER_S

CONFIG = """
[[watch]]
kind = "deployment"
id = "."
[spool]
path = "/var/lib/tailer/spool.db"
[[sink]]
kind = "file"
path = "/var/log/aicore/{resource_group}/{kind}/{id}.log"
"""
SIMULATOR_PORT = 18_075
PIP = "PIP_"  # how packages are had here is for the build to know, and not for the image


def steps(build: list[Instruction], runtime: list[Instruction], scratch: Path) -> list[str]:
    """Lines of a shell script that ends as the container's process."""
    tree = scratch / "layers/tree"
    layers = f"lowerdir=/,upperdir={scratch}/layers/upper,workdir={scratch}/layers/work"
    python = Path(sys.base_prefix, "bin/python3")
    lines = [
        "set -eu",
        "mount --make-rprivate /",
        f"mount -t tmpfs tmpfs {scratch}/layers",
        f"mkdir {scratch}/layers/upper {scratch}/layers/work {tree}",
        f"mount -t overlay overlay {tree} -o {layers}",
        f"mount -t proc proc {tree}/proc",
        f"mount --rbind /dev {tree}/dev",
        f"rm -rf {tree}/opt/tailer {tree}/var/lib/tailer {tree}/var/log/aicore {tree}/src",
        f"mkdir -p {tree}/usr/local {tree}/etc/tailer",
        f"mount --bind {sys.base_prefix} {tree}/usr/local",  # where the base image has its own
        *(f"chmod o+x {tree}{folder}" for folder in python.resolve().parents),
    ]
    folder = "/"
    for each in [*build, *runtime]:
        match each.name:
            case "WORKDIR":
                folder = each.text
                lines.append(f"mkdir -p {tree}{folder}")
            case "COPY" if "from" not in each.flags:
                *sources, to = each.text.split()
                for source in sources:
                    goal = to if to != "./" else source
                    lines.append(f"cp -r {ROOT}/{source} {tree}{folder}/{goal}")
            case "RUN":
                command = shlex.quote(f"cd {folder} && {each.text}")
                lines.append(f"PATH=/usr/local/bin:$PATH chroot {tree} sh -c {command} >&2")
    uid, gid = only(runtime, "USER").text.split(":")
    for number, volume in enumerate(only(runtime, "VOLUME").words):
        mine = f"{scratch}/volume{number}"
        lines += [
            f"mkdir {mine}",
            f"chown --reference={tree}{volume} {mine}",
            f"chmod --reference={tree}{volume} {mine}",
            f"mount --bind {mine} {tree}{volume}",
        ]
    as_in_image = (
        f"chroot {tree} setpriv --reuid={uid} --regid={gid} --clear-groups --no-new-privs "
        "--inh-caps=-all --bounding-set=-all env -i"
    )
    return [
        *lines,
        f"rm -rf {tree}/src {tree}/dist",  # they are not in the second stage
        f"cp {scratch}/config.toml {tree}/etc/tailer/config.toml",
        f"mount -o remount,ro {tree}",
        f"as_in_image='{as_in_image} {only(runtime, 'ENV').text} '\"$AICORE\"",
        f"printf '%s\\n' \"$as_in_image\" > {scratch}/as_in_image",
        "exec unshare --pid --fork --kill-child $as_in_image "
        + shlex.join([*only(runtime, "ENTRYPOINT").words, *only(runtime, "CMD").words]),
    ]


def main() -> int:
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        click.echo("image steps: left out, for namespaces and mounts need root")
        return 0
    build, runtime = stages()
    scratch = Path(tempfile.mkdtemp(prefix="tailer-image-"))
    (scratch / "layers").mkdir()
    (scratch / "config.toml").write_text(CONFIG, encoding="utf-8")
    simulator = subprocess.Popen(
        [sys.executable, "-m", "tailer", "simulate", "--port", str(SIMULATOR_PORT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        return follow(build, runtime, scratch, simulator)
    finally:
        simulator.terminate()
        simulator.wait()
        shutil.rmtree(scratch, ignore_errors=True)


def follow(
    build: list[Instruction],
    runtime: list[Instruction],
    scratch: Path,
    simulator: subprocess.Popen[str],
) -> int:
    assert simulator.stdout is not None
    reported = [simulator.stdout.readline() for _ in range(5)]
    variables = " ".join(line.removeprefix("export ").strip().replace("'", "") for line in reported)
    script = "\n".join(steps(build, runtime, scratch))
    container = subprocess.Popen(
        ["unshare", "--mount", "--fork", "--kill-child", "bash", "-c", script],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "AICORE": variables,
            **{name: value for name, value in os.environ.items() if name.startswith(PIP)},
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output = wait_for_lines(scratch / "volume1", container)
        health = subprocess.run(
            [
                "nsenter",
                f"--mount=/proc/{only_child(container.pid)}/ns/mnt",
                *(scratch / "as_in_image").read_text(encoding="utf-8").split(),
                *only(runtime, "HEALTHCHECK").words,
            ],
            check=False,
        ).returncode
        process = only_child(only_child(container.pid))
        os.kill(process, signal.SIGTERM)
        _, rest = container.communicate(timeout=PATIENCE_S)
    finally:
        container.kill()
    click.echo(
        f"image steps: built; {output}; health check {health}; after SIGTERM {container.returncode}"
    )
    if health or container.returncode:
        click.echo(rest)
        return 1
    return 0


def wait_for_lines(folder: Path, container: subprocess.Popen[str]) -> str:
    """Returns once there are files with lines in `folder`."""
    clock = SystemClock()
    end_ns = clock.wall_ns() + 300 * NS_PER_S
    while clock.wall_ns() < end_ns:
        files = [path for path in folder.rglob("*.log") if path.stat().st_size]
        if files:
            return f"{len(files)} files with lines"
        if container.poll() is not None:
            _, err = container.communicate()
            sys.exit(f"image steps: ended with {container.returncode}\n{err}")
        Event().wait(0.2)
    sys.exit("image steps: no lines")


def only_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    (child,) = children
    return int(child)


if __name__ == "__main__":
    sys.exit(main())
