"""Small changes at every place of a good input, for parsers that must refuse every other spelling."""

from collections.abc import Iterator

REPLACEMENTS = b"\x00\n\r\t +-019=/AZaz\x7f\x80\xff"


def mutations(data: bytes) -> Iterator[bytes]:
    """Every input one byte away that a careless hand or an attacker would try.

    At every position: each of eight bit flips, some telling bytes, the byte left out, the byte doubled, a
    space, zero and newline put before it, and the input cut there.
    """
    seen = {data}
    for position in range(len(data) + 1):
        head, tail = data[:position], data[position + 1 :]
        here = data[position : position + 1]
        tries = [head, head + tail, head + here + here + tail, head + b" " + here + tail]
        tries += [head + b"\n" + here + tail, head + b"0" + here + tail]
        if here:
            tries += [head + bytes([here[0] ^ (1 << bit)]) + tail for bit in range(8)]
            tries += [head + bytes([byte]) + tail for byte in REPLACEMENTS]
        for one in tries:
            if one not in seen:
                seen.add(one)
                yield one


def substitutions(data: bytes) -> Iterator[bytes]:
    """Every input of the same length that differs in exactly one byte, by a bit flip or a telling byte."""
    return (one for one in mutations(data) if len(one) == len(data))
