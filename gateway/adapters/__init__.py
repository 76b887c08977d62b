"""What the gateway's use cases need from the world, made real: the database, the nodes' doors, files and clocks.

Why a room of its own: every SQL statement, every gRPC call and every secret file of the gateway is under this folder, and
nothing here decides anything about records. Each module provides one or more protocols of `gateway.ports`.

Trust: the database is the gateway's own and is trusted as far as digests reach (leaves are stored with their SHA-256 and
checked on every read); nodes are not trusted at all.
"""
