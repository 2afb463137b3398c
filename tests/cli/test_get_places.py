"""Where `hashtagd get` puts a model: not over anything, not twice, not in the place of another that waits."""

import hashlib
import signal

import pytest

from support import fuse
from support.commands import Home
from support.getting import CONTENT, fetched, offer
from support.safetensors import lora


def two_of_one_name(home: Home) -> tuple[str, str]:
    """Let the site have two models whose files are called alike; returns their SHA-256."""
    return offer(home), offer(home, lora(8), version_id=23, model_id=12, file_id=34)


def hashes(home: Home) -> dict[str, str]:
    """Give the models that are there, by name."""
    return {it.name: hashlib.sha256(it.read_bytes()).hexdigest() for it in home.loras.glob("*.safetensors")}


def test_a_model_that_was_deleted_since_it_was_seen_is_fetched_again(home: Home) -> None:
    """No daemon need have seen that it went: the disk is looked at, not the catalog's word taken."""
    offer(home)
    assert home.cli("get", "22").code == 0
    (home.loras / "ink.safetensors").unlink()
    done = home.cli("get", "22")
    assert (done.code, done.out) == (0, "loras/ink.safetensors\n")
    assert (home.loras / "ink.safetensors").read_bytes() == CONTENT


def test_a_model_that_lies_there_and_nobody_has_seen_yet_is_not_fetched_beside_itself(home: Home) -> None:
    offer(home)
    (home.loras / "ink.safetensors").write_bytes(CONTENT)
    done = home.cli("get", "22")
    assert (done.code, done.out) == (0, "loras/ink.safetensors\n")
    assert (fetched(home), list(hashes(home))) == ([], ["ink.safetensors"])
    assert (home.loras / "ink.metadata.json").exists(), "it is named all the same"


def test_one_model_under_several_names_is_one_download(home: Home) -> None:
    offer(home)
    done = home.cli("get", "22", "22", "https://civitai.com/models/11")
    assert (done.code, done.out) == (0, "loras/ink.safetensors\n")
    assert len(fetched(home)) == 2, "the site was asked once, and the storage"


def test_a_file_that_is_waited_for_does_not_lose_its_place_to_another_of_the_same_name(home: Home) -> None:
    one, two = two_of_one_name(home)
    home.site.fail_next(None, status=503, route="storage")
    assert home.cli("get", "22").code == 75
    assert home.cli("get", "23").code == 75
    assert home.cli("get", "22").code == 75, "it is waited for once"
    assert len(home.cli("status", "--json").json["downloads"]) == 2
    home.site.clear_faults()
    home.cli("retry")
    assert home.cli("run", "--once").code == 0
    assert hashes(home) == {"ink.safetensors": one, "ink-23.safetensors": two}


def test_two_models_of_one_file_name_in_one_call_get_names_of_their_own(home: Home) -> None:
    one, two = two_of_one_name(home)
    assert home.cli("get", "22", "23").code == 0
    assert hashes(home) == {"ink.safetensors": one, "ink-23.safetensors": two}


def test_where_no_name_is_free_nothing_is_fetched(home: Home) -> None:
    offer(home)
    for name in ("ink", "ink-22", "ink-22-33"):
        (home.loras / f"{name}.safetensors").write_bytes(b"mine")
    done = home.cli("get", "22")
    assert done.code == 1
    assert "--to" in done.err
    assert fetched(home) == []


def test_where_a_file_is_waited_for_it_is_waited_for_still(home: Home) -> None:
    """Its place was chosen when the plain name was taken; that the name is free by now changes nothing."""
    one = offer(home)
    (home.loras / "ink.safetensors").write_bytes(b"mine")
    home.site.fail_next(None, status=503, route="storage")
    assert home.cli("get", "22").code == 75
    (home.loras / "ink.safetensors").unlink()
    home.site.clear_faults()
    home.cli("retry")
    assert home.cli("get", "22").code == 0
    assert hashes(home) == {"ink-22.safetensors": one}


def test_a_download_address_fetches_the_file_that_it_names(home: Home) -> None:
    offer(home)
    other = offer(home, lora(8), file_id=34, file_name="ink-fp32.safetensors")
    address = "https://civitai.com/api/download/models/22?type=Model&format=SafeTensor"
    assert home.cli("get", f"{address}&fileId=34").out == "loras/ink-fp32.safetensors\n"
    assert hashes(home) == {"ink-fp32.safetensors": other}
    refused = home.cli("get", f"{address}&fileId=35")
    assert refused.code == 1
    assert "34 ink-fp32.safetensors" in refused.err
    assert home.cli("get", f"{address}&fileId=34", "--file", "33").out == "loras/ink.safetensors\n"


def test_of_a_file_that_no_scan_looks_at_that_is_said(home: Home) -> None:
    content = b"\x80\x02}q\x00." * 100
    offer(home, content, file_name="bad_hands.pt", kind="TextualInversion")
    done = home.cli("get", "22", "--to", "loras")
    assert (done.code, done.out) == (0, "loras/bad_hands.pt\n")
    assert "add `.pt` to `extensions`" in done.err
    assert (home.loras / "bad_hands.metadata.json").exists(), "it is named all the same"
    settled = {"name": "loras", "path": str(home.loras), "extensions": [".safetensors", ".pt"], "quiet_s": 0}
    home.settle(roots=[settled])
    (home.loras / "bad_hands.pt").unlink()
    assert "extensions" not in home.cli("get", "22", "--to", "loras").err


@pytest.mark.slow
def test_a_root_that_does_not_answer_holds_up_no_get_and_gets_nothing(home: Home) -> None:
    if fuse.WHY_NOT is not None:
        pytest.skip(fuse.WHY_NOT)
    two_of_one_name(home)
    behind, nas = home.folder / "behind", home.folder / "nas"
    for folder in (behind / "loras", nas):
        folder.mkdir(parents=True)
    text = home.config.read_text(encoding="utf-8")
    text = text.replace("roots:\n", f"roots:\n- name: cloud\n  path: {nas}\n", 1)
    home.config.write_text(text, encoding="utf-8")
    with fuse.mounted(behind, nas) as server:
        server.send_signal(signal.SIGSTOP)
        done = home.cli("get", "22")
        refused = home.cli("get", "23", "--to", "cloud")
    assert (done.code, done.out) == (0, "loras/ink.safetensors\n")
    assert refused.code == 75
    assert "root cloud does not answer" in refused.err
