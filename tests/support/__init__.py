"""Helpers that tests of several rooms share: things to test with, never things under test."""
