"""Singer tap for iovox: calls with their insights (REST v1 calls/insights)."""
