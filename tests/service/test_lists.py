"""A list is read whatever form it has, and what is no list says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hashtagd.core.manifest import LONGEST_LINE, Entry
from hashtagd.core.troubles import GiveUp
from hashtagd.service.lists import ListKind, ReadList, read_list
from support.stage_fakes import as_nobody

SHA = "ab" * 32
OTHER = "cd" * 32


def read(folder: Path, content: str | bytes, name: str = "list") -> ReadList:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
    return read_list(path)


@pytest.mark.parametrize(
    "content,kind",
    [
        (json.dumps({"sha256": SHA}), ListKind.MANIFEST),
        ("\ufeff\r\n\n" + json.dumps({"sha256": SHA}) + "\r\n", ListKind.MANIFEST),
        ("half a line\n" + json.dumps({"sha256": SHA}), ListKind.MANIFEST),
        (f"sha256\n{SHA}\n", ListKind.TABLE),
        (f"\ufeffnote;sha256\r\nx;{SHA}\r\n", ListKind.TABLE),
        (f"# my models\n\n{SHA}\n", ListKind.NAMES),
        (f"{SHA}\na typing error\n", ListKind.NAMES),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_what_a_file_is_is_found_out_by_looking_at_it(
    tmp_path: Path, content: str, kind: ListKind, encoding: str
) -> None:
    if encoding != "utf-8":  # as PowerShell redirects
        content = "\ufeff" + content.removeprefix("\ufeff")
    found = read(tmp_path, content.encode(encoding))
    assert (found.kind, found.entries) == (kind, (Entry(sha256=SHA),))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n# nothing but words\n",
        b"Dear diary,\n\ntoday I saw https://civitai.com/models/1?modelVersionId=2\nand was glad.\n",
        b'{\n  "name": "x",\n  "version": 1\n}\n',
        b"[1, 2]",
        b"{" * 100_000,
        b"\x08\0\0\0\0\0\0\0{}" + bytes(4096),
        b"\xff\xfe\xff",
        b"path of life, sha256 of death\n",
    ],
)
def test_what_is_no_list_says_so_and_what_would_be(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(GiveUp) as told:
        read(tmp_path, content)
    assert told.value.kind == "no_list"
    assert "hashtagd export" in told.value.you


def test_a_file_without_any_line_end_is_not_read_whole(tmp_path: Path) -> None:
    """P10."""
    line = json.dumps({"sha256": SHA})
    found = read(tmp_path, f"{line}\n{'x' * (5 * LONGEST_LINE)}\n{line}")
    assert found.entries == (Entry(sha256=SHA), Entry(sha256=SHA))
    assert [str(it) for it in found.mistakes] == [f"line 2: is longer than {LONGEST_LINE} characters"]


def test_lines_that_are_not_utf_8_are_named_and_the_others_count(tmp_path: Path) -> None:
    found = read(tmp_path, f'sha256,path\n{SHA},"a.sft"\n{OTHER},b\udcff.sft\n')
    assert [entry.path for entry in found.entries] == ["a.sft"]
    assert [str(it) for it in found.mistakes] == ["line 3: is not UTF-8"]


@pytest.mark.parametrize("name", ["nowhere", "folder/x"])
def test_what_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(GiveUp, match="cannot be read"):
        read_list(tmp_path / name)


def test_what_may_not_be_read_is_told(public_folder: Path) -> None:
    path = public_folder / "list"
    path.write_text(SHA)
    path.chmod(0)
    with as_nobody(), pytest.raises(GiveUp, match="EACCES"):
        read_list(path)


@pytest.mark.parametrize(
    "shell,said",
    [
        ('echo "$1" | exec "$2" -c "$3"', "names 1"),
        ('exec "$2" -c "$3" <&-', "list_not_readable"),
        ('exec "$2" -c "$3" </dev/null', "no_list"),
    ],
)
def test_standard_input_is_read_too(shell: str, said: str) -> None:
    program = (
        "from pathlib import Path\n"
        "from hashtagd.core.troubles import GiveUp\n"
        "from hashtagd.service.lists import read_list\n"
        "try:\n    found = read_list(Path('-'))\n    print(found.kind, len(found.entries))\n"
        "except GiveUp as told:\n    print(told.kind)\n"
    )
    done = subprocess.run(
        ["sh", "-c", shell, "sh", SHA, sys.executable, program], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (said, "")


# ---- sidecars of other programs


def sidecar(folder: Path, relpath: str, **facts: object) -> Path:
    path = folder / relpath
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts), "utf-8")
    return path


def test_a_library_of_lora_manager_and_stability_matrix_is_a_list(tmp_path: Path) -> None:
    sidecar(tmp_path, "styles/原神/ink.metadata.json", sha256=SHA, model_name="Ink")
    sidecar(tmp_path, "b/wash.cm-info.json", Hashes={"SHA256": OTHER}, ModelId=1, VersionId=2)
    sidecar(tmp_path, "wash.civitai.info", id=5)
    sidecar(tmp_path, ".trash/old.metadata.json", sha256=SHA)
    (tmp_path / "b" / "wash.gguf").write_bytes(b"")
    found = read_list(tmp_path)
    assert found.kind is ListKind.SIDECARS
    assert found.mistakes == ()
    assert [(entry.path, entry.sha256, entry.version_id) for entry in found.entries] == [
        ("b/wash.gguf", OTHER, 2),
        ("styles/原神/ink.safetensors", SHA, None),
    ]


def test_one_sidecar_is_a_list_of_one(tmp_path: Path) -> None:
    path = sidecar(tmp_path, "styles/ink.metadata.json", sha256=SHA)
    assert [entry.path for entry in read_list(path).entries] == ["ink.safetensors"]


def test_broken_sidecars_are_named_with_their_paths_and_the_others_count(tmp_path: Path) -> None:
    sidecar(tmp_path, "good.metadata.json", sha256=SHA)
    sidecar(tmp_path, "hash.metadata.json", sha256="nonsense")
    (tmp_path / "page.metadata.json").write_text("<html>")
    (tmp_path / "list.metadata.json").write_text("[]")
    (tmp_path / "deep.metadata.json").write_text("[" * 100_000)
    (tmp_path / "mark.metadata.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"sha256": OTHER}).encode())
    with (tmp_path / "large.metadata.json").open("wb") as file:
        file.truncate(100 << 20)
    os.mkfifo(tmp_path / "fifo.metadata.json")
    (tmp_path / "lost.metadata.json").symlink_to("nowhere")
    (tmp_path / "CON.metadata.json").write_text(json.dumps({"sha256": SHA}))
    found = read_list(tmp_path)
    assert [entry.path for entry in found.entries] == ["good.safetensors", "mark.safetensors"]
    assert [str(it) for it in found.mistakes] == [
        "CON.metadata.json: `path` has a part that is the name of a device on Windows",
        "deep.metadata.json: is not JSON",
        "fifo.metadata.json: cannot be read (ENOENT)",
        "hash.metadata.json: `sha256` is not the 64 hexadecimal digits of a SHA-256",
        "large.metadata.json: is too large for a sidecar",
        "list.metadata.json: is not a JSON object",
        "lost.metadata.json: cannot be read (ENOENT)",
        "page.metadata.json: is not JSON",
    ]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    sidecar(tmp_path, "library/a/ink.metadata.json", sha256=SHA)
    sidecar(tmp_path, "elsewhere/wash.metadata.json", sha256=OTHER)
    (tmp_path / "library" / "a" / "up").symlink_to("..")
    (tmp_path / "library" / "far").symlink_to(tmp_path / "elsewhere")
    paths = [entry.path for entry in read_list(tmp_path / "library").entries]
    assert paths == ["a/ink.safetensors", "far/wash.safetensors"]


def test_a_folder_that_may_not_be_entered_is_named(public_folder: Path) -> None:
    sidecar(public_folder, "ink.metadata.json", sha256=SHA)
    (public_folder / "secret").mkdir(mode=0)
    with as_nobody():
        found = read_list(public_folder)
        assert [str(it) for it in found.mistakes] == ["secret: cannot be read (EACCES)"]
        assert len(found.entries) == 1
        with pytest.raises(GiveUp, match="EACCES"):
            read_list(public_folder / "secret")


def test_a_folder_without_sidecars_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "ink.safetensors").write_bytes(b"")
    with pytest.raises(GiveUp) as told:
        read_list(tmp_path)
    assert told.value.kind == "no_list"


def test_a_folder_deeper_than_python_can_call_is_read(tmp_path: Path) -> None:
    relative = "/".join(["d"] * 1_200)
    try:
        subprocess.run(["mkdir", "-p", tmp_path / relative], check=True)
        sidecar(tmp_path, f"{relative}/ink.metadata.json", sha256=SHA)
        assert read_list(tmp_path).entries[0].path == f"{relative}/ink.safetensors"
    finally:  # Python's own way to remove a tree calls itself
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
