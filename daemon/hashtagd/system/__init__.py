"""What differs between operating systems: every branch on a platform is in this room, and nowhere else.

Linux is what hashtagd is made and tested for. macOS has what keeps a writer safe from links (folders held
open, `openat`), but no inotify, no extended attributes in Python and no uncached reads, so roots are polled.
Windows has no folders held open: what changes a models folder is refused there, in words, before it begins.
The rooms above call these functions and do not ask where they run.
"""
