"""Singer tap for INVOX Call Tracking: the calls of an account."""
