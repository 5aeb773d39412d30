"""Unpacking of answers, piece by piece.

So whoever counts the bytes can stop in between.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

import httpx

_PIECE_BYTES = 64 * 1024
_GZIP_FORMAT = zlib.MAX_WBITS | 16


def is_packed(encodings: Sequence[str], *, accepts_gzip: bool) -> bool:
    """Return whether an answer with these encodings is gzip, or plain.

    Raises httpx's `DecodingError` for any other, and for gzip that was not asked for.
    """
    if list(encodings) in ([], ["identity"]):
        return False
    # One layer only: each multiplies by a thousand what the next has to unpack.
    if list(encodings) not in (["gzip"], ["x-gzip"]) or not accepts_gzip:
        raise httpx.DecodingError("an encoding that was not asked for")
    return True


def gunzip(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack piece by piece.

    So whoever counts the bytes can stop before the next ones exist.
    """
    unpacker = zlib.decompressobj(_GZIP_FORMAT)
    begun = False
    try:
        for chunk in packed:
            rest, begun = chunk, True
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, _PIECE_BYTES)
                rest = unpacker.unconsumed_tail
        while piece := unpacker.decompress(b"", _PIECE_BYTES):
            yield piece
    except zlib.error:
        raise httpx.DecodingError("broken compression") from None
    if begun and not unpacker.eof:
        raise httpx.DecodingError("the compressed answer has no end")
