"""Somebody's Python module: one `.py` file, or a zip with it and what it imports."""

import importlib
import importlib.machinery
import importlib.util
import sys
import zipfile
from types import ModuleType

from apps.serving.errors import LoadError
from apps.serving.loaders.base import first_line


def imported(path: str, name: str, packages: str) -> ModuleType:
    """The module, which messages call by its `name`; `packages` says where what it imports is to be
    named. Raises LoadError in words."""
    try:
        if zipfile.is_zipfile(path):
            _check_zip(path, name)
            sys.path.insert(0, path)
            # A package of the same name may have been imported already.
            sys.modules.pop(name, None)
            return importlib.import_module(name)
        loader = importlib.machinery.SourceFileLoader(name, path)
        described = importlib.util.spec_from_loader(name, loader)
        assert described is not None
        module = importlib.util.module_from_spec(described)
        sys.modules[name] = module
        loader.exec_module(module)
        return module
    except LoadError:
        raise
    except SystemExit as error:
        raise LoadError(f"The {name} ends the process on import (exit {error})") from None
    except ModuleNotFoundError as error:
        raise LoadError(
            f"The {name} imports {error.name}, which its environment does not have; {packages}"
        ) from error
    except Exception as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        raise LoadError(f"The {name} cannot be imported: {why}") from error


def _check_zip(path: str, name: str) -> None:
    with zipfile.ZipFile(path) as archive:
        if f"{name}.py" not in archive.namelist():
            raise LoadError(f"The {name}'s zip has no {name}.py at its top")
