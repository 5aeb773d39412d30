"""Push channels: which there should be, and how they are brought about."""
