"""A peer that answers with bytes of our choice, at a pace of our choice, over a raw socket."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

DEEP = b'{"id":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001


def answer(body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A whole 200 answer; ``length`` is what it claims."""
    lines = [f"Content-Length: {len(body) if length is None else length}", *headers]
    return b"HTTP/1.1 200 OK\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def gzip_bomb(size: int = 64 << 20) -> bytes:
    """Zeros, packed a thousandfold."""
    return answer(gzip.compress(b"0" * size, 6), "Content-Encoding: gzip")


@dataclass
class Peer:
    """Where it listens, and what it read before it answered."""

    url: str
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def hostile_peer(pieces: Iterable[bytes], *, pause: float = 0.0) -> Iterator[Peer]:
    """Answer every connection with the pieces, each after a pause."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    peer = Peer(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            peer.requests.append(connection.recv(65536))
            for piece in pieces:
                if stopped.wait(pause):
                    return
                connection.sendall(piece)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while not stopped.is_set():
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        stopped.set()
        with contextlib.suppress(OSError):
            socket.create_connection(listener.getsockname(), 1).close()
        listener.close()
        thread.join(5)
