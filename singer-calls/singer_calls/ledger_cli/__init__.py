"""The ledger for people: the command ``call-ledger`` and its page."""
