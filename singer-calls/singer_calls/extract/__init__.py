"""For taps: windows, bookmarks and late data over APIs that have no "updated since" filter."""
