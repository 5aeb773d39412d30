"""Push: what the providers send to their clients when a calendar changes."""
