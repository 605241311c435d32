"""Pure functions over the values of a call, a module for each kind of value.

boolean    ``boolean``: yes and no in all their spellings
clock      ``to_utc``, ``from_utc_text``, ``utc_text``, and the local time to ask with
country    ISO 3166 letters and calling codes
duration   ``seconds``, from a number or a clock
phone      a number in any spelling as E.164, or withheld
"""

__all__ = ["boolean", "clock", "country", "duration", "phone"]
