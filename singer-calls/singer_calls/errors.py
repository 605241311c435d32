"""What ends a run, in one sentence.

    PluginError        the run ends: the sentence says what, where and what to do
    └─ SettingsError   a setting is missing, malformed or contradicts another one

A sentence never holds a value from a call, a credential or a URL's query. Whoever raises one of
these has the last word: the command line logs the sentence alone and exits with 1.
"""

from __future__ import annotations


class PluginError(Exception):
    """The run can't go on; ``str()`` is the sentence for the user."""


class SettingsError(PluginError):
    """A setting is wrong; found before anything is asked of a vendor."""
