"""A site of nothing but maps, under the strict policy of the pages, and pins to put on them."""

import functools
import html
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gateway.layers import words
from maps import MapParts

GATEWAY = Path(__file__).parents[3] / "gateway"
POLICY = "default-src 'self'; img-src 'self' data:"
EVIL = '<img src=x onerror=alert(1)> ${alert(1)} `" </script>'
LABELS = {"0801-05": "1er arrondissement", "0801-10": EVIL, "0801": "Cotonou", "0405": "Parakou"}


def pin(ref: str, lon: float, lat: float, **properties: Any) -> dict[str, Any]:
    about = {
        "id": ref,
        "ref": ref,
        "kind": "report",
        "category": "lighting",
        "status": "received",
        "created_at": "2026-11-20T10:00:00Z",
    }
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": about | properties,
    }


class Site:
    """A server of one page a map, the static files, and layers that a test may change."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, str]] = {}
        self.layers: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.queries: list[str] = []
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                site.asked.append(path)
                site.queries.append(query)
                if path in site.pages:
                    kind, body = site.pages[path]
                elif path in site.layers:
                    features = {"type": "FeatureCollection", "features": site.layers[path]}
                    kind, body = "application/geo+json", json.dumps(features)
                else:
                    super().do_GET()
                    return
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Security-Policy", POLICY)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        handler = functools.partial(Handler, directory=str(GATEWAY))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.pages["/favicon.ico"] = ("image/x-icon", "")

    def put(
        self, path: str, parts: MapParts, around: str = "", after: str = "", before: str = ""
    ) -> None:
        """Serve a map in a page; what comes ``before`` and ``after`` it may be one element."""
        self.pages[f"{path}.js"] = ("text/javascript", parts.script)
        links = "".join(f'<link rel="stylesheet" href="{url}">' for url in parts.stylesheets)
        scripts = "".join(
            f'<script defer src="{url}"></script>' for url in (*parts.scripts, f"{path}.js")
        )
        labels = html.escape(json.dumps(LABELS))
        told = f'data-labels="{labels}" data-words="{html.escape(words("fr"))}" {around}'
        self.pages[path] = (
            "text/html",
            (
                f'<!doctype html><html lang="fr"><head><title>Carte</title>{links}{scripts}</head>'
                f"<body>{before}<div {told}>{parts.html}</div>"
                f"{after}</body></html>"
            ),
        )
