"""A server on loopback that behaves as ComfyUI with LoRA Manager in it does, as far as we speak to them."""

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Beside:
    """ComfyUI with `models/loras` and so on under a folder; `lora_manager` and `assets` are what is in it."""

    models: Path
    lora_manager: bool = True
    assets: bool = True
    #: False: a LoRA Manager that does not tell its roots
    tells_roots: bool = True
    #: False: the records of assets have no path yet, as before ComfyUI has read the headers
    enriched: bool = True
    port: int = 0
    requests: list[Asked] = field(default_factory=list)
    #: LoRA Manager's cache: collection -> path -> what it shows as the name
    cache: dict[str, dict[str, str]] = field(default_factory=dict)
    #: ComfyUI's records by id
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: statuses that routes (without their query) answer with instead
    broken: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __enter__(self) -> Self:
        beside = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = urlsplit(self.path)
                asked = Asked(
                    method=self.command,
                    path=parts.path,
                    query=dict(parse_qsl(parts.query)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                )
                status, document = beside.answer(asked, json.loads(body) if body else None)
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = answer  # noqa: N815 - the names are the library's

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self) -> list[str]:
        """List methods and paths in order."""
        return [f"{it.method} {it.path}" for it in self.requests]

    def told(self) -> list[str]:
        """List the files that LoRA Manager was told of."""
        return [it.query["file_path"] for it in self.requests if it.path.endswith("/metadata")]

    def answer(self, asked: Asked, document: Any) -> tuple[int, Any]:
        self.requests.append(asked)
        if "origin" in asked.headers:
            return 403, {}
        if asked.path in self.broken:
            return self.broken[asked.path], {}
        match asked.path.removeprefix("/").split("/"):
            case ["features"]:
                return 200, {"assets": True} if self.assets else {"supports_preview_metadata": True}
            case ["api", "lm", *route] if self.lora_manager:
                return self._lora_manager(route, asked.query)
            case ["api", "assets", *route]:
                return self._assets(asked, route, document) if self.assets else (503, {"error": {}})
        return 404, {}

    def _lora_manager(self, route: list[str], query: dict[str, str]) -> tuple[int, Any]:
        match route:
            case ["health-check"]:
                return 200, {"status": "ok"}
            case ["loras" | "checkpoints" | "embeddings" as name, "roots"] if self.tells_roots:
                return 200, {"success": True, "roots": [str(self.models / name)]}
            case ["loras" | "checkpoints" | "embeddings" as name, "metadata"]:
                path = Path(query["file_path"])
                sidecar = path.with_name(path.stem + ".metadata.json")
                if not sidecar.exists():
                    return 404, {"success": False}
                shown = json.loads(sidecar.read_text(encoding="utf-8"))["model_name"]
                # it takes in whatever it is asked about, wherever that lies
                self.cache.setdefault(name, {})[str(path)] = shown
                return 200, {"success": True, "metadata": {}}
        return 404, {}

    def _assets(self, asked: Asked, route: list[str], document: Any) -> tuple[int, Any]:
        match asked.method, route:
            case "GET", []:
                return 200, self._page(asked.query)
            case "POST", ["seed"]:
                self.seed()
                return 200, {"status": "started"}
            case "PUT", [number] if number in self.records:
                record = self.records[number]
                name = record["user_metadata"].get("filename")
                # the whole of it is replaced, and only the file's name put back
                record["user_metadata"] = {**document["user_metadata"], "filename": name}
                return 200, record
        return 404, {}

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        wanted = set(query["tags_all"].split(","))
        found = [
            record
            for record in self.records.values()
            if wanted <= set(record["tags"]) and query["name_contains"] in record["name"]
        ]
        first, limit = int(query.get("after", 0)), min(int(query["limit"]), 500)
        after = first + limit
        return {
            "assets": found[first:after],
            "next_cursor": str(after) if after < len(found) else None,
            "total": len(found),
        }

    def seed(self) -> None:
        """Look at the disk: a file that moved is a new record without any keys, and the old one is gone."""
        there = {path for path in self.models.rglob("*.safetensors") if not path.name.startswith(".")}
        known = {record["_path"] for record in self.records.values()}
        self.records = {it: record for it, record in self.records.items() if Path(record["_path"]) in there}
        for path in sorted(there):
            if str(path) not in known:
                self.add(path)

    def add(self, path: Path, **user_metadata: Any) -> dict[str, Any]:
        """Make the record of a file."""
        loader_path = path.relative_to(self.models).parts
        record = {
            "id": f"id-{next(self._numbers)}",
            "name": path.name,
            "loader_path": "/".join(loader_path[1:]),
            "size": path.stat().st_size if path.exists() else None,
            "tags": ["models", f"model_type:{loader_path[0]}"],
            "user_metadata": {"filename": path.name, **user_metadata},
            "metadata": {"file_path": str(path)} if self.enriched else {},
            "_path": str(path),
        }
        self.records[record["id"]] = record
        return record

    def shown(self, path: Path) -> dict[str, Any]:
        """Give what the asset browser shows of the file at a path."""
        [record] = [it for it in self.records.values() if it["_path"] == str(path)]
        return {name: value for name, value in record["user_metadata"].items() if name != "filename"}
