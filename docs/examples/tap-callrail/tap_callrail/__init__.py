"""Singer tap for CallRail."""
