"""Singer tap for Invoca Calls In Progress: who is on the line now."""
