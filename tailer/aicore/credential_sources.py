"""Read credentials from each source, unchecked, under the same names.

Sources: service key, variables, config file, VCAP_SERVICES. The names are those of
`sap-ai-sdk-core`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tailer.errors import AuthError

_NAMES = (
    *("client_id", "client_secret", "auth_url", "base_url", "cert_url"),
    *("cert_file_path", "key_file_path", "cert_str", "key_str"),
)
_KEY_PATHS = {  # in a service key, and under `credentials` in VCAP_SERVICES
    "client_id": ("clientid",),
    "client_secret": ("clientsecret",),
    "auth_url": ("url",),
    "base_url": ("serviceurls", "AI_API_URL"),
    "cert_url": ("certurl",),
    "cert_str": ("certificate",),
    "key_str": ("key",),
}
_VCAP_LABEL = "aicore"


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """Values of one source. `state` is the reason if `values` is empty."""

    name: str
    state: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    resource_group: str | None = None
    is_service_key: bool = False

    def label(self, name: str) -> str:
        """Name of a value in this source."""
        if self.is_service_key:
            return ".".join(_KEY_PATHS[name])
        return f"AICORE_{name.upper()}"


def environment_sources(environ: Mapping[str, str], *, home: Path) -> tuple[CredentialSource, ...]:
    """In the SDK's order of precedence.

    Raises:
        AuthError: One of them is invalid. The SDK then fails too, even if an earlier one
            is complete.
    """
    return (
        _service_key(environ.get("AICORE_SERVICE_KEY", "")),
        _variables(environ),
        _config_file(environ, home=home),
        _vcap_services(environ.get("VCAP_SERVICES", "")),
    )


def key_file_source(path: Path) -> CredentialSource:
    """A service key in a file, or nested under `credentials` as `cf service-key` prints it.

    Raises: AuthError.
    """
    name = f"the service key file {path}"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AuthError(f"cannot read {name}: {_reason(error)}") from error
    key = _json_object(text, name=name)
    inner = key.get("credentials")
    values = _key_values(inner if isinstance(inner, dict) else key)
    if not values:
        raise AuthError(f"{name} has no field of a service key", hint="is it another file?")
    return CredentialSource(name, "", values, is_service_key=True)


def _service_key(text: str) -> CredentialSource:
    name = "AICORE_SERVICE_KEY"
    if not text:
        return CredentialSource(name, "not set", is_service_key=True)
    values = _key_values(_json_object(text, name=name))
    return CredentialSource(name, "has no field of a service key", values, is_service_key=True)


def _variables(environ: Mapping[str, str]) -> CredentialSource:
    return CredentialSource(
        "environment variables AICORE_*",
        "none set of " + ", ".join(f"AICORE_{name.upper()}" for name in _NAMES),
        _prefixed(environ),
        _group(environ),
    )


def _config_file(environ: Mapping[str, str], *, home: Path) -> CredentialSource:
    profile = environ.get("AICORE_PROFILE")
    if environ.get("AICORE_CONFIG"):
        path = Path(environ["AICORE_CONFIG"])
    else:
        directory = Path(environ.get("AICORE_HOME") or home / ".aicore")
        is_default = profile in {None, "", "default"}
        path = directory / ("config.json" if is_default else f"config_{profile}.json")
    name = f"config file {_short(path, home=home)}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if profile:
            raise AuthError(
                f"no {name} for the profile {profile!r}",
                hint="see AICORE_PROFILE, AICORE_HOME, AICORE_CONFIG",
            ) from error
        return CredentialSource(name, "does not exist")
    except PermissionError:  # the SDK also continues with the next source
        return CredentialSource(name, "may not be read")
    except (OSError, UnicodeDecodeError) as error:
        raise AuthError(f"cannot read {name}: {_reason(error)}") from error
    config = _json_object(text, name=name)
    return CredentialSource(name, "has no AICORE_… value", _prefixed(config), _group(config))


def _vcap_services(text: str) -> CredentialSource:
    name = "VCAP_SERVICES"
    if not text:
        return CredentialSource(name, "not set", is_service_key=True)
    for services in _json_object(text, name=name).values():
        for service in services if isinstance(services, list) else ():
            if isinstance(service, dict) and service.get("label") == _VCAP_LABEL:
                key = service.get("credentials")
                values = _key_values(key if isinstance(key, dict) else {})
                state = f"its service {_VCAP_LABEL!r} has no credentials"
                return CredentialSource(name, state, values, is_service_key=True)
    return CredentialSource(name, f"no service labeled {_VCAP_LABEL!r}", is_service_key=True)


def _prefixed(values: Mapping[str, Any]) -> dict[str, str]:
    found = {name: values.get(f"AICORE_{name.upper()}") for name in _NAMES}
    return {name: str(value) for name, value in found.items() if value}


def _group(values: Mapping[str, Any]) -> str | None:
    return str(values.get("AICORE_RESOURCE_GROUP") or "").strip() or None


def _key_values(key: Mapping[str, Any]) -> dict[str, str]:
    values = {}
    for name, path in _KEY_PATHS.items():
        value: Any = key
        for field_name in path:
            value = value.get(field_name) if isinstance(value, dict) else None
        if value:
            values[name] = str(value)
    return values


def _json_object(text: str, *, name: str) -> dict[str, Any]:
    """The error has no cause: the decoder's exception would keep the whole text."""
    try:
        value = json.loads(text)
        reason, line = f"a JSON {type(value).__name__}, not an object", 1
    except json.JSONDecodeError as error:
        value, reason, line = None, error.msg, error.lineno
    except (ValueError, RecursionError):
        value, reason, line = None, "too deep", 1
    if isinstance(value, dict):
        return value
    hint = "in a shell, put it in single quotes" if name == "AICORE_SERVICE_KEY" else ""
    raise AuthError(f"{name} is not a JSON object: {reason} (line {line})", hint=hint)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else "not UTF-8 text"


def _short(path: Path, *, home: Path) -> str:
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
