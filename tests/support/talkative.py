"""The command with every logger of every library at level 1, whatever the product asks of them."""

import logging
import threading
from typing import NoReturn

from hashtagd.cli.main import main

_EVERY_S = 0.01


def _keep_talking(tick: threading.Event) -> NoReturn:
    while True:
        loggers = [
            logging.getLogger(),
            *(logging.getLogger(name) for name in tuple(logging.root.manager.loggerDict)),
        ]
        for logger in loggers:
            logger.setLevel(1)
        for handler in tuple(logging.root.handlers):
            handler.setLevel(1)
        tick.wait(_EVERY_S)


if __name__ == "__main__":
    threading.Thread(target=_keep_talking, args=(threading.Event(),), daemon=True).start()
    main()
