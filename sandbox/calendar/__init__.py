"""Calendars and meetings of both providers, without any vendor's format."""
