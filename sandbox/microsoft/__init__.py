"""Microsoft's login and the calendars of Microsoft Graph v1.0."""
