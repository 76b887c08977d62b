"""A disk that refuses: the process ends at once with its own code, and nothing that was answered is lost."""

import asyncio
import sys
from pathlib import Path

import grpc.aio
from node_cluster import Cluster

from node.config import load_config
from node.errors import ExitCode
from node.start import open_node
from scripts.network import NODES, with_voters

RUN = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
from node.service import run
sys.exit(run(Path(sys.argv[1])))
"""


async def test_a_disk_that_refuses_ends_the_process_and_loses_nothing(tmp_path: Path) -> None:
    """With a limit on file sizes the database's log fills up in the middle of the work: exit code 15, one
    line that says why; what was answered before is there at the next start.
    """
    cluster = Cluster(tmp_path, with_voters(NODES, 1), quorum=1, f=0)
    place = cluster.places["broker-1"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, str(place.config_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [await _line_with(process.stdout, '"started"')]
    gateway = cluster.gateway("broker-1")
    answered: list[int] = []
    for at in range(60):
        try:
            reply = await gateway.submit(cluster.envelope(1_000, first=1_000 * at))
        except (grpc.aio.AioRpcError, AssertionError, asyncio.InvalidStateError):
            break
        if reply.WhichOneof("outcome") == "committed":
            answered.append(reply.committed.height)
        else:
            await asyncio.sleep(0.2)  # not leading yet
    async with asyncio.timeout(20):
        lines += (await process.stdout.read()).decode().splitlines()
        assert await process.wait() == ExitCode.DISK_FAILED
    assert any('"died"' in line and "E_STORE_WRITE" in line for line in lines)
    await gateway.close()
    assert answered, "something was answered before the disk was full"
    opened = open_node(load_config(place.config_path))
    assert opened.halted is None
    assert opened.chain_store.last().height >= max(answered)
    opened.close()


async def _line_with(stream: asyncio.StreamReader, text: str) -> str:
    async with asyncio.timeout(30):
        while True:
            line = (await stream.readline()).decode()
            assert line, "the process ended too early"
            if text in line:
                return line
