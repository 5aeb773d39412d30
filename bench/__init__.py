"""Commands that measure and print JSON. No test depends on their numbers."""
