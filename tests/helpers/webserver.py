"""A server on this machine that misbehaves as told, for tests of downloads."""

from __future__ import annotations

import contextlib
import http.server
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Server:
    """What it does with each request in turn, and the ranges it was asked for."""

    content: bytes
    url: str = ""
    behaviours: list[str] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)


@contextlib.contextmanager
def serving(file_name: str = "file.tar.gz") -> Iterator[Server]:
    state = Server(np.random.default_rng(0).bytes(700_001))

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            behaviour = state.behaviours.pop(0) if state.behaviours else "serve"
            content, start = state.content, 0
            if behaviour == "missing":
                self.send_error(404)
                return
            if behaviour == "sign-in page":
                content, asked = b"<html>please sign in</html>", None
            if behaviour == "damage":
                content = content[:100] + b"\0" * 50 + content[150:]
            if behaviour == "no ranges":
                asked = None
            if asked:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                self.send_response(206)
                shown = start + 1 if behaviour == "wrong range" else start
                self.send_header(
                    "Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}"
                )
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            stop = start + 300_000 if behaviour == "hang up" else len(content)
            self.wfile.write(content[start:stop])

    class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    listener = Threaded(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{listener.server_port}/{file_name}"
    yield state
    listener.shutdown()
    listener.server_close()
    thread.join()
