"""What we use of the SDK beyond its public names: one table, which a new SDK is held against.

A name that is gone, or that we no longer use, fails here and by name, not in a run.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Class of the SDK -> its underscored names that our classes define anew or use.
NAMES = {
    "singer_sdk.plugin_base.BaseSingerReader": {
        "_assert_line_requires",
        "_process_activate_version_message",
        "_process_batch_message",
        "_process_record_message",
        "_process_schema_message",
        "_process_state_message",
    },
    "singer_sdk.plugin_base.PluginBase": {
        "_config",
        "_env_var_config",
        "_env_var_prefix",
        "_handle_termination",
        "_setup_signal_handlers",
        "_validate_config",
    },
    "singer_sdk.sinks.core.Sink": {
        "_config",
        "_remove_sdc_metadata_from_record",
        "_singer_validate_message",
        "_validator",
    },
    "singer_sdk.streams.core.Stream": {
        "_config",
        "_generate_record_messages",
        "_increment_stream_state",
        "_process_record",
        "_write_record_message",
        "_write_schema_message",
        "_write_starting_replication_value",
        "_write_state_message",
    },
    "singer_sdk.tap_base.Tap": {"_handle_termination"},
    "singer_sdk.target_base.Target": {
        "_assert_sink_exists",
        "_handle_termination",
        "_process_activate_version_message",
        "_process_batch_message",
        "_process_record_message",
        "_process_schema_message",
        "_process_state_message",
        "_sinks_active",
        "_write_state_message",
    },
}
# Module of the SDK -> what is imported from it, where the module's or the name's begins with "_".
IMPORTED = {
    "singer_sdk.helpers._catalog": {"pop_deselected_record_properties"},
    "singer_sdk.helpers._classproperty": {"classproperty"},
    "singer_sdk.plugin_base": {"_ConfigInput"},
}
MODULES = sorted(
    path.parent
    for pattern in ("*/*/py.typed", "docs/examples/*/*/py.typed")
    for path in ROOT.glob(pattern)
    if path.parent.name.startswith(("singer_", "tap_", "target_"))
)


def files():
    for package in MODULES:
        yield from sorted(package.rglob("*.py"))


def dotted(file):
    """The name under which a file of a package is imported."""
    (package,) = (package for package in MODULES if package in file.parents)
    path = file.relative_to(package.parent).with_suffix("")
    return ".".join(path.parts).removesuffix(".__init__")


def classes():
    """Our classes that derive from one of the SDK's."""
    for file in files():
        if file.name == "__main__.py":
            continue
        name = dotted(file)
        module = import_module(name)
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == name:
                yield cls


def private(name):
    return name.startswith("_") and not name.startswith(("__", "_abc_"))


def their_names(cls):
    """Underscored names that a class of the SDK defines, its instances' among them."""
    assigned = {
        node.attr
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls))))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    return {*filter(private, {*vars(cls), *assigned})}


def used():
    """(class of the SDK, underscored name of it) that stands in a file with a class made from one.

    Yields:
        A pair for each name, more than once where it is used more than once.
    """
    bases = {}
    for cls in classes():
        theirs = {base for base in cls.__mro__ if base.__module__.startswith("singer_sdk")}
        if theirs:
            bases.setdefault(inspect.getsourcefile(cls), set()).update(theirs)
    for file, theirs in bases.items():
        names = {
            getattr(node, "attr", None) or getattr(node, "name", None)
            for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for base in theirs:
            for name in their_names(base) & names:
                yield f"{base.__module__}.{base.__qualname__}", name


def imported():
    for file in files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("singer_sdk"):
                hidden = any(private(part) for part in node.module.split("."))
                for alias in node.names:
                    if hidden or private(alias.name):
                        yield node.module, alias.name


def test_every_name_of_the_table_is_in_the_installed_sdk():
    """An SDK that renames one is found here, by name."""
    gone = {
        f"{path}.{name}"
        for path, names in NAMES.items()
        for module, _, cls in [path.rpartition(".")]
        for name in names - their_names(getattr(import_module(module), cls))
    }
    gone |= {
        f"{module}.{name}"
        for module, names in IMPORTED.items()
        for name in names
        if not hasattr(import_module(module), name)
    }
    assert gone == set()


def test_every_name_that_we_use_is_in_the_table():
    """Else nobody would watch it."""
    known = {(path, name) for path, names in NAMES.items() for name in names}
    assert {*used()} <= known
    assert {*imported()} <= {(module, name) for module, all_ in IMPORTED.items() for name in all_}
    assert len({*used()}) > 20
