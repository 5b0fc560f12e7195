"""Credentials for places outside: their kinds, their keeping, their trial."""
