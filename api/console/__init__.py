"""The console: pages for a tenant's own people. A client of the public API, in process."""
