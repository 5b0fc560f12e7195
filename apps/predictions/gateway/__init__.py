"""The data plane: an ASGI application before Django. No ORM, template or thread per request."""
