"""Google's login and Calendar API v3."""
