"""The fork drill: one cosigner's key signs a second tree of the same size, and what an honest node makes of it.

Why: co-signing protects only if a double signature is noticed, proven to others and punished. The drill plays the
faulty institution with its real keys, at the real peer door, and shows the evidence file that an honest node keeps.

Refuses: to run on a network that is to be used afterwards: the key is convicted for good (`demo_fork` makes a
throw-away one).
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from grpc import aio

from ledger.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from ledger.headfile import read_slot
from ledger.note import cosign, format_note, parse_note
from ledger.votes import Hello, encode_hello
from node.doors import channel_credentials, channel_options
from node.keys import load_key, load_tls
from node.tls_certs import pem_to_der
from node.wire import encode_attest_hello, encode_note
from scripts import devnet
from scripts.devfolder import DevNetwork
from scripts.exit_codes import CommandError, Exit
from scripts.output import note
from scripts.web import expect, request

_NOTICE_TIMEOUT_S = 15.0
_MESSAGE_MAX = 4 << 20
_ATTEST = "/tiezheng.peer.v1.Peer/Attest"


def forge_and_observe(network: DevNetwork) -> dict[str, str]:
    """Let auditor-1 sign two trees of one size towards broker-1; return what broker-1 kept.

    Raises CommandError when no evidence appears in time.
    """
    faulty, honest = network.node("auditor-1"), network.node("broker-1")
    genuine = expect(request(f"{honest.read_url}/checkpoint"), 200).body
    checkpoint = parse_checkpoint(parse_note(genuine).text)
    note(
        f"2. The honest checkpoint: tree {checkpoint.size}, root {checkpoint.root.hex()[:16]}…, signed by auditor-1 too."
    )
    devnet.stop_processes(network, [faulty.name])
    text = format_checkpoint(Checkpoint(checkpoint.origin, checkpoint.size, secrets.token_bytes(32)))
    key = load_key(faulty.data / "keys" / "cosigner.key")
    forged = format_note(
        text, [cosign(f"{faulty.institution}/{faulty.name}", key.seed, text, int(time.time()))]
    )
    note(
        f"3. auditor-1's key signs another tree of the same size: root {parse_checkpoint(text).root.hex()[:16]}…"
    )
    asyncio.run(_deliver(network, forged))
    file = _wait_for_evidence(honest.data / "evidence")
    status = request(f"{honest.read_url}/v1/status").json()
    note(f"4. broker-1 keeps both signatures as evidence: {file.name}, {file.stat().st_size} bytes.")
    note(f"5. broker-1 goes on as {status['role']}; that key's signatures count no more.")
    verdict = "Two signatures of one key that contradict each other convicted the key; the proof can be handed to anybody."
    return {"demo": "fork", "convicted": faulty.name, "evidence": file.name, "verdict": verdict}


async def _deliver(network: DevNetwork, forged: bytes) -> None:
    """Send the forged note to broker-1's peer door as auditor-1."""
    faulty, honest = network.node("auditor-1"), network.node("broker-1")
    slot = read_slot(faulty.data / "head")
    if slot is None:
        raise CommandError(Exit.FAILURE, "auditor-1's head file cannot be read")
    identity = load_tls(faulty.data / "keys" / "tls.key", faulty.data / "keys" / "tls.crt")
    pin = pem_to_der((honest.data / "keys" / "tls.crt").read_bytes())
    hello = Hello(network.chain_id, faulty.name, honest.name, slot.facts.instance, secrets.token_bytes(16))

    async def frames() -> AsyncIterator[bytes]:
        yield encode_attest_hello(encode_hello(hello))
        yield encode_note(forged)
        await asyncio.sleep(2.0)  # the stream stays open long enough to be read

    async with aio.secure_channel(
        f"127.0.0.1:{network.port_base}",
        channel_credentials([pin], identity),
        options=channel_options(_MESSAGE_MAX, honest.name),
    ) as channel:
        try:
            async with asyncio.timeout(10):
                attest: aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(_ATTEST)
                call = attest(frames())
                async for _ in call:
                    pass
        except grpc.RpcError as error:
            raise CommandError(Exit.FAILURE, f"broker-1 did not take the note: {error}") from error


def _wait_for_evidence(folder: Path) -> Path:
    deadline = time.monotonic() + _NOTICE_TIMEOUT_S
    while time.monotonic() < deadline:
        files = sorted(folder.glob("*")) if folder.is_dir() else []
        if files:
            return files[-1]
        time.sleep(0.1)
    raise CommandError(Exit.FAILURE, f"no evidence appeared in {folder} within {_NOTICE_TIMEOUT_S:g} s")
