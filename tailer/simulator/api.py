"""The endpoints of AI Core and its token server, without transport."""

import base64
import binascii

from tailer.model import Kind, Target
from tailer.simulator.requests import Request, parse_list_query, parse_log_query, selects_status
from tailer.simulator.responses import (
    RefusedError,
    Response,
    bad_request,
    json_response,
    not_found,
    text_response,
)
from tailer.simulator.targets import SimulatedTarget, TargetRegistry
from tailer.simulator.tokens import Tokens
from tailer.simulator.workloads import (
    configuration_id,
    detailed,
    executable_id,
    listed,
    status_only,
)

_RESOURCE_GROUP = {
    "tenantId": "00000000-0000-4000-8000-000000000001",
    "zoneId": "",
    "createdAt": "2023-01-01T00:00:00Z",
    "labels": [],
    "status": "PROVISIONED",
    "statusMessage": "All onboarding steps are completed.",
}
_META = {
    "runtimeIdentifier": "aicore",
    "runtimeApiVersion": "2.42.0",
    "description": "A simulated SAP AI Core",
    "aiApi": {
        "version": "2.42.0",
        "capabilities": {"logs": {"executions": True, "deployments": True}},
        "limits": {},
    },
    "extensions": {"resourceGroups": {"version": "1.0.0"}},
}


class Api:
    """Each method answers one endpoint, or raises RefusedError with the refusal."""

    def __init__(self, targets: TargetRegistry, tokens: Tokens) -> None:
        self._targets = targets
        self._tokens = tokens

    def token(self, request: Request) -> Response:
        client_id, secret = _client_id_and_secret(request)
        if request.body.get("grant_type") != "client_credentials":
            return _token_error(400, "unsupported_grant_type", "client_credentials only")
        if not self._tokens.accepts(client_id, secret, has_certificate=request.has_certificate):
            return _token_error(401, "unauthorized", "Bad credentials")
        return json_response(self._tokens.issue(client_id, now_ns=self._targets.now_ns()))

    def create(self, request: Request) -> Response:
        group = self._resource_group(request)
        wanted = request.body.get("configurationId", "")
        created = self._targets.create(wanted, resource_group=group)
        if created is None:
            raise not_found(f"Configuration {wanted} not found", path=request.path)
        scheduled = {"id": created.id, "message": "Execution scheduled", "status": "UNKNOWN"}
        return json_response(scheduled, 202)

    def list_workloads(self, request: Request, kind: Kind) -> Response:
        query = parse_list_query(request)
        matching = self._matching(request, kind)
        now_ns = self._targets.now_ns()
        page = matching[query.skip : query.skip + query.top]
        resources = [listed(it, now_ns=now_ns) for it in page]
        if query.only_status:
            resources = [status_only(it) for it in resources]
        return json_response({"count": len(matching), "resources": resources})

    def count_workloads(self, request: Request, kind: Kind) -> Response:
        return text_response(str(len(self._matching(request, kind))))

    def get_workload(self, request: Request, kind: Kind) -> Response:
        content = detailed(self._find(request, kind), now_ns=self._targets.now_ns())
        return json_response(status_only(content) if selects_status(request) else content)

    def logs(self, request: Request, kind: Kind) -> Response:
        target = self._find(request, kind)
        now_ns = self._targets.now_ns()
        entries = target.query(parse_log_query(request, now_ns=now_ns), now_ns=now_ns)
        if entries is None:
            raise not_found(f"No logs found for {kind} {request.id}", path=request.path)
        return Response(200, b'{"data":{"result":[' + b",".join(entries) + b"]}}")

    def resource_groups(self, request: Request) -> Response:
        self._check_token(request)
        groups = self._targets.resource_groups()
        resources = [{"resourceGroupId": group, **_RESOURCE_GROUP} for group in groups]
        return json_response({"count": len(resources), "resources": resources})

    def meta(self, request: Request) -> Response:
        self._check_token(request)
        return json_response(_META)

    def revoke_token(self, request: Request) -> None:
        """Revoke the token that this request carries."""
        self._tokens.revoke(request.headers.get("Authorization", ""))

    def _matching(self, request: Request, kind: Kind) -> list[SimulatedTarget]:
        group = self._resource_group(request)
        query = parse_list_query(request)
        now_ns = self._targets.now_ns()
        return [
            it
            for it in self._targets.existing()
            if (it.target.kind, it.target.resource_group) == (kind, group)
            and (query.ids is None or executable_id(it) in query.ids)
            and query.configuration_id in {None, configuration_id(it)}
            and query.scenario_id in {None, it.plan.scenario_id}
            and query.status in {None, it.timeline.status_at(now_ns)}
        ]

    def _find(self, request: Request, kind: Kind) -> SimulatedTarget:
        target = Target(self._resource_group(request), kind, request.id)
        for existing in self._targets.existing():
            if existing.target == target:
                return existing
        raise not_found(f"{kind.capitalize()} ID {request.id} not found", path=request.path)

    def _resource_group(self, request: Request) -> str:
        """The group of a valid request; the gateway refuses no group and a foreign one alike."""
        self._check_token(request)
        group = request.headers.get("AI-Resource-Group")
        if group is None or group not in self._targets.resource_groups():
            raise RefusedError(text_response("RBAC: access denied", 403))
        return group

    def _check_token(self, request: Request) -> None:
        authorization = request.headers.get("Authorization", "")
        refusal = self._tokens.refusal_reason(authorization, now_ns=self._targets.now_ns())
        if refusal is not None:
            raise RefusedError(text_response(refusal, 401))


def _token_error(status: int, error: str, description: str) -> Response:
    return json_response({"error": error, "error_description": description}, status)


def _client_id_and_secret(request: Request) -> tuple[str, str]:
    """Read from Basic authentication, else from the form."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return request.body.get("client_id", ""), request.body.get("client_secret", "")
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise bad_request("unreadable Basic credentials", path=request.path) from error
    client_id, _, secret = text.partition(":")
    return client_id, secret
