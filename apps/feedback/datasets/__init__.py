"""Labelled predictions as data sets for retraining: files with a version and a checksum."""
