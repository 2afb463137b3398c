"""Is ComfyUI generating? Asked before large reads: hashing must not compete with loading a model."""

from collections.abc import Callable, Mapping
from typing import Any

#: a ComfyUI on the same machine answers in milliseconds; one that does not is not worth waiting for
ANSWER_WITHIN_S = 0.5
#: not asked more often than this: callers keep the last answer for so long
ASK_EVERY_S = 3.0


def is_generating(url: str, get_json: Callable[[str, float], Any]) -> bool:
    """Tell whether anything runs or waits in ComfyUI's queue.

    Args:
        url: ComfyUI's address, for example `http://127.0.0.1:8188`.
        get_json: fetches (address, timeout in s) and gives the JSON, or None without a proper answer. It
            must not send an `Origin` header: ComfyUI refuses foreign ones.

    Returns: False too when nobody answers: a ComfyUI that is not running is not busy.

    Source: `GET /prompt` of ComfyUI's server; `exec_info.queue_remaining` counts what runs and what waits.
    """
    answer = get_json(url.rstrip("/") + "/prompt", ANSWER_WITHIN_S)
    info = answer.get("exec_info") if isinstance(answer, Mapping) else None
    remaining = info.get("queue_remaining") if isinstance(info, Mapping) else None
    return isinstance(remaining, int) and not isinstance(remaining, bool) and remaining > 0
