"""Empties the database after a test that committed, in milliseconds.

Django truncates every table, each with its indexes and partitions, and makes all permissions
anew. Here only tables that hold rows are deleted from, and what migrations made stays.
"""

from typing import Any

import pytest
from django.db import connection
from django.test import TransactionTestCase

_KEPT = ("django_migrations", "django_content_type", "auth_permission")
_EMPTY = """
DO $$
DECLARE each regclass; found boolean;
BEGIN
  SET LOCAL session_replication_role = replica;
  FOR each IN
    SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> ALL (%s)
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %%s)', each) INTO found;
    IF found THEN EXECUTE format('DELETE FROM %%s', each); END IF;
  END LOOP;
END $$
"""


def _empty(self: TransactionTestCase) -> None:
    kept = "ARRAY[" + ", ".join(f"'{name}'" for name in _KEPT) + "]::name[]"
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY % kept)


@pytest.fixture(autouse=True, scope="session")
def _quick_emptying() -> Any:
    original = TransactionTestCase._fixture_teardown
    TransactionTestCase._fixture_teardown = _empty  # type: ignore[method-assign]
    yield
    TransactionTestCase._fixture_teardown = original  # type: ignore[method-assign]
