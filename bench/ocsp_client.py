"""Asks an OCSP responder on kept connections, and prints the answers a second."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import cycle, islice
from typing import Any


def request_of(question: bytes) -> bytes:
    head = (
        "POST /ocsp HTTP/1.1\r\nHost: pki.example\r\nContent-Type: application/ocsp-request\r\n"
        f"Content-Length: {len(question)}\r\n\r\n"
    )
    return head.encode() + question


async def asked(port: int, requests: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode("latin-1"))
        length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
    writer.close()


async def main(connections: int) -> float:
    told: dict[str, Any] = json.load(sys.stdin)
    requests = [request_of(bytes.fromhex(one)) for one in told["questions"]]
    share: int = max(1, told["answers"] // connections)
    each = [list(islice(cycle(requests), n, n + share)) for n in range(connections)]
    await asked(told["port"], requests)  # each is signed once, as it was for the first who asked
    began = time.perf_counter()
    await asyncio.gather(*(asked(told["port"], mine) for mine in each))
    return share * connections / (time.perf_counter() - began)


if __name__ == "__main__":
    print(asyncio.run(main(int(sys.argv[1]))))
