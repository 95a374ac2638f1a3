"""Accounts: sign-in by phone code, roles, and the tokens every service trusts."""
