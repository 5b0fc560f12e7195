"""Imports: jobs that fetch a model from a place outside and make a draft or a version of it."""
