"""Nouns and rules of hashtagd: values and pure decisions. No I/O, no clock, no randomness, no logging."""
