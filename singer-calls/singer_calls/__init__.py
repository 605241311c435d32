"""What call taps and targets share: windows for taps, delivery that loses no call for targets.

    settings     the vocabulary of settings
    errors       what ends a run in one sentence
    plugin       what every plugin does at its edges
    extract      for taps
    deliver      for targets
    http         one vocabulary for both directions
    values       pure functions over the values of a call
    text         words from elsewhere, fit for a log or a terminal
    recordings   where recordings are kept, and what is in them

What a package's ``__init__`` lists in ``__all__`` is public, all else may change.
"""

__all__ = [
    "deliver",
    "errors",
    "extract",
    "http",
    "plugin",
    "recordings",
    "settings",
    "text",
    "values",
]
