"""hashtagd: names, tags and pictures for newly downloaded model files."""

__version__ = "0.1.0"
