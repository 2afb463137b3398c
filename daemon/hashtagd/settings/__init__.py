"""The settings: a YAML file and a few environment variables, checked as a whole before anything starts."""

from hashtagd.settings.draft import Draft
from hashtagd.settings.keys import find_api_key, read_key_file
from hashtagd.settings.load import Loaded, load, load_with_lines, validate_options
from hashtagd.settings.mistakes import Lines, Mistake, SettingsMistakes
from hashtagd.settings.places import find_config, read_config, state_folder
from hashtagd.settings.roots import RootFindings, check_roots, look_at_roots
from hashtagd.settings.schema import ProviderEntry, Root, Settings, WriterEntry

__all__ = [
    "Draft",
    "Lines",
    "Loaded",
    "Mistake",
    "ProviderEntry",
    "Root",
    "RootFindings",
    "Settings",
    "SettingsMistakes",
    "WriterEntry",
    "check_roots",
    "find_api_key",
    "find_config",
    "load",
    "load_with_lines",
    "look_at_roots",
    "read_config",
    "read_key_file",
    "state_folder",
    "validate_options",
]
