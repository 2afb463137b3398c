"""How the property tests of core run."""

from hypothesis import settings

# a busy machine is no failure of a pure function: nothing here is judged by the clock
settings.register_profile("core", deadline=None)
settings.load_profile("core")
