"""Models that the JVM scores itself: read into flat arrays, which Java functions of this package walk."""
