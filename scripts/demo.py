"""`make demo`: the main job before your eyes, from nothing to a verified receipt and a refused forgery.

Why: the claim of this project is one that a stranger can check, so the first thing it does is let him. Every step
is the ordinary program, called as a person would call it; the command line of each is printed before it runs.

Leaves the network running and says what to open and how to stop it. A second run resumes.

Refuses: to go on when a step does not end as it must; the exit code tells.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from scripts.devfolder import DEFAULT_FOLDER, DevNetwork, load
from scripts.exit_codes import Exit
from scripts.output import note, say

_TIMEOUT_S = 120


def main() -> int:
    """Run the demonstration; 0 when every step ended as it must."""
    steps = _Demonstration(DEFAULT_FOLDER)
    try:
        steps.run()
    except _UnexpectedError as error:
        note(f"demo: {error}")
        return int(Exit.FAILURE)
    return int(Exit.OK)


class _UnexpectedError(Exception):
    """A step that did not end as it must."""


class _Demonstration:
    """Runs the steps in order; each is one call of the program."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self) -> None:
        """Start the network, fetch one receipt, check it twice, forge it twice."""
        self._call("dev", "up", "--detach", "--data", str(self._folder))
        network = load(self._folder)
        record = json.loads((network.folder / "samples" / "records.json").read_text(encoding="utf-8"))[0]
        original = network.folder / record["file"]
        place = network.folder / "demo"
        place.mkdir(exist_ok=True)
        receipt = place / "receipt.tlog-proof"
        say("\nOne record, its receipt, and two verifiers that share no code:")
        self._call("proof", record["id"], "--header", "-o", str(receipt), "--data", str(network.folder))
        check = ["verify", str(receipt), "--policy", str(network.policy_file), "--original", str(original)]
        self._call(*check)
        self._second(network, receipt, original, Exit.OK)
        say("\nThe original with one character changed: both must refuse it.")
        forged = self._forged_original(original, place)
        check = ["verify", str(receipt), "--policy", str(network.policy_file), "--original", str(forged)]
        self._call(*check, expected=Exit.CONTENT_DIFFERS)
        self._second(network, receipt, forged, Exit.CONTENT_DIFFERS)
        say("\nThe receipt with one character of its checkpoint changed: both must refuse it.")
        bad = self._forged_receipt(receipt, place)
        check = ["verify", str(bad), "--policy", str(network.policy_file), "--original", str(original)]
        self._call(*check, expected=Exit.TRUST_NOT_MET)
        self._second(network, bad, original, Exit.TRUST_NOT_MET)
        self._farewell(network)

    def _call(self, *arguments: str, expected: Exit = Exit.OK) -> None:
        self._run(
            [sys.executable, "-m", "scripts.cli", *arguments], shlex.join(["tiezheng", *arguments]), expected
        )

    def _second(self, network: DevNetwork, receipt: Path, original: Path, expected: Exit) -> None:
        script = Path(__file__).with_name("second_verify.py")
        arguments = [str(receipt), "--policy", str(network.policy_file), "--original", str(original)]
        shown = shlex.join(["python3", "scripts/second_verify.py", *arguments])
        self._run([sys.executable, str(script), *arguments], shown, expected)

    def _run(self, argv: list[str], shown: str, expected: Exit) -> None:
        say(f"\n$ {shown}")
        ended = subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=False)
        if ended.returncode != expected:
            raise _UnexpectedError(
                f"that ended with {ended.returncode}, where {int(expected)} ({expected.name}) is right"
            )
        if expected is not Exit.OK:
            say(f"(exit code {ended.returncode}, as it must be)")

    @staticmethod
    def _forged_original(original: Path, place: Path) -> Path:
        """Copy the original and its salt, one character changed."""
        text = original.read_text(encoding="utf-8")
        at = text.index("2025")
        forged = place / "forged.json"
        forged.write_text(text[:at] + "2024" + text[at + 4 :], encoding="utf-8")
        salt = original.with_name(original.name + ".salt")
        copied = forged.with_name(forged.name + ".salt")
        copied.write_bytes(salt.read_bytes())
        copied.chmod(0o600)
        return forged

    @staticmethod
    def _forged_receipt(receipt: Path, place: Path) -> Path:
        """Copy the receipt with another tree size in its checkpoint: the signatures no longer cover it."""
        lines = receipt.read_text(encoding="utf-8").split("\n")
        size = lines.index("") + 2  # blank line, origin, tree size
        lines[size] = str(int(lines[size]) + 1)
        forged = place / "forged.tlog-proof"
        forged.write_text("\n".join(lines), encoding="utf-8")
        return forged

    def _farewell(self, network: DevNetwork) -> None:
        say("\nThe network is running. Look at it, then stop it:")
        say(f"  open    {network.nodes[-1].read_url}/        (the chain, as the regulator's node shows it)")
        say("  status  .venv/bin/tiezheng status")
        say("  drills  .venv/bin/tiezheng dev demo tamper     .venv/bin/tiezheng dev demo outage")
        say("  stop    .venv/bin/tiezheng dev down           (data stays; `make demo` resumes)")


if __name__ == "__main__":
    sys.exit(main())
