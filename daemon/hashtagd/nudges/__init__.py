"""Tells running programs what was published: best effort, never asked twice, never worth an outcome."""

from collections.abc import Callable

from hashtagd.core.ports import Clock
from hashtagd.nudges.comfyui_assets import ComfyuiAssets
from hashtagd.nudges.line import Line
from hashtagd.nudges.lora_manager import LoraManager
from hashtagd.nudges.news import News, Program, Unreachable, Unusable, news_of

__all__ = ["News", "Program", "Unreachable", "Unusable", "news_of", "programs_at"]

_MAKERS: tuple[Callable[[Line], Program], ...] = (LoraManager, ComfyuiAssets)


def programs_at(url: str, clock: Clock) -> list[Program]:
    """Make all programs that may live on one server; whether they do, they are asked by `present`."""
    line = Line(url, clock)
    return [make(line) for make in _MAKERS]
