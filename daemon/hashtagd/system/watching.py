"""Whether the kernel tells of changes in folders."""

import sys

#: inotify, which the watcher is made for; elsewhere roots are polled
TELLS_OF_CHANGES: bool = sys.platform == "linux"
