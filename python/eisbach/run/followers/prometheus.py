"""Prometheus: the newest figures as text, on this machine alone."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eisbach.run.folder import RunFolder
from eisbach.run.followers.follow import figures

_HOST = "127.0.0.1"


class PrometheusFollower:
    """Answers `http://127.0.0.1:PORT/metrics`."""

    def __init__(self, folder: RunFolder, *, port: int):
        """Listens.

        Args:
          folder: Of the run.
          port: 0 takes one that is free; see `port`.

        Raises:
          OSError: The port is in use.
        """
        self._run = folder.path.name
        self._figures: dict[str, float] = {}
        self._lock = threading.Lock()
        follower = self

        class Handler(BaseHTTPRequestHandler):
            """Answers with the text."""

            def do_GET(self) -> None:
                if self.path not in ("/", "/metrics"):
                    self.send_error(404, "the figures are at /metrics")
                    return
                body = follower.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((_HOST, port), Handler)
        except OSError as error:
            raise OSError(
                f"{_HOST}:{port}: {error.strerror}; take another port, or 0 "
                "for none (run.metrics_port)"
            ) from None
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        ).start()

    def send(self, group: str, lines: list[dict[str, Any]]) -> None:
        """Keeps the newest line of a group."""
        with self._lock:
            self._figures[f"eisbach_{group}_step"] = lines[-1]["step"]
            for name, value in figures(lines[-1]).items():
                self._figures[f"eisbach_{group}_{name}"] = value

    def text(self) -> str:
        """Spells the figures as Prometheus reads them."""
        name = self._run.replace("\\", r"\\").replace('"', r"\"")
        name = name.replace("\n", r"\n")
        with self._lock:
            known = dict(self._figures)
        return "".join(
            f'# TYPE {metric} gauge\n{metric}{{run="{name}"}} {value!r}\n'
            for metric, value in known.items()
        )

    def close(self) -> None:
        """Stops to listen."""
        self._server.shutdown()
        self._server.server_close()
