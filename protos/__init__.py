"""The wire between processes: .proto files, their rules (README.md) and the code generated from them.

Nothing that is hashed or signed is spelled by protobuf: such bytes travel as opaque `bytes` fields. Only the
`wire` modules of the rooms turn these messages into values; generated code is never edited
(`python -m scripts.gen_protos`).
"""
