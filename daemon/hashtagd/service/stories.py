"""One log event per outcome: past-tense names, ids and sizes, never names of creators or raw answers."""

from typing import Any

from hashtagd.core.card import Update
from hashtagd.core.place import Place
from hashtagd.core.transfer import Fetched, TransferClaim, TransferOutcome
from hashtagd.core.troubles import Scope, Trouble
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Claim,
    Defer,
    Digested,
    Found,
    Outcome,
    Park,
    Published,
    QuestionClaim,
    Release,
    Restart,
    Settled,
    Swept,
)
from hashtagd.service.counting import Tally
from hashtagd.service.lanes import Tell


def tell_outcome(tell: Tell, claim: Claim, outcome: Outcome) -> None:
    """Log how the work on a file ended."""
    where = _where(claim.place)
    match outcome:
        case Advance(facts=facts):
            _tell_facts(tell, claim, facts)
        case Defer(trouble=None) | Release(trouble=None):
            pass
        case Release(trouble=Trouble(scope=Scope.ROOT)):
            pass  # told once for the root, as `root_paused`: its files may be thousands
        case Release(wait_s=wait_s) if wait_s:
            pass  # told by the scan, once for what is behind the same link
        case Defer() | Release() | Park():
            tell(_NAMES[type(outcome)], **where, stage=claim.stage.value, **_why(outcome.trouble))
        case Restart():
            tell("file_changed", **where, stage=claim.stage.value)
        case _:  # Forget
            tell("file_gone", **where)


def _tell_facts(tell: Tell, claim: Claim, facts: object) -> None:
    where = _where(claim.place)
    match facts:
        case Settled():
            tell("file_settled", **where, size_bytes=claim.stamp.size_bytes)
        case Digested(digests=digests):
            tell("file_digested", **where, size_bytes=claim.stamp.size_bytes, sha256=digests.sha256)
        case Published(publications=publications, trouble=trouble):
            tell("file_published", **where, artifacts=len(publications), **_why(trouble))
        case Swept(publications=left) if len(left) < len(claim.publications):
            tell("artifacts_swept", **where, artifacts=len(claim.publications) - len(left))
        case _:  # nothing was there to sweep
            pass


def count_outcome(tally: Tally, claim: Claim, outcome: Outcome) -> None:
    """Add what was done for a file to the sums of this run."""
    match outcome:
        case Advance(facts=Digested()):
            tally.add("bytes_hashed", claim.stamp.size_bytes)
            tally.add("files_hashed", 1)
        case Advance(facts=Published() as facts):
            tally.add("written", newly_recorded(claim, facts))
        case _:
            pass


def newly_recorded(claim: Claim, facts: Published) -> int:
    """Count what of ours lies beside the file now and did not, or did with other bytes."""
    before = {(item.place, item.writer, item.written_sha256) for item in claim.publications}
    after = {(item.place, item.writer, item.written_sha256) for item in facts.publications}
    return len(after - before)


def tell_answer(tell: Tell, claim: QuestionClaim, outcome: Outcome, newer: Update | None = None) -> None:
    """Log what a provider said; `newer`: a version of the model that nobody was told of before."""
    about: dict[str, Any] = {"provider": claim.key.provider, claim.key.hash_kind.value: claim.key.hash}
    match outcome:
        case Advance(facts=Answered(answer=Found(card=card))):
            tell("model_found", **about, model_id=card.model_id, version_id=card.version_id)
            if newer is not None:
                about = {"provider": claim.key.provider, "model_id": card.model_id}
                tell("update_found", **about, version_id=newer.version_id)
        case Advance(facts=Answered(answer=Absent())) if claim.was_found:
            tell("model_vanished", **about)
        case Advance(facts=Answered(answer=Absent())):
            tell("model_absent", **about)
        case Defer(trouble=Trouble()) | Park():
            tell(f"question_{_ENDS[type(outcome)]}", **about, **_why(outcome.trouble))
        case _:
            pass


def tell_transfer(tell: Tell, claim: TransferClaim, outcome: TransferOutcome) -> None:
    """Log how a download ended; addresses are told nowhere."""
    where = _where(claim.wanted.place)
    match outcome:
        case Fetched():
            size_bytes, sha256 = outcome.stamp.size_bytes, outcome.digests.sha256
            tell("file_fetched", **where, size_bytes=size_bytes, sha256=sha256)
        case Defer(trouble=Trouble()):
            tell("download_deferred", **where, **_why(outcome.trouble))
        case Park():
            tell("download_parked", **where, **_why(outcome.trouble))
        case _:
            pass


_NAMES = {Defer: "file_deferred", Release: "file_released", Park: "file_parked"}
_ENDS = {Defer: "deferred", Park: "parked"}


def _where(place: Place) -> dict[str, Any]:
    return {"root": place.root, "path": place.relpath}


def _why(trouble: Trouble | None) -> dict[str, Any]:
    if trouble is None:
        return {}
    return {"kind": trouble.kind, "what": trouble.what, "does": trouble.does, "you": trouble.you}
