"""Small models as they are published, and a server that has them, and misbehaves as it is told."""

import contextlib
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LABELS = {"lvl1": 1, "lvl2": 2}


def write_model(folder, seed=0, labels=None):
    """A tiny model, trained by nobody; returns the trainer's folder."""
    import torch

    from sct_rootlets.bundled.export import write_model_folder
    from sct_rootlets.models.architecture import build_network, plain_unet

    torch.manual_seed(seed)
    labels = LABELS if labels is None else labels
    architecture = plain_unet((2, 4), convolutions=(1, 1))
    network = build_network(architecture, 1, len(labels) + 1)
    return write_model_folder(Path(folder), network, architecture, labels, (1.0, 1.0, 1.0), (16, 16, 16))


def zip_folder(folder, archive, top="model-r2"):
    """Zip a folder with its name, below a folder of the release, as the published ones are."""
    folder = Path(folder)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(folder.rglob("*")):
            inner = Path(top, folder.name, path.relative_to(folder)).as_posix()
            opened.write(path, inner)
    return Path(archive)


class Server:
    """Serves one file. `misbehave` holds what to do at the next requests, in turn; then all goes well.

    Attributes
    ----------
    requests : list of (path, Range or None)
        That came in.
    """

    def __init__(self, content):
        self.content = content
        self.tag = '"version-1"'
        self.misbehave = []
        self.always = None
        self.requests = []
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.requests.append((self.path, self.headers.get("Range")))
                how = server.always or (server.misbehave.pop(0) if server.misbehave else "well")
                with contextlib.suppress(ConnectionError):
                    getattr(server, how)(self)
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}/model-r2.zip"

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler, status, body=b"", length=None, **headers):
        handler.send_response(status)
        handler.send_header("Connection", "close")
        handler.send_header("Content-Length", len(body) if length is None else length)
        if self.tag:
            handler.send_header("ETag", self.tag)
        for key, value in headers.items():
            handler.send_header(key.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    def well(self, handler):
        """The file, or the rest of it if the client asks for the rest of this version."""
        first = self.first_byte(handler)
        if first is None:
            self.answer(handler, 200, self.content)
        elif first >= len(self.content):
            self.answer(handler, 416)
        else:
            size = len(self.content)
            self.answer(handler, 206, self.content[first:], Content_Range=f"bytes {first}-{size - 1}/{size}")

    def first_byte(self, handler):
        asked = handler.headers.get("Range")
        if asked is None or handler.headers.get("If-Range") != self.tag:
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def half(self, handler):
        """What was asked for, but the connection is lost half-way."""
        first = self.first_byte(handler) or 0
        rest = self.content[first:]
        headers = {"Content_Range": f"bytes {first}-{len(self.content) - 1}/{len(self.content)}"} if first else {}
        self.answer(handler, 206 if first else 200, rest[: len(rest) // 2], length=len(rest), **headers)

    def truncated(self, handler):
        """Half of the file as if it were all."""
        self.answer(handler, 200, self.content[: len(self.content) // 2])

    def not_found(self, handler):
        self.answer(handler, 404, b"no such page")

    def broken(self, handler):
        self.answer(handler, 500, b"broken")

    def login_page(self, handler):
        self.answer(handler, 200, b"<html>please log in to this network</html>")

    def stalled(self, handler):
        """Some of the file, and then nothing until the server is closed."""
        self.answer(handler, 200, self.content[:100], length=len(self.content))
        handler.wfile.flush()
        self.released.wait(60)

    def drips(self, handler):
        """One byte at a time, each long before a timeout."""
        handler.send_response(200)
        handler.send_header("Content-Length", len(self.content))
        handler.end_headers()
        for number in range(600):
            handler.wfile.write(self.content[number : number + 1])
            handler.wfile.flush()
            if self.released.wait(0.1):
                return

    def silent(self, handler):
        self.released.wait(60)

    def redirect_loop(self, handler):
        self.answer(handler, 302, Location=f"/again{len(self.requests)}")

    def redirect_to_file(self, handler):
        self.answer(handler, 302, Location="file:///etc/passwd")

    def ignores_range(self, handler):
        self.answer(handler, 200, self.content)

    def wrong_range(self, handler):
        """The last ten bytes, whatever was asked for."""
        size = len(self.content)
        self.answer(handler, 206, self.content[-10:], Content_Range=f"bytes {size - 10}-{size - 1}/{size}")

    def endless(self, handler):
        """A body without a stated end."""
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        until = time.monotonic() + 20
        while not self.released.is_set() and time.monotonic() < until:
            handler.wfile.write(b"0" * 2**16)

    def claims_too_much(self, handler):
        self.answer(handler, 200, b"PK", length=2**40)
