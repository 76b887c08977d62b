"""Everything beside the core, built and started as `service` does it."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import store_world
from core_world import Core, Wire, keys_of, parts_of

from ledger.keyspace import chain_body, derived_header
from ledger.store_derived import DerivedStore
from ledger.store_prepare import CONDEMNED
from node import companions
from node.config import Doors
from node.errors import StartError
from node.ports import Companion, Parts
from node.tls_certs import new_identity


def parts(folder: Path, core: Core, **doors: str) -> Parts:
    """What `service` hands over, with some doors open."""
    (folder / "derived").mkdir(parents=True, exist_ok=True)
    keys = replace(keys_of(core.node_id), tls=new_identity(None, core.node_id, int(time.time()), 2))
    made = parts_of(core, Wire(core.node_id, "market-1").ends[core.node_id], folder, keys)
    return replace(made, config=replace(made.config, doors=Doors(**doors)))


def names(built: list[Companion]) -> list[str]:
    """Kinds, in order."""
    return [type(one).__name__ for one in built]


def test_closed_doors_are_not_built(tmp_path: Path) -> None:
    """An empty address closes a door; attestor and observer are always there, and come first."""
    core = Core()
    assert names(list(companions.build(parts(tmp_path, core)))) == ["Attestor", "Observer"]
    open_ = parts(tmp_path, core, read="127.0.0.1:1", read_http="127.0.0.1:2", ops="127.0.0.1:3")
    assert names(list(companions.build(open_)))[:2] == ["Attestor", "Observer"]
    assert len(companions.build(open_)) == 5
    assert core.signed_size_of is not None
    assert core.signed_size_of("market-1") == 0


async def test_a_taken_port_stops_the_start_with_its_address(tmp_path: Path) -> None:
    """In words, with a code; for both kinds of listeners."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        for door in ("read", "read_http"):
            built = companions.build(parts(tmp_path, Core(), **{door: address}))
            with pytest.raises(StartError, match="E_START_PORT") as caught:
                await built[-1].start()
            assert address in caught.value.message
            await built[-1].stop()
    finally:
        server.close()


async def test_damage_that_shows_while_reading(tmp_path: Path) -> None:
    """A damaged body halts the node; a damaged header has the next start rebuild what is derived. Both are
    500.
    """
    for key, halts in ((chain_body(2), True), (derived_header(2), False)):
        core = Core()
        core.apply(*store_world.bodies(3))
        folder = tmp_path / ("chain-case" if halts else "derived-case")
        built = companions.build(parts(folder, core, read_http="127.0.0.1:0"))
        core.pair.derived = DerivedStore.attach(core.pair.derived_kv, core.pair.chain)
        kv = core.pair.chain_kv if halts else core.pair.derived_kv
        value = kv.get(key)
        assert value is not None
        kv.write([(key, value[:20] + bytes([value[20] ^ 1]) + value[21:])], sync=False)
        for one in built:
            await one.start()
        port = built[-1]._door.port  # type: ignore[attr-defined]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/v1/blocks/2") as answer,
        ):
            assert answer.status == 500
            assert "E_READ_DAMAGED" in await answer.text()
        assert bool(core.halts) is halts
        assert (folder / "derived" / CONDEMNED).exists() is not halts
        for one in reversed(built):
            await one.stop()
