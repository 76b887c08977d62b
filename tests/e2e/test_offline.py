"""A receipt outlives the network: verified with nothing but the file, the trust file and either verifier."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_network import get, item, post, running_network

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).parents[2]


def test_a_receipt_verifies_after_everything_is_wiped(tmp_path: Path) -> None:
    """Both verifiers, run as programs in an empty folder, without the network, its stores or its keys."""
    made = item()
    with running_network(tmp_path / "net") as network:
        record = post(network, [made], wait_s=20).json()["items"][0]
        assert record["state"] == "final"
        plain = get(network, f"/v1/records/{record['id']}/receipt").body
        full = get(network, f"/v1/records/{record['id']}/receipt?with=header").body
        policy = network.policy_file.read_bytes()
    shutil.rmtree(tmp_path / "net")
    place = tmp_path / "court"
    place.mkdir()
    (place / "policy.txt").write_bytes(policy)
    for name, receipt in (("plain", plain), ("full", full)):
        file = place / f"{name}.tlog-proof"
        file.write_bytes(receipt)
        arguments = [str(file), "--policy", str(place / "policy.txt"), "--digest"]
        for program in (
            [sys.executable, "-m", "scripts.cli", "verify"],
            [sys.executable, str(ROOT / "scripts/second_verify.py")],
        ):
            good = subprocess.run(
                [*program, *arguments, made["commitment"]],
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=False,
            )
            assert good.returncode == 0, good.stdout + good.stderr
            bad = subprocess.run(
                [*program, *arguments, "00" * 32], capture_output=True, text=True, cwd=ROOT, check=False
            )
            assert bad.returncode == 10, bad.stdout + bad.stderr
