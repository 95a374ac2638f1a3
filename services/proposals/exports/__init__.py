"""Files for spreadsheets and maps."""
