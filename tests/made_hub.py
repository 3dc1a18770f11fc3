"""A hub on this machine that holds one model, as far as huggingface_hub asks it."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def made_hub(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the files of a folder as nobody/tiny: its address, and the paths that are asked for."""
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*")}
    listed = [
        {
            "type": "file",
            "path": name,
            "size": len(content),
            "oid": digest(content),
        }
        for name, content in files.items()
    ]
    model = json.dumps({"id": "nobody/tiny", "sha": COMMIT, "siblings": []}).encode()
    replies = {f"/nobody/tiny/resolve/{COMMIT}/{name}": files[name] for name in files}
    replies |= {f"/api/models/nobody/tiny/revision/{name}": model for name in ("main", "v1")}
    replies[f"/api/models/nobody/tiny/tree/{COMMIT}"] = json.dumps(listed).encode()
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            content = replies.get(path)
            self.send_response(404 if content is None else 200)
            if content is None:
                known = path.startswith("/api/models/nobody/tiny/")
                self.send_header("X-Error-Code", "RevisionNotFound" if known else "RepoNotFound")
            content = content or b"{}"
            for name, value in (
                ("Content-Length", str(len(content))),
                ("ETag", f'"{digest(content)}"'),
                ("X-Repo-Commit", COMMIT),
            ):
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
