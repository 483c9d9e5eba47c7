"""What is written as text and has rules of its own: names, addresses, templates. Pure.

Each check gives back the text that is meant, or says what would be right.
"""

import difflib
import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tailer.config.readers import Text, WrongValueError, shown
from tailer.model import Kind

PATH_FIELDS: Final = ("resource_group", "kind", "id", "pod", "container", "date")
LINE_FIELDS: Final = (
    "time",
    "timestamp",
    "resource_group",
    "kind",
    "id",
    "target",
    "pod",
    "container",
    "stream",
    "msg",
)  # the formatter's own, which is above us; a test compares

FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", *(f"local{number}" for number in range(8))),
)  # RFC 5424, table 1, by the names that syslog daemons know
SEVERITIES: Final = (
    *("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"),
)  # RFC 5424, table 2: the place is the code
HEADER_FIELDS: Final = (
    *("resource_group", "kind", "id", "target", "scenario", "pod", "container", "stream"),
)
_NETWORK_SCHEMES: Final = ("udp", "tcp", "tls", "relp", "relp+tls")

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_FIELD = re.compile(r"\{([^{}]*)\}")
_BRACES = re.compile(r"\{\{|\}\}|\{[^{}]*\}")  # from the left, as the formatter takes them
# RFC 5424, 7.2.2: an enterprise number, with sub-identifiers if wanted. With "aicore@" before
# it, the whole must not be longer than 32 characters.
_ENTERPRISE_ID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
_LONGEST_ENTERPRISE_ID: Final = 32 - len("aicore@")
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:-]{0,252})", re.ASCII)
_LINE_FIELD = re.compile(r"(?P<name>[^:]*)(?::[0-9]{1,3})?", re.ASCII)
_LAST_PORT: Final = 65_535
_UNIX: Final = "unix:"
_LONGEST_SOCKET_PATH: Final = 100  # unix(7): 107 bytes, and it is made under a longer name


def suggestion(word: str, known: tuple[str, ...]) -> str:
    """`did you mean …?`, or all there is."""
    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise WrongValueError(
            f"{shown(text)} is not a name; 1 to 100 letters, digits, '.', '_' and '-'"
        )
    return text


def _target(text: str) -> str:
    kind, slash, id_ = text.rpartition("/")
    kinds = tuple(Kind)
    if slash and kind.removesuffix("s") not in kinds:
        raise WrongValueError(
            f"{shown(text)} is not a target; write deployment/ID, execution/ID or a bare ID"
        )
    if not _NAME.fullmatch(id_):
        raise WrongValueError(
            f"{shown(text)} is not a target; an ID has letters, digits, '.', '_' and '-' only"
        )
    return f"{kind.removesuffix('s')}/{id_}" if slash else id_


def _listen_address(text: str) -> str:
    if not text:
        return text
    remedy = 'write "127.0.0.1:9464", or "" for none'
    if text.startswith(_UNIX):
        _refuse_unusable_socket(text)
        return text
    if "://" in text:
        raise WrongValueError(f"{shown(text)} is a URL; only host and port: {remedy}")
    address = _split(f"//{text}")
    if not address.hostname or not address.port or address.netloc != text or "@" in text:
        raise WrongValueError(f"{shown(text)} is not host:port or unix:/path; {remedy}")
    return text


def _refuse_unusable_socket(text: str) -> None:
    path = text.removeprefix(_UNIX)
    if not path.startswith("/") or path.startswith("//") or path.endswith("/") or "\0" in path:
        raise WrongValueError(
            f"{shown(text)} names no socket; one slash, as in unix:/run/tailer/status.sock"
        )
    if len(path.encode()) > _LONGEST_SOCKET_PATH:
        raise WrongValueError(
            f"{shown(text)} is too long; at most {_LONGEST_SOCKET_PATH} bytes after unix:"
        )


def _syslog_url(text: str) -> str:
    url = _split(text)
    if url.scheme == "unix":
        if url.netloc or not url.path.startswith("/"):
            raise WrongValueError(
                f"{shown(text)} names no socket; three slashes, as in unix:///dev/log"
            )
        if url.query or url.fragment:
            raise WrongValueError(f"{shown(text)} goes on after the path; write unix://{url.path}")
        return text
    if url.scheme not in _NETWORK_SCHEMES:
        schemes = ", ".join(f"{scheme}://" for scheme in (*_NETWORK_SCHEMES, "unix"))
        raise WrongValueError(f"{shown(text)} is not a syslog address; begin it with {schemes}")
    if url.hostname is None:
        raise WrongValueError(f"{shown(text)} names no host; write {url.scheme}://HOST:PORT")
    if url.port == 0:
        raise WrongValueError(f"{shown(text)} is not an address; a port from 1 to {_LAST_PORT}")
    if url.path.strip("/") or url.query or url.fragment:
        raise WrongValueError(
            f"{shown(text)} goes on after the port; write {url.scheme}://{url.netloc}"
        )
    return text


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port  # the standard library looks at it only when asked
    except ValueError as error:
        raise WrongValueError(
            f"{shown(text)} is not an address; host and a port from 1 to {_LAST_PORT}"
        ) from error
    return url


def _path_template(text: str) -> str:
    _refuse_unknown_fields(text, PATH_FIELDS, _FIELD)
    base = PurePosixPath(text.partition("{")[0].rpartition("/")[0] or "/")
    if not text.startswith("/"):
        raise WrongValueError(f"{shown(text)} is not absolute; begin it with /")
    if "\0" in text or ".." in PurePosixPath(text).parts:
        raise WrongValueError(f"{shown(text)} leads elsewhere; write it without .. and NUL")
    if text.endswith("/"):
        raise WrongValueError(f"{shown(text)} is a directory; name a file, as in {text}{{id}}.log")
    if base == PurePosixPath("/"):
        raise WrongValueError(
            f"{shown(text)} has no directory of its own; begin it with one that only logs are "
            "in, as in /var/log/aicore/{id}.log"
        )
    return text


def _line_template(text: str) -> str:
    if not text:
        raise WrongValueError('the template is empty; as in "{time} {pod} {msg}"')
    without_literal_braces = _BRACES.sub(
        lambda found: " " if found[0] in {"{{", "}}"} else found[0], text
    )
    _refuse_unknown_fields(without_literal_braces, LINE_FIELDS, _FIELD)
    return text


def _header_template(text: str) -> str:
    if not text:
        raise WrongValueError('the template is empty; as in "{pod}", or "-" for nothing')
    _refuse_unknown_fields(text, HEADER_FIELDS, _FIELD)
    return text


def _enterprise_id(text: str) -> str:
    if not _ENTERPRISE_ID.fullmatch(text) or len(text) > _LONGEST_ENTERPRISE_ID:
        raise WrongValueError(
            f"{shown(text)} is not an enterprise number; your organization's own, in quotes and "
            'without a name, as in "32473"'
        )
    return text


def _server_name(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise WrongValueError(
            f"{shown(text)} is not the name of a host; the one in the server's certificate"
        )
    return text


def _refuse_unknown_fields(text: str, known: tuple[str, ...], pattern: re.Pattern[str]) -> None:
    for field in pattern.finditer(text):
        name, _, width = field[1].partition(":")
        if name not in known:
            raise WrongValueError(f"there is no field {{{name}}}; {suggestion(name, known)}")
        if ":" in field[1] and (known is not LINE_FIELDS or not _LINE_FIELD.fullmatch(field[1])):
            raise WrongValueError(f"{shown(width)} is not a width for {{{name}}}; write {{{name}}}")
    rest = pattern.sub("", text)
    if "{" in rest or "}" in rest:
        raise WrongValueError(f"a brace in {shown(text)} has no partner; each {{ needs a }}")


def _resource_group(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise WrongValueError(
            f"{shown(text)} is not a resource group; leave the key out for the usual one"
        )
    return text


NAME = Text(_name)
TARGET = Text(_target)
RESOURCE_GROUP = Text(_resource_group)
LISTEN_ADDRESS = Text(_listen_address, for_example='"127.0.0.1:9464"')
SYSLOG_URL = Text(_syslog_url)
PATH_TEMPLATE = Text(_path_template)
LINE_TEMPLATE = Text(_line_template)
HEADER_TEMPLATE = Text(_header_template)
ENTERPRISE_ID = Text(_enterprise_id)
SERVER_NAME = Text(_server_name)
