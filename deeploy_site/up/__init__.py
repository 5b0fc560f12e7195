"""The one-command start: everything that `manage.py up` runs, watches and stops."""
