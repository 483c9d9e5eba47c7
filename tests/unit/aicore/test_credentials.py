"""Credentials are found where SAP's SDK finds them; the SDK is the oracle."""

import copy
import json
import logging
import os
import pickle
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ai_core_sdk.credentials import fetch_credentials
from hypothesis import given
from hypothesis import strategies as st

from tailer.aicore.credentials import (
    CertificateFiles,
    CertificateText,
    Credentials,
    find_credentials,
)
from tailer.aicore.secret import Secret
from tailer.errors import AuthError

KEY = {
    "clientid": "sb-key!b1|aicore!b2",
    "clientsecret": "key-secret",
    "url": "https://key.example.com",
    "serviceurls": {"AI_API_URL": "https://api.key.example.com"},
}
VARIABLES = {
    "AICORE_CLIENT_ID": "sb-var",
    "AICORE_CLIENT_SECRET": "var-secret",
    "AICORE_AUTH_URL": "https://var.example.com/oauth/token",
    "AICORE_BASE_URL": "https://api.var.example.com/v2",
}
ALL_VARIABLES = {
    **VARIABLES,
    "AICORE_CERT_URL": "https://cert.example.com",
    "AICORE_CERT_FILE_PATH": "/certs/tls.crt",
    "AICORE_KEY_FILE_PATH": "/certs/tls.key",
    "AICORE_CERT_STR": "-----BEGIN\\nCERT",
    "AICORE_KEY_STR": "-----BEGIN\\nKEY",
    "AICORE_RESOURCE_GROUP": "group-var",
}
ALL_KEY_FIELDS: dict[str, Any] = {
    **KEY,
    "certurl": "https://cert.key.example.com",
    "certificate": "CERT\\nOF KEY",
    "key": "KEY\\nOF KEY",
}


@contextmanager
def sdk_environment(environ: Mapping[str, str]) -> Iterator[None]:
    """The SDK reads the environment of the process, so for its sake we change it."""
    before = dict(os.environ)
    ours = ("AICORE_", "VCAP_SERVICES")
    try:
        for name in before:
            if name.startswith(ours):
                del os.environ[name]
        os.environ.update(environ)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def flattened(credentials: Credentials) -> dict[str, str]:
    """As the SDK hands them out."""
    flat = {
        "client_id": credentials.client_id,
        "auth_url": credentials.token_url,
        "base_url": credentials.api_url,
    }
    match credentials.proof:
        case Secret() as secret:
            flat["client_secret"] = secret.reveal()
        case CertificateText(certificate, key):
            flat |= {"cert_str": certificate, "key_str": key.reveal()}
        case CertificateFiles(certificate_path, key_path):
            flat |= {"cert_file_path": str(certificate_path), "key_file_path": str(key_path)}
    if credentials.resource_group:
        flat["resource_group"] = credentials.resource_group
    return flat


PROOF_NAMES = {"client_secret", "cert_str", "key_str", "cert_file_path", "key_file_path"}


def by_the_sdk(environ: Mapping[str, str]) -> dict[str, str] | None:
    """None where it refuses. Half a certificate is left out: it hands on what it never uses."""
    with sdk_environment(environ):
        try:
            found: dict[str, str] = fetch_credentials()
        except (ValueError, KeyError, FileNotFoundError):
            return None
    for cert, key in (("cert_str", "key_str"), ("cert_file_path", "key_file_path")):
        if not {cert, key} <= found.keys():
            found.pop(cert, None)
            found.pop(key, None)
    return found


def by_us(environ: Mapping[str, str], home: Path) -> dict[str, str] | None:
    try:
        return flattened(find_credentials(environ, home=home))
    except AuthError:
        return None


def some_of(everything: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Nothing, a complete set with a secret, or any part of it."""
    complete = {
        name: value
        for name, value in everything.items()
        if name in {*KEY, *VARIABLES, "AICORE_RESOURCE_GROUP"}
    }
    part = st.sets(st.sampled_from(sorted(everything))).map(
        lambda names: {name: everything[name] for name in names}
    )
    return st.one_of(st.just({}), st.just(complete), part)


def distinct(values: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """The same with values that tell which source they are from."""
    return json.loads(  # type: ignore[no-any-return]
        json.dumps(values).replace("example.com", f"{mark}.example.com").replace("-var", mark)
    )


@given(
    service_key=some_of(ALL_KEY_FIELDS),
    variables=some_of(ALL_VARIABLES),
    config=some_of(distinct(ALL_VARIABLES, "config")),
    profiled=some_of(distinct(ALL_VARIABLES, "profiled")),
    vcap=some_of(distinct(ALL_KEY_FIELDS, "vcap")),
    profile_variable=st.sampled_from([None, "", "dev", "default", "missing"]),
    label=st.sampled_from(["aicore", "other"]),
    explicit_config=st.sampled_from([None, "config_dev.json", "nowhere.json"]),
)
def test_any_mixture_of_sources_gives_what_the_official_sdk_finds(  # noqa: PLR0917
    service_key: dict[str, Any],
    variables: dict[str, str],
    config: dict[str, str],
    profiled: dict[str, str],
    vcap: dict[str, Any],
    profile_variable: str | None,
    label: str,
    explicit_config: str | None,
) -> None:
    logging.getLogger("ai_core_sdk").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        environ = {**variables, "AICORE_HOME": directory}
        if service_key:
            environ["AICORE_SERVICE_KEY"] = json.dumps(service_key)
        if config:
            (home / "config.json").write_text(json.dumps(config))
        if profiled:
            (home / "config_dev.json").write_text(json.dumps(profiled))
        if vcap:
            services = {"any": [{"label": label, "credentials": vcap}]}
            environ["VCAP_SERVICES"] = json.dumps(services)
        if profile_variable is not None:
            environ["AICORE_PROFILE"] = profile_variable
        if explicit_config is not None:
            environ["AICORE_CONFIG"] = str(home / explicit_config)

        ours = by_us(environ, home / "unused")

        assert ours == by_the_sdk(environ)


def test_an_explicit_service_key_file_precedes_everything(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(KEY))
    environ = {**VARIABLES, "AICORE_RESOURCE_GROUP": "team-a"}

    found = find_credentials(environ, home=tmp_path, service_key_file=path)

    assert found.client_id == KEY["clientid"]
    assert found.resource_group == "team-a"
    assert str(path) in found.source


def test_a_key_file_as_the_cf_command_prints_it_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"credentials": KEY}))

    found = find_credentials({}, home=tmp_path, service_key_file=path)

    assert found.api_url == "https://api.key.example.com/v2"


def test_the_config_file_in_the_home_directory_is_named_with_a_tilde(tmp_path: Path) -> None:
    (tmp_path / ".aicore").mkdir()
    (tmp_path / ".aicore" / "config.json").write_text(json.dumps(VARIABLES))

    found = find_credentials({}, home=tmp_path)

    assert found.source == "config file ~/.aicore/config.json"
    assert found.resource_group is None


@pytest.mark.parametrize(
    "written",
    [
        "https://var.example.com",
        "https://var.example.com/",
        "https://var.example.com/oauth/token",
        "https://var.example.com/oauth/token/",
        "https://var.example.com//oauth/token",
        "https://var.example.com/oauth/token/oauth/token",
        " https://var.example.com\n",
    ],
)
def test_every_spelling_of_the_token_address_is_the_same_address(
    written: str, tmp_path: Path
) -> None:
    found = find_credentials({**VARIABLES, "AICORE_AUTH_URL": written}, home=tmp_path)

    assert found.token_url == "https://var.example.com/oauth/token"


@pytest.mark.parametrize("tail", ["", "/", "/v2", "/v2/", "/v2/lm", "//v2"])
def test_every_spelling_of_the_api_address_is_the_same_address(tail: str, tmp_path: Path) -> None:
    environ = {**VARIABLES, "AICORE_BASE_URL": f"https://api.var.example.com:8443{tail}"}

    assert find_credentials(environ, home=tmp_path).api_url == "https://api.var.example.com:8443/v2"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("http://api.example.com", "http://"),
        ("http://127.0.0.1.example.com", "http://"),
        ("ftp://api.example.com", "not an address"),
        ("api.example.com", "not an address"),
        ("https://", "not an address"),
        ("https://[::1", "not an address"),
        ("https://host:port", "not an address"),
        ("https://host/a b", "not an address"),
        ("https://user:hunter2@api.example.com", "user or password"),
        ("https://api.example.com?x=1", "query"),
    ],
)
def test_an_address_that_would_leak_or_lead_nowhere_is_refused_by_its_name(
    written: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(AuthError, match=problem) as refused:
        find_credentials({**VARIABLES, "AICORE_BASE_URL": written}, home=tmp_path)

    assert "AICORE_BASE_URL in environment variables AICORE_*" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080", "sim.localhost"])
def test_plain_http_is_allowed_on_this_machine(host: str, tmp_path: Path) -> None:
    environ = {**VARIABLES, "AICORE_BASE_URL": f"http://{host}"}

    assert find_credentials(environ, home=tmp_path).api_url == f"http://{host}/v2"


def test_without_credentials_every_searched_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuthError) as refused:
        find_credentials({}, home=tmp_path)

    message = str(refused.value)
    places = ("AICORE_SERVICE_KEY", "AICORE_CLIENT_ID", "~/.aicore/config.json", "VCAP_SERVICES")
    assert [place for place in places if place not in message] == []
    assert refused.value.exit_code == 3


def test_an_incomplete_source_is_not_filled_up_from_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(VARIABLES))
    environ = {"AICORE_HOME": str(tmp_path), "AICORE_CLIENT_ID": "sb-alone"}

    with pytest.raises(AuthError) as refused:
        find_credentials(environ, home=tmp_path)

    assert "missing AICORE_BASE_URL, AICORE_AUTH_URL, one of: AICORE_CLIENT_SECRET" in str(
        refused.value
    )
    assert "present AICORE_CLIENT_ID" in str(refused.value)


def test_an_incomplete_service_key_is_reported_with_its_own_field_names(tmp_path: Path) -> None:
    key = {name: value for name, value in KEY.items() if name != "serviceurls"}

    with pytest.raises(AuthError, match=r"missing serviceurls\.AI_API_URL"):
        find_credentials({"AICORE_SERVICE_KEY": json.dumps(key)}, home=tmp_path)


def test_secret_and_certificate_together_are_ambiguous(tmp_path: Path) -> None:
    environ = {**ALL_VARIABLES, "AICORE_CERT_STR": ""}

    with pytest.raises(AuthError, match="more than one way: AICORE_CLIENT_SECRET; AICORE_CERT_F"):
        find_credentials(environ, home=tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{'clientsecret': 'hunter2'}", "property name"),
        ('["hunter2"]', "a JSON list"),
        ('"hunter2"', "a JSON str"),
        ("[" * 100_000, "too deep"),
        ('{"clientsecret": "hunter2', "Unterminated"),
    ],
)
def test_a_key_that_is_not_json_is_named_but_not_shown(
    text: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)

    with pytest.raises(AuthError, match=problem) as by_file:
        find_credentials({}, home=tmp_path, service_key_file=path)
    with pytest.raises(AuthError, match=problem) as by_variable:
        find_credentials({"AICORE_SERVICE_KEY": text}, home=tmp_path)

    assert str(path) in str(by_file.value)
    assert "AICORE_SERVICE_KEY" in str(by_variable.value)
    for refused in (by_file, by_variable):
        assert "hunter2" not in repr((str(refused.value), refused.value.__context__))


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuthError, match=r"absent\.json: No such file"):
        find_credentials({}, home=tmp_path, service_key_file=tmp_path / "absent.json")


def test_a_key_file_that_is_another_file_does_not_fall_through(tmp_path: Path) -> None:
    path = tmp_path / "package.json"
    path.write_text('{"name": "x"}')

    with pytest.raises(AuthError, match="no field of a service key"):
        find_credentials(VARIABLES, home=tmp_path, service_key_file=path)


@pytest.mark.parametrize("environ", [VARIABLES, {"AICORE_SERVICE_KEY": json.dumps(KEY)}])
def test_credentials_show_no_secret(environ: dict[str, str], tmp_path: Path) -> None:
    found = find_credentials(environ, home=tmp_path)

    shown = f"{found!r} {found} {found.proof!r} {found.proof} {[found.proof]}"
    assert "secret" not in shown
    assert "***" in shown


def test_a_private_key_is_a_secret_too(tmp_path: Path) -> None:
    key = {**ALL_KEY_FIELDS, "clientsecret": ""}

    found = find_credentials({"AICORE_SERVICE_KEY": json.dumps(key)}, home=tmp_path)

    assert "KEY\n" not in repr(found)
    assert isinstance(found.proof, CertificateText)
    assert found.proof.key.reveal() == "KEY\nOF KEY"
    assert found.token_url == "https://cert.key.example.com/oauth/token"


def test_a_secret_compares_by_its_text_and_is_not_printable() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a") != "a"


@pytest.mark.parametrize("take_apart", [pickle.dumps, copy.deepcopy])
def test_a_secret_has_no_public_text(take_apart: Any) -> None:
    with pytest.raises(TypeError, match="does not leave"):
        take_apart(Secret("hunter2"))
