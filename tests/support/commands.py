"""Commands called in this process, in a home of their own."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from hashtagd.cli.main import main
from hashtagd.standin import Standin
from hashtagd.standin.pictures import png
from support.safetensors import lora


@dataclass
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Home:
    """One user's home with a root, settings and a state folder; `cli` calls a command in it."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    site: Standin
    seeds: list[int] = field(default_factory=list)

    @property
    def loras(self) -> Path:
        return self.folder / "loras"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def cli(self, *words: object) -> Done:
        """Call `hashtagd --config ... WORDS`."""
        return self.bare("--config", self.config, *words)

    def bare(self, *words: object) -> Done:
        """Call `hashtagd WORDS`."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = self.capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, printed.out, printed.err)

    def settle(self, **sections: Any) -> None:
        """Write the settings anew."""
        made = {
            "comfyui": {"path": None, "url": None},
            "roots": [{"name": "loras", "path": str(self.loras), "quiet_s": 0}],
            "providers": [
                {"kind": "civitai", "base_url": self.site.url, "requests_per_minute": 6000},
                {"kind": "header"},
            ],
            "network": {"allowed_origins": [self.site.url]},
            "digests": {"workers": 1},
            # machines that run tests are full at times
            "downloads": {"min_free_bytes": 0},
            **sections,
        }
        self.config.write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")

    def put(self, name: str, *, known: bool = True, **facts: Any) -> str:
        """Put a model down that has been resting for an hour; returns its SHA-256."""
        self.seeds.append(len(self.seeds))
        content = lora(self.seeds[-1])
        path = self.loras / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        past_s = path.stat().st_mtime - 3600
        os.utime(path, (past_s, past_s))
        sha256 = hashlib.sha256(content).hexdigest()
        if known:
            seed = self.seeds[-1]
            made = {"name": path.stem, "previews": (png(8, 8, seed),), "content": content, **facts}
            self.site.add(sha256=sha256, size_bytes=len(content), **made)
        return sha256
