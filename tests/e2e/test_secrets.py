"""No secret is written anywhere: not to logs at their loudest, the catalog, sidecars or output."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from hashtagd.standin import Fault, Standin
from support import talkative
from support.daemon_process import Daemon, Home, make_home, picture_of, publish, run_command, running
from support.safetensors import lora

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
COOKIE = "plantedsessioncookie77"
SIGNATURE = "plantedsignature4242"
EMAIL = "planted.person@example.org"
USER = "planteduser"


def by_environment(_home: Home) -> dict[str, str]:
    return {"CIVITAI_API_KEY": KEY}


def by_file(home: Home) -> dict[str, str]:
    place = home.folder / "key"
    text = home.config.read_text().replace("kind: civitai\n", f"kind: civitai\n  api_key_file: {place}\n")
    home.config.write_text(text)
    assert "api_key_file" in text
    return _write(place, {})


def by_credential(home: Home) -> dict[str, str]:
    return _write(
        home.folder / "credentials" / "civitai-api-key",
        {"CREDENTIALS_DIRECTORY": str(home.folder / "credentials")},
    )


def _write(place: Path, environ: dict[str, str]) -> dict[str, str]:
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"{KEY}\n")
    place.chmod(0o600)
    return environ


def refused_once(site: Standin) -> None:
    site.fail_next(1, status=401, headers={"Set-Cookie": f"session={COOKIE}"}, route="by-hash")


def refused_always(site: Standin) -> None:
    site.fail_next(None, status=401, headers={"Set-Cookie": f"session={COOKIE}"}, route="by-hash")


def too_many(site: Standin) -> None:
    refused_once(site)
    headers = {"Retry-After": "1", "Set-Cookie": f"session={COOKIE}"}
    site.fail_next(3, status=429, headers=headers, route="by-hash")


def failing(site: Standin) -> None:
    refused_once(site)
    body = f'{{"error":"ask {EMAIL}, Bearer {KEY}"}}'.encode()
    site.fail_next(None, status=500, headers={"Set-Cookie": f"session={COOKIE}"}, body=body, route="by-hash")


def a_page(site: Standin) -> None:
    refused_once(site)
    site.fail_next(None, status=200, html=True, headers={"Set-Cookie": f"session={COOKIE}"}, route="by-hash")


def cut_off(site: Standin) -> None:
    refused_once(site)
    site.spoil_next(None, fault=Fault(cut=True), route="by-hash")


def signed_redirect(site: Standin) -> None:
    refused_once(site)
    where = f"{site.url}/storage/x?X-Amz-Signature={SIGNATURE}&email={EMAIL}"
    site.fail_next(None, status=302, headers={"Location": where, "X-Api-Key": COOKIE}, route="image")


def saw_key(site: Standin) -> bool:
    """Tell whether the site was shown the key."""
    return any(KEY in request.headers.get("authorization", "") for request in site.requests)


def files_with(secret: str, paths: Iterable[Path]) -> list[str]:
    """Name the files that hold a secret, among all bytes of files and of all files below folders."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return [str(file) for file in files if file.is_file() and secret.encode() in file.read_bytes()]


def shown(home: Home, *arguments: str) -> bytes:
    """Run a command and take all it says."""
    done = run_command(home, *arguments)
    return (done.stdout + done.stderr).encode()


@pytest.mark.parametrize(
    "bring_key, go_wrong",
    [
        (by_environment, refused_once),
        (by_file, refused_always),
        (by_credential, too_many),
        (by_environment, failing),
        (by_file, a_page),
        (by_credential, cut_off),
        (by_file, signed_redirect),
    ],
)
def test_no_secret_is_written_anywhere_whatever_goes_wrong(
    tmp_path: Path,
    site: Standin,
    bring_key: Callable[[Home], dict[str, str]],
    go_wrong: Callable[[Standin], None],
) -> None:
    home = make_home(tmp_path / "home" / USER, site=site.url, log={"format": "json", "level": "debug"})
    environ = {"HOME": str(home.folder), **bring_key(home)}
    content = lora(1)
    publish(site, content, "Lighthouses")
    model = home.loras / "x.safetensors"
    model.write_bytes(content)
    go_wrong(site)
    with Daemon(home, options=["--verbose"], environ=environ, program=talkative.__file__) as daemon:
        daemon.until(lambda: saw_key(site), why="a request with the key")
        daemon.until(lambda: len(daemon.events("file_digested")) and len(site.requests) >= 2, why="the fault")
        daemon.rest(1.0)
        proc = Path(f"/proc/{daemon.process.pid}")
        assert KEY.encode() not in (proc / "cmdline").read_bytes()
        if bring_key is not by_environment:
            assert KEY.encode() not in (proc / "environ").read_bytes()
        said = shown(home, "status", "--json") + shown(home, "show", str(model), "--json")
        daemon.terminate()
    assert any(not event["logger"].startswith("daemon") for event in daemon.events()), (
        "no library said a word"
    )
    written = [daemon.log, daemon.out, home.state, home.loras]
    for secret in (KEY, COOKIE, SIGNATURE):
        assert files_with(secret, written) == []
        assert secret.encode() not in said
    for personal in (EMAIL, USER):
        assert files_with(personal, [daemon.log, daemon.out]) == []


def test_the_search_finds_a_secret_that_is_there(tmp_path: Path, site: Standin) -> None:
    home = make_home(tmp_path / "home", site=site.url)
    content = lora(1, title=KEY)
    publish(site, content, f"Model {COOKIE}")
    model = home.loras / "x.safetensors"
    with running(home) as daemon:
        model.write_bytes(content)
        daemon.until(lambda: picture_of(model), why="the picture")
        daemon.terminate()
    assert str(home.catalog) in files_with(KEY, [home.state])
    assert str(home.catalog) in files_with(COOKIE, [home.state])
    assert str(model.with_suffix(".metadata.json")) in files_with(COOKIE, [home.loras])
