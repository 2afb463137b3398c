"""Watching folders: names, scans, roots and file-system events. Events are hints, the scan is truth."""
