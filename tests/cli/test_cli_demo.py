"""`tailer demo`: ends on time and prints a correct balance of shown and printed lines."""

import signal
from pathlib import Path

from support.command_line import Ended, run, running


def balance(ended: Ended) -> dict[str, str]:
    rows = [line.partition(": ") for line in ended.err.splitlines() if ":  " in line]
    return {label.strip(): number.split()[0] for label, _, number in rows}


def test_it_prints_exactly_the_shown_lines(tmp_path: Path) -> None:
    ended = run("demo", "--seconds", "4", environ={"HOME": str(tmp_path)})

    output = balance(ended)
    printed = str(len(ended.lines))
    assert output["lines the service showed"] == output["lines printed"] == printed
    assert (ended.code, output["lost"], output["repeated"]) == (0, "0", "0")
    assert int(output["faults survived"]) > 0


def test_all_targets_exist_from_the_start(tmp_path: Path) -> None:
    with running("demo", environ={"HOME": str(tmp_path)}) as process:
        waits = (
            "event=target_phase target=execution/e0000000000000e2 phase=waiting "
            'reason="not started (PENDING)"'
        )

        assert "404" not in process.wait_for(waits, on="err")


def test_an_interrupt_prints_the_balance_early(tmp_path: Path) -> None:
    with running("demo", "--seconds", "60", environ={"HOME": str(tmp_path)}) as process:
        process.wait_for("\n")
        process.process.send_signal(signal.SIGINT)
        ended = process.end()

    assert ended.code == 0
    assert balance(ended)["lost"] == "0"
