"""Google Calendar and Microsoft Graph, behind one interface (`base.CalendarProvider`)."""
