"""A Dockerfile as a list of instructions, as far as ours needs it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Of an exec form: its words; of any other: none."""
        _, bracket, rest = self.text.partition("[")
        return list(json.loads(bracket + rest)) if bracket else []

    @property
    def flags(self) -> dict[str, str]:
        return dict(re.findall(r"--([a-z-]+)=(\S+)", self.text))


def stages(path: Path = DOCKERFILE) -> list[list[Instruction]]:
    """One list for each FROM, including it. Instructions before the first FROM are left out."""
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found: list[list[Instruction]] = []
    for statement in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if not statement:
            continue
        name, _, rest = statement.partition(" ")
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append(Instruction(name, rest.strip()))
    return found


def only(stage: list[Instruction], name: str) -> Instruction:
    (found,) = (each for each in stage if each.name == name)
    return found
