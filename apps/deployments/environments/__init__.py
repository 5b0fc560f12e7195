"""The Python packages in which components run: listed, built, found again, collected."""
