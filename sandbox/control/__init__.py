"""The control API under `/control`: what a person or a test does to the sandbox."""
