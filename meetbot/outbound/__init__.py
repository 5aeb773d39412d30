"""The one way out: requests bounded in time and size."""
