"""Everything that lives beside the core: the attestor, the observer, the read doors; made here, started by
`service`.

Why a list of its own: the core knows nothing of who watches it, and whoever reads `service` should see one
line for all of them. The order of the list is the order of starting, and its reverse that of stopping.

Refuses: being asked by the core for anything.
"""

from collections.abc import Sequence

from node.ports import Companion, Parts


def build(parts: Parts) -> Sequence[Companion]:
    """Return the companions of a node in the order in which they start."""
    del parts
    return ()
