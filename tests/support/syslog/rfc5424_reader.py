"""RFC 5424 read strictly by its own ABNF (section 6), and by nothing of ours."""

import re
from dataclasses import dataclass

_MESSAGE = re.compile(
    rb"<(?P<pri>0|[1-9]\d{0,2})>1"
    rb" (?P<time>-|\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    rb"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))"
    rb" (?P<hostname>[!-~]{1,255}) (?P<app_name>[!-~]{1,48})"
    rb" (?P<procid>[!-~]{1,128}) (?P<msgid>[!-~]{1,32})"
    rb" \[(?P<sd_id>[!#-<>-\\^-~]{1,32})"
    rb'(?P<params>(?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\]'
    rb"(?: (?P<msg>.*))?",
    re.DOTALL,
)
_PARAM = re.compile(r' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"', re.DOTALL)


@dataclass(frozen=True)
class Read:
    facility: int
    severity: int
    time: str
    header: tuple[str, str, str, str]
    sd_id: str
    params: dict[str, str]
    msg: str


def read(message: bytes) -> Read:
    found = _MESSAGE.fullmatch(message)
    assert found is not None, message
    facility, severity = divmod(int(found["pri"]), 8)
    assert facility < 24
    params = _PARAM.findall(found["params"].decode())
    assert len({name for name, _ in params}) == len(params)
    return Read(
        facility=facility,
        severity=severity,
        time=found["time"].decode(),
        header=(
            found["hostname"].decode(),
            found["app_name"].decode(),
            found["procid"].decode(),
            found["msgid"].decode(),
        ),
        sd_id=found["sd_id"].decode(),
        params={name: re.sub(r'\\(["\\\]])', r"\1", value) for name, value in params},
        msg=found["msg"].decode(),
    )
