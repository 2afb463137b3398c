"""`hashtagd status`: roots, counts, gates, troubles, and what is next."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.counts import RootCount
from hashtagd.cli.bars import print_downloads, row_facts
from hashtagd.cli.cards import CONFIDENCE
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.output import (
    bytes_in_words,
    due_in_words,
    moment_in_words,
    print_json,
    print_json_lines,
    print_table,
    print_trouble,
    safe,
)
from hashtagd.core.work import Stage
from hashtagd.service.clock import StopPause
from hashtagd.service.lock import running_pid
from hashtagd.service.presence import SeenRoot, read_presence, seen_roots, told_troubles
from hashtagd.service.roots import RootPlan

#: how many troubles are printed; all are in the JSON
_SHOWN = 20
_EVERY_S = 1.0
#: of the time that watching takes: of a library of 70,000 files one look takes more than a second
_LOOKING_SHARE = 0.2


@click.command()
@click.option("--watch", is_flag=True, help="Say it again about every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --watch one a line.")
@pass_context
def status(context: Context, *, watch: bool, as_json: bool) -> int:
    """Say how the daemon and the library are."""
    if watch:
        return _watch(context, as_json=as_json)
    facts = _look(context)
    if as_json:
        print_json(facts)
    else:
        _print(facts, context.clock.now())
    return 0


def _watch(context: Context, *, as_json: bool) -> int:
    from hashtagd.cli.working import heeding_signals  # noqa: PLC0415 - logging, which one look has no use for

    pause = StopPause()
    with heeding_signals(pause):
        while not pause.stopping:
            began_s = context.clock.monotonic_s()
            facts = _look(context)
            took_s = context.clock.monotonic_s() - began_s
            if as_json:
                print_json_lines([facts])
            else:
                click.clear()  # does nothing in a pipe
                _print(facts, context.clock.now())
            pause.wait(watch_wait_s(took_s))
    return 0


def watch_wait_s(took_s: float) -> float:
    """Say how long to rest after a look that took so long: a second, or longer where looking is work."""
    return max(_EVERY_S, took_s * (1 / _LOOKING_SHARE - 1))


def _look(context: Context) -> dict[str, Any]:
    presence = read_presence(context.lock_folder)
    pid = running_pid(context.lock_folder)
    with context.catalog() as catalog:
        return _facts(catalog, context, presence, pid)


def _facts(catalog: Catalog, context: Context, presence: dict[str, Any], pid: int | None) -> dict[str, Any]:
    plan = context.known_roots()
    running = presence if pid is not None else {}
    questions = catalog.reports.questions()
    seen = _seen(plan, presence, running=pid is not None)
    troubles = [
        {"scope": item.trouble["scope"], "where": item.where, **_clauses(item.trouble)}
        for item in catalog.reports.troubles(roots=plan.shown)
    ]
    troubles += [
        {**told, **_when(root)}
        for name, root in sorted(seen.items())
        for told in told_troubles(name, root.trouble, root.remarks)
    ]
    census = catalog.reports.census(roots=plan.shown)
    counts = {count.name: count for count in census.roots}
    names = sorted({folder.name for folder in plan.folders} | (counts.keys() if plan.shared else set()))
    return {
        "daemon": {
            "running": pid is not None,
            "pid": pid or None,
            "well": running.get("well"),
            "reasons": running.get("reasons", []),
            "paused": running.get("paused"),
        },
        "roots": [
            _root(name, counts.get(name), plan, seen.get(name), running.get("watch", {})) for name in names
        ],
        "unwatched_roots": [
            {"name": count.name, "files": count.files} for count in counts.values() if count.name not in names
        ],
        "states": dict(census.states),
        "questions": {"due": questions.due, "waiting": questions.waiting, "background": questions.background},
        "matches": dict(census.confidence),
        "availability": dict(census.availability),
        "last_check_at": questions.last_at,
        "next_check_at": questions.next_at,
        "gates": [
            {
                "origin": gate.origin,
                "open": gate.open,
                "opens_at": None if gate.open else gate.opens_at,
                "reason": gate.trouble.what if gate.trouble else None,
            }
            for gate in catalog.reports.gates()
        ],
        "downloads": [row_facts(row) for row in catalog.transfers.rows()],
        "troubles": troubles,
        "next_due_at": _next_due(catalog, names, questions.next_at),
    }


def _next_due(catalog: Catalog, roots: list[str], asked_at: datetime | None) -> datetime | None:
    due = (catalog.next_due(list(Stage), roots), catalog.transfers.next_due(roots), asked_at)
    return min((moment for moment in due if moment is not None), default=None)


def _seen(plan: RootPlan, presence: dict[str, Any], *, running: bool) -> dict[str, SeenRoot]:
    """Give what is, or was, wrong with the roots; what was seen under another path says nothing any more."""
    paths = {folder.name: folder.path for folder in plan.folders}
    return {
        name: seen
        for name, seen in seen_roots(presence, running=running).items()
        if name in paths and (seen.seen_at is None or seen.path == str(paths[name]))
    }


def _root(
    name: str, count: RootCount | None, plan: RootPlan, seen: SeenRoot | None, watch: Mapping[str, str]
) -> dict[str, Any]:
    trouble = seen.trouble if seen else None
    path = plan.path_of(name, ".")
    return {
        "name": name,
        "path": None if path is None else str(path),
        "watch": watch.get(name),
        "files": count.files if count else 0,
        "bytes": count.bytes if count else 0,
        "trouble": {**trouble, **_when(seen)} if seen and trouble else None,
    }


def _when(seen: SeenRoot) -> dict[str, Any]:
    """Give when something was seen; nothing where it is so now."""
    return {} if seen.seen_at is None else {"seen_at": seen.seen_at}


def _clauses(trouble: dict[str, Any]) -> dict[str, Any]:
    return {name: trouble[name] for name in ("what", "does", "you")}


def _print(facts: dict[str, Any], now: datetime) -> None:
    click.echo(_daemon_line(facts["daemon"]))
    for reason in facts["daemon"]["reasons"]:
        click.echo(f"  not well: {safe(reason)}")
    if facts["daemon"]["paused"]:
        click.echo(f"  {safe(facts['daemon']['paused'])}")
    states = ", ".join(f"{count} {state}" for state, count in facts["states"].items() if count)
    click.echo(f"files: {states or 'none yet'}")
    if facts["roots"]:
        print_table(
            ["root", "files", "size", "watched by", "path"],
            [
                [
                    root["name"],
                    root["files"],
                    bytes_in_words(root["bytes"]),
                    root["watch"] or "-",
                    root["path"] or "-",
                ]
                for root in facts["roots"]
            ],
            whole=("path",),
        )
    if facts["unwatched_roots"]:
        click.echo(_unwatched_in_words(facts["unwatched_roots"]))
    _print_known(facts, now)
    print_downloads(facts["downloads"])
    for gate in facts["gates"]:
        if not gate["open"]:
            opens = moment_in_words(gate["opens_at"], now)
            click.echo(f"closed: {safe(gate['origin'])} opens {opens}: {safe(gate['reason'])}")
    for trouble in facts["troubles"][:_SHOWN]:
        seen = moment_in_words(trouble["seen_at"], now) if "seen_at" in trouble else None
        print_trouble(trouble, f" (as of {seen}, when hashtagd ran last)" if seen else "")
    if len(facts["troubles"]) > _SHOWN:
        click.echo(f"and {len(facts['troubles']) - _SHOWN} more: `hashtagd list --trouble`")
    if facts["next_due_at"] is not None:
        click.echo(f"next work: {due_in_words(facts['next_due_at'], now)}")


def _unwatched_in_words(roots: Sequence[Mapping[str, Any]]) -> str:
    """Say how many files are not shown, and where they are."""
    names = ", ".join(
        f"{safe(root['name'])} (`hashtagd list --root {safe(shlex.quote(root['name']))}`)" for root in roots
    )
    return f"{sum(root['files'] for root in roots)} files of roots that are not watched any more: {names}"


def _daemon_line(daemon: dict[str, Any]) -> str:
    if not daemon["running"]:
        return "the daemon is not running"
    return f"the daemon runs (pid {daemon['pid']}) and is {'well' if daemon['well'] else 'not well'}"


def _print_known(facts: dict[str, Any], now: datetime) -> None:
    """Say how sure the matches are, what can still be had, and when the sites are asked."""
    known = [f"{count} {CONFIDENCE[name]}" for name, count in facts["matches"].items() if count]
    if known:
        click.echo(f"known by: {', '.join(known)}")
    if facts["availability"].keys() - {"public"}:
        had = (f"{count} {name.replace('_', ' ')}" for name, count in facts["availability"].items())
        click.echo(f"still to be had: {', '.join(had)}")
    questions = facts["questions"]
    click.echo(
        f"questions: {questions['due']} due, {questions['waiting']} waiting for their time, "
        f"{questions['background']} behind all others"
    )
    if facts["last_check_at"] is not None or facts["next_check_at"] is not None:
        last = moment_in_words(facts["last_check_at"], now)
        following = due_in_words(facts["next_check_at"], now)
        click.echo(f"last answer: {last}; next question: {following}")
