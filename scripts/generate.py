"""Everything that repeats a plugin's settings, generated from its ``--about``.

    generate.py           write the files
    generate.py --check   exit 1 and name the files that are not as they would be written

hub/            a plugin's definition and logo for Meltano Hub, in the Hub's own tree
plugins/        the same definition as a lock file, so that Meltano needs no Hub for it
<plugin>/README the table of settings, of the examples too
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import packages
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
VARIANT = "call-pipelines"
TABLE = ("<!-- settings -->", "<!-- /settings -->")

# What the SDK adds to every plugin; a README names them in one line.
SDK_SETTINGS = (
    "stream_maps", "stream_map_config", "flattening_", "validate_records",
)  # fmt: skip

# What the Hub's schemas know (schemas/common/{extractors,loaders}_specific.schema.json).
CAPABILITIES = {
    "extractors": {
        "about", "activate-version", "batch", "catalog", "discover", "log-based", "properties",
        "schema-flattening", "state", "stream-maps", "structured-logging", "test",
    },
    "loaders": {
        "about", "activate-version", "batch", "datatype-failsafe", "hard-delete",
        "schema-flattening", "soft-delete", "stream-maps", "structured-logging", "target-schema",
        "validate-records",
    },
}  # fmt: skip

LOGO = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="512" height="512" fill="none"
  stroke="{colour}" stroke-width="5" stroke-linecap="round" stroke-linejoin="round">
  <path d="M15 9h9l4 12-6 5c3 7 9 13 16 16l5-6 12 4v9c0 4-3 7-7 7C26 55 9 38 8 16c0-4 3-7 7-7z"/>
  <path d="{arrow}"/>
</svg>
"""
ARROWS = {"extractors": "M40 24 56 8M44 8h12v12", "loaders": "M56 8 40 24M40 12v12h12"}


@cache
def _said(plugin: str) -> str:
    command = Path(sys.executable).with_name(plugin)
    return subprocess.run(
        [command, "--about", "--format=json"], check=True, capture_output=True, text=True
    ).stdout


def about(plugin: str) -> dict[str, Any]:
    """What the plugin says of itself; it needs neither settings nor network for that."""
    found: dict[str, Any] = json.loads(_said(plugin))
    # Only there where Faker happens to be installed: not for calls that are paid.
    found["settings"]["properties"].pop("faker_config", None)
    return found


def kind(schema: Mapping[str, Any]) -> dict[str, Any]:
    """How Meltano names a setting's type."""
    types = schema.get("type", "string")
    plain = next(t for t in ([types] if isinstance(types, str) else types) if t != "null")
    if schema.get("secret"):
        return {"kind": "object" if plain == "object" else "password", "sensitive": True}
    if options := [str(value) for value in schema.get("enum", []) if value is not None]:
        return {
            "kind": "options",
            "options": [{"label": value.title(), "value": value} for value in options],
        }
    if schema.get("format") in {"date", "date-time"}:
        return {"kind": "date_iso8601"}
    return {"kind": "decimal" if plain == "number" else plain}


def setting(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """One setting as Meltano and the Hub write it."""
    value = {"value": schema["default"]} if schema.get("default") is not None else {}
    return {
        "name": name,
        "label": schema.get("title") or name.replace("_", " ").capitalize(),
        "description": schema.get("description", ""),
        **kind(schema),
        **value,
    }


def definition(plugin: str, says: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """The plugin as Meltano Hub defines it, keys and lists in the Hub's order.

    Args:
        plugin: Its name, which is also its command and its package.
        says: Its ``--about``.
        words: Its hub.toml.
    """
    family = family_of(plugin)
    settings: Mapping[str, Any] = says["settings"]
    return {
        "capabilities": sorted(CAPABILITIES[family] & set(says["capabilities"])),
        "description": words["description"],
        "domain_url": words["domain_url"],
        "executable": plugin,
        "keywords": ["api", "call tracking", "meltano_sdk"],
        "label": words["label"],
        "log_parser": "singer-sdk",
        "logo_url": f"/assets/logos/{family}/{logo_name(words)}",
        "maintenance_status": "active",
        "name": plugin,
        "namespace": plugin.replace("-", "_"),
        "next_steps": "",
        "pip_url": plugin,
        "quality": "unknown",
        **repository(plugin),
        "settings": [setting(name, settings["properties"][name])
                     for name in sorted(settings["properties"])],
        "settings_group_validation": [sorted(settings.get("required", []))],
        "settings_preamble": words["settings_preamble"].lstrip(),
        "supported_python_versions": says["supported_python_versions"],
        "usage": words["usage"].lstrip(),
        "variant": VARIANT,
    }  # fmt: skip


def table(settings: Mapping[str, Any]) -> str:
    """The settings as a Markdown table, those that must be set first."""
    required = settings.get("required", [])
    own = {
        name: schema
        for name, schema in settings["properties"].items()
        if not name.startswith(SDK_SETTINGS)
    }
    rows = ["| Setting | Type | Default | Meaning |", "|---|---|---|---|"]
    for name in sorted(own, key=lambda name: name not in required):
        schema = own[name]
        default = schema.get("default")
        first = (
            "required"
            if name in required
            else ""
            if default is None
            else f"`{json.dumps(default)}`"
        )
        secret = ", secret" if schema.get("secret") else ""
        values = "".join(f" `{value}`" for value in schema.get("enum", []) if value is not None)
        rows.append(
            f"| `{name}` | {kind(schema | {'enum': [], 'secret': False})['kind']}{secret}{values} "
            f"| {first} | {cell(schema.get('description', ''))} |"
        )
    others = [name for name in settings["properties"] if name not in own]
    return "\n".join([
        *rows, "",
        "From the [Singer SDK](https://sdk.meltano.com/en/latest/stream_maps.html): "
        + ", ".join(f"`{name}`" for name in others) + ".",
    ])  # fmt: skip


def cell(text: str) -> str:
    """A text as one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def repository(plugin: str) -> dict[str, str]:
    """Where the code lives, once pyproject.toml says so."""
    file = ROOT / plugin / "pyproject.toml"
    urls = tomllib.loads(file.read_text(encoding="utf-8"))["project"].get("urls", {})
    return {"repo": urls["Repository"]} if "Repository" in urls else {}


def family_of(plugin: str) -> str:
    """Meltano's word for taps and for targets."""
    return "extractors" if plugin.startswith("tap-") else "loaders"


def logo_name(words: Mapping[str, str]) -> str:
    """The file name of the logo: the label as the Hub writes it in an address."""
    return words["label"].lower().replace(".", "-").replace(" ", "-") + ".svg"


def with_table(readme: str, rows: str) -> str:
    """The README with the table between its two marks."""
    before, _, rest = readme.partition(TABLE[0])
    _, _, after = rest.partition(TABLE[1])
    return f"{before}{TABLE[0]}\n{rows}\n{TABLE[1]}{after}" if rest else readme


def files() -> Iterator[tuple[Path, str]]:
    """Every generated file: its path and what belongs in it."""
    for plugin in packages.plugins(ROOT):
        words = tomllib.loads((ROOT / plugin / "hub.toml").read_text(encoding="utf-8"))
        says = about(plugin)
        found = definition(plugin, says, words)
        family = family_of(plugin)
        logo = LOGO.format(colour=words["colour"], arrow=ARROWS[family])
        readme = ROOT / plugin / "README.md"
        lock = {"plugin_type": family, **found}
        hub = ROOT / "hub"
        yield (
            hub / "_data" / "meltano" / family / plugin / f"{VARIANT}.yml",
            yaml.safe_dump(found, allow_unicode=True, sort_keys=True, width=100),
        )
        yield hub / "static" / "assets" / "logos" / family / logo_name(words), logo
        yield (
            ROOT / "plugins" / family / f"{plugin}--{VARIANT}.lock",
            json.dumps(lock, indent=2, ensure_ascii=False, sort_keys=True) + "\n",
        )
        yield readme, with_table(readme.read_text(encoding="utf-8"), table(says["settings"]))
    for file in sorted((ROOT / "docs" / "examples").glob("*/pyproject.toml")):
        readme, says = file.with_name("README.md"), about(file.parent.name)
        yield readme, with_table(readme.read_text(encoding="utf-8"), table(says["settings"]))


def main() -> None:
    """Write what is not as it should be, or with ``--check`` only name it."""
    stale = [
        (path, text)
        for path, text in files()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        print(path.relative_to(ROOT))
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit("These are not what --about says now: run make generate.")


if __name__ == "__main__":
    main()
