"""The documents of the read door keep their keys."""

import store_world
from core_world import Core
from fake_node import OBSERVER, VOTER, voter

from node.read_json import block_document, status_document
from node.reader import Reader


def test_the_status_keeps_its_keys() -> None:
    """Scripts rely on them, whatever the values."""
    keys = {
        "chain_id",
        "node_id",
        "institution",
        "role",
        "reason",
        "leader",
        "term",
        "last_height",
        "commit_height",
        "applied_height",
        "tree_size",
        "root",
        "final_size",
        "final_height",
        "cosigners",
        "convicted",
        "following",
        "version",
    }
    for standing in (VOTER, OBSERVER, voter(final_height=None, final_size=None, final_time_s=None)):
        assert set(status_document(standing)) == keys
    assert status_document(OBSERVER)["following"] == "broker-1"
    assert status_document(voter(final_size=None))["final_size"] == 0


def test_a_block_document_is_complete() -> None:
    """Header, checkpoint, envelopes."""
    core = Core()
    core.apply(*store_world.bodies(2, records=4))
    document = block_document(Reader(core, lambda *_: None).block(2), core.root, final=True)
    assert document["kind"] == "records"
    assert document["checkpoint"] == {"size": core.size, "root": core.root.hex()}
    assert document["envelopes"] == [{"institution": "BROKER", "key_id": "gateway-1", "records": 4}]
