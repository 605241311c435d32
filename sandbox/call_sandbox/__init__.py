"""The call-tracking vendors' APIs on one local port, strict where they are strict, with faults on request."""
