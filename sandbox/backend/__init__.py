"""A bot backend with meetbot's API: jobs that run on the sandbox's clock, and webhooks."""
