"""Files that people send: made anew, kept, and shown piece by piece."""
