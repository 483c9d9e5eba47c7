"""Break the core on purpose, one line at a time: the suite must notice each time.

Usage: make mutants, or python tests/stress/mutate_the_core.py [NAME ...]   (all by default)

Each mutant is one replaced piece of one file, tried in a copy of the project. A mutant that
survives means that a promise is not tested; the exit code is then 1.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTEST_OPTIONS = (
    "-q",
    "--tb=no",
    "-p",
    "no:cacheprovider",
    "--hypothesis-profile=quick-to-fail",
)
TESTS = (
    "tests/contract/test_spool.py",
    "tests/unit/aicore/test_decode.py",
    "tests/unit/logs/test_*.py",
    "tests/unit/polling/test_*.py",
    "tests/unit/test_delivery.py",
)


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    file: str
    line: str
    becomes: str


MUTANTS = (
    Mutant(
        "start = last + 1",
        "tailer/polling/range_reader.py",
        "page.entries, settled_ns, page.server_now_ns)",
        "page.entries, page.times_ns[-1] + 1, page.server_now_ns)",
    ),
    Mutant(
        "a set instead of a multiset",
        "tailer/polling/cursor.py",
        "if count > seen.get(key, 0):",
        "if count == 1 and key not in seen:",
    ),
    Mutant(
        "no overlap",
        "tailer/polling/cursor.py",
        "settled_ns = min(observed.window.end_ns, observed.server_now_ns - self._lateness_ns)",
        "settled_ns = min(observed.window.end_ns, observed.server_now_ns)",
    ),
    Mutant(
        "watermark moved while paging",
        "tailer/polling/cursor.py",
        "settled_ns = min(observed.window.end_ns, observed.server_now_ns - self._lateness_ns)",
        "settled_ns = observed.window.end_ns",
    ),
    Mutant(
        "watermark moved by an edge poll",
        "tailer/polling/cursor.py",
        "if observed.window.start_ns > self.watermark_ns:",
        "if observed.window.start_ns < 0:",
    ),
    Mutant(
        "checkpoint moved by an append that failed",
        "tailer/spool/memory.py",
        "size = size_of(entries)",
        "size = size_of(entries); self._ledger.move(target, watermark_ns)",
    ),
    Mutant(
        "checkpoint moved by a damaged answer, taken for an empty page",
        "tailer/aicore/decode.py",
        'raise damaged(body, "it has no log entries but something else")',
        "return []",
    ),
    Mutant(
        "a cursor of seconds",
        "tailer/polling/cursor.py",
        "key = _key(entry, time_ns)",
        "key = _key(entry, time_ns // 1_000_000_000)",
    ),
    Mutant(
        "an exclusive start goes unnoticed",
        "tailer/polling/range_reader.py",
        "self._dialect.start_is_exclusive = True",
        "self._dialect.start_is_exclusive = False",
    ),
    Mutant(
        "what was delivered is forgotten over a restart",
        "tailer/polling/cursor.py",
        "if time_ns >= self.watermark_ns:",
        "if time_ns < self.watermark_ns:",
    ),
    Mutant(
        "a crowded instant is passed over in silence",
        "tailer/polling/range_reader.py",
        "return replace(slice_, hole=hole)",
        "return slice_",
    ),
)


def killers(mutant: Mutant, folder: Path) -> list[str]:
    """The tests that fail with `mutant` in place; the copy in `folder` is mended afterwards."""
    path = folder / mutant.file
    original = path.read_text(encoding="utf-8")
    if original.count(mutant.line) != 1:
        sys.exit(f"{mutant.name}: {mutant.file} does not have that line once; correct MUTANTS")
    path.write_text(original.replace(mutant.line, mutant.becomes), encoding="utf-8")
    try:
        files = [str(one) for pattern in TESTS for one in sorted(folder.glob(pattern))]
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *PYTEST_OPTIONS, *files],
            cwd=folder,
            env={
                "PATH": "",
                "PYTHONPATH": str(folder),
                "HYPOTHESIS_STORAGE_DIRECTORY": str(folder),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode not in (0, 1):  # neither passed nor failed: the tests did not run
            sys.exit(f"{mutant.name}: pytest could not run\n{run.stdout}{run.stderr}")
    finally:
        path.write_text(original, encoding="utf-8")
    return re.findall(r"^(?:FAILED|ERROR) \S*?([\w.]+\.py::\S+)", run.stdout, re.MULTILINE)


def main(names: list[str]) -> int:
    survivors = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for part in ("tailer", "tests"):
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for mutant in MUTANTS:
            if names and mutant.name not in names:
                continue
            found = killers(mutant, folder)
            survivors += not found
            print(f"{'killed' if found else 'SURVIVED'}: {mutant.name}", flush=True)  # noqa: T201
            for test in found:
                print(f"    {test}", flush=True)  # noqa: T201
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
