"""`hashtagd status`: roots, counts, gates, troubles, and what is next."""

from datetime import datetime
from typing import Any

import click

from hashtagd.catalog.catalog import Catalog
from hashtagd.cli.cards import CONFIDENCE
from hashtagd.cli.context import Context, pass_context
from hashtagd.cli.output import bytes_in_words, moment_in_words, print_json, print_table, safe
from hashtagd.core.work import Stage
from hashtagd.service.lock import running_pid
from hashtagd.service.presence import read_presence

#: how many troubles are printed; all are in the JSON
_SHOWN = 20


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pass_context
def status(context: Context, *, as_json: bool) -> int:
    """Say how the daemon and the library are."""
    presence = read_presence(context.lock_folder)
    pid = running_pid(context.lock_folder)
    with context.catalog() as catalog:
        facts = _facts(catalog, context, presence if pid is not None else {}, pid)
    if as_json:
        print_json(facts)
    else:
        _print(facts, context.clock.now())
    return 0


def _facts(catalog: Catalog, context: Context, presence: dict[str, Any], pid: int | None) -> dict[str, Any]:
    questions, matches = catalog.reports.questions(), catalog.reports.matches()
    roots = _roots(catalog, context, presence)
    troubles = [
        {"scope": item.trouble["scope"], "where": item.where, **_clauses(item.trouble)}
        for item in catalog.reports.troubles()
    ]
    troubles += [
        {"scope": "root", "where": root["name"], **_clauses(root["trouble"])}
        for root in roots
        if root["trouble"]
    ]
    troubles += [
        {"scope": remark["scope"], "where": name, **_clauses(remark)}
        for name, remarks in presence.get("remarks", {}).items()
        for remark in remarks
    ]
    return {
        "daemon": {
            "running": pid is not None,
            "pid": pid or None,
            "well": presence.get("well") if pid is not None else None,
            "reasons": presence.get("reasons", []),
        },
        "roots": roots,
        "states": catalog.reports.states(),
        "questions": {"due": questions.due, "waiting": questions.waiting, "background": questions.background},
        "matches": dict(matches.confidence),
        "availability": dict(matches.availability),
        "last_check_at": matches.last_check_at,
        "next_check_at": matches.next_check_at,
        "gates": [
            {
                "origin": gate.origin,
                "open": gate.open,
                "opens_at": None if gate.open else gate.opens_at,
                "reason": gate.trouble.what if gate.trouble else None,
            }
            for gate in catalog.reports.gates()
        ],
        "troubles": troubles,
        "next_due_at": _next_due(catalog, context, [root["name"] for root in roots]),
    }


def _next_due(catalog: Catalog, context: Context, roots: list[str]) -> datetime | None:
    asked = [entry.kind for entry in context.loaded.settings.providers]
    closed = [
        gate.opens_at for gate in catalog.reports.gates() if not gate.open and gate.opens_at is not None
    ]
    # a question that is due behind a closed gate is work for the moment it opens
    opens_at = min(closed, default=None)
    questions = [
        moment if opens_at is None else max(moment, opens_at)
        for name in asked
        if (moment := catalog.next_question_due(name)) is not None
    ]
    due = [catalog.next_due(list(Stage), roots), *questions]
    return min((moment for moment in due if moment is not None), default=None)


def _roots(catalog: Catalog, context: Context, presence: dict[str, Any]) -> list[dict[str, Any]]:
    counts = {count.name: count for count in catalog.reports.roots()}
    paths = {
        **{folder.name: str(folder.path) for folder in context.known_roots().folders},
        **presence.get("paths", {}),
    }
    troubles, watch = presence.get("roots", {}), presence.get("watch", {})
    return [
        {
            "name": name,
            "path": paths.get(name),
            "watch": watch.get(name),
            "files": counts[name].files if name in counts else 0,
            "bytes": counts[name].bytes if name in counts else 0,
            "trouble": troubles.get(name),
        }
        for name in sorted({*counts, *paths})
    ]


def _clauses(trouble: dict[str, Any]) -> dict[str, Any]:
    return {name: trouble[name] for name in ("what", "does", "you")}


def _print(facts: dict[str, Any], now: datetime) -> None:
    click.echo(_daemon_line(facts["daemon"]))
    for reason in facts["daemon"]["reasons"]:
        click.echo(f"  not well: {safe(reason)}")
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
        )
    _print_known(facts, now)
    for gate in facts["gates"]:
        if not gate["open"]:
            opens = moment_in_words(gate["opens_at"], now)
            click.echo(f"closed: {safe(gate['origin'])} opens {opens}: {safe(gate['reason'])}")
    for trouble in facts["troubles"][:_SHOWN]:
        click.echo(f"{safe(trouble['where'])}: {safe(trouble['what'])}")
        click.echo(f"  hashtagd: {safe(trouble['does'])}\n  you:      {safe(trouble['you'])}")
    if len(facts["troubles"]) > _SHOWN:
        click.echo(f"and {len(facts['troubles']) - _SHOWN} more: `hashtagd list --trouble`")
    if facts["next_due_at"] is not None:
        click.echo(f"next work: {moment_in_words(facts['next_due_at'], now)}")


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
    if facts["last_check_at"] is not None:
        last, following = (moment_in_words(facts[name], now) for name in ("last_check_at", "next_check_at"))
        click.echo(f"last answer: {last}; next question: {following}")
