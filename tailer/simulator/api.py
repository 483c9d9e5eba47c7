"""The service's answers to its requests, without any transport."""

import base64
import binascii

from tailer.model import Kind, Target
from tailer.simulator.requests import Request, only_status, parse_list_query, parse_log_query
from tailer.simulator.responses import (
    RBAC_DENIED,
    RefusedError,
    Response,
    bad_request,
    json_answer,
    not_found,
    page_answer,
    text_answer,
)
from tailer.simulator.targets import LiveTarget, Population
from tailer.simulator.tokens import Tokens
from tailer.simulator.workloads import (
    configuration_id,
    described,
    detailed,
    executable_id,
    status_only,
)


class Service:
    """Each method answers one endpoint, or raises RefusedError with the service's refusal."""

    def __init__(self, population: Population, tokens: Tokens) -> None:
        self._population = population
        self._tokens = tokens

    def token(self, question: Request) -> Response:
        client_id, client_secret = _client(question)
        if question.body.get("grant_type") != "client_credentials":
            return json_answer(
                {"error": "unsupported_grant_type", "error_description": "client_credentials only"},
                400,
            )
        proven = self._tokens.accepts(
            client_id, client_secret, has_certificate=question.has_certificate
        )
        if not proven:
            return json_answer(
                {"error": "unauthorized", "error_description": "Bad credentials"}, 401
            )
        return json_answer(self._tokens.issue(client_id, now_ns=self._population.now_ns()))

    def create(self, question: Request) -> Response:
        group = self._admitted_group(question)
        configuration_id = question.body.get("configurationId", "")
        created = self._population.create(configuration_id, resource_group=group)
        if created is None:
            raise not_found(f"Configuration {configuration_id} not found", path=question.path)
        scheduled = {"id": created.id, "message": "Execution scheduled", "status": "UNKNOWN"}
        return json_answer(scheduled, 202)

    def workloads(self, question: Request, kind: Kind) -> Response:
        wanted = parse_list_query(question)
        found = self._matching(question, kind)
        now_ns = self._population.now_ns()
        resources = [described(it, now_ns=now_ns) for it in found][wanted.skip :][: wanted.top]
        if wanted.only_status:
            resources = [status_only(it) for it in resources]
        return json_answer({"count": len(found), "resources": resources})

    def count(self, question: Request, kind: Kind) -> Response:
        return text_answer(str(len(self._matching(question, kind))))

    def workload(self, question: Request, kind: Kind, name: str) -> Response:
        live = self._existing(question, kind, name)
        description = detailed(live, now_ns=self._population.now_ns())
        return json_answer(status_only(description) if only_status(question) else description)

    def logs(self, question: Request, kind: Kind, name: str) -> Response:
        live = self._existing(question, kind, name)
        now_ns = self._population.now_ns()
        wanted = parse_log_query(question, now_ns=now_ns)
        entries = live.query(
            start_ns=wanted.start_ns,
            end_ns=wanted.end_ns,
            top=wanted.top,
            order=wanted.order,
            now_ns=now_ns,
        )
        if entries is None:
            raise not_found(f"No logs found for {kind} {name}", path=question.path)
        return page_answer(entries)

    def resource_groups(self, question: Request) -> Response:
        self._check_token(question)
        resources = [
            {
                "resourceGroupId": group,
                "tenantId": "00000000-0000-4000-8000-000000000001",
                "zoneId": "",
                "createdAt": "2023-01-01T00:00:00Z",
                "labels": [],
                "status": "PROVISIONED",
                "statusMessage": "All onboarding steps are completed.",
            }
            for group in self._population.resource_groups()
        ]
        return json_answer({"count": len(resources), "resources": resources})

    def meta(self, question: Request) -> Response:
        self._check_token(question)
        return json_answer(
            {
                "runtimeIdentifier": "aicore",
                "runtimeApiVersion": "2.42.0",
                "description": "A stand-in for SAP AI Core",
                "aiApi": {
                    "version": "2.42.0",
                    "capabilities": {"logs": {"executions": True, "deployments": True}},
                    "limits": {},
                },
                "extensions": {"resourceGroups": {"version": "1.0.0"}},
            }
        )

    def expire(self, question: Request) -> None:
        """End the life of the token that came with this request."""
        self._tokens.revoke(question.headers.get("Authorization", ""))

    def _matching(self, question: Request, kind: Kind) -> list[LiveTarget]:
        group = self._admitted_group(question)
        wanted = parse_list_query(question)
        now_ns = self._population.now_ns()
        return [
            it
            for it in self._population.existing()
            if (it.target.kind, it.target.resource_group) == (kind, group)
            and (wanted.ids is None or executable_id(it) in wanted.ids)
            and wanted.configuration_id in {None, configuration_id(it)}
            and wanted.scenario_id in {None, it.plan.scenario_id}
            and wanted.status in {None, it.life.status_at(now_ns)}
        ]

    def _existing(self, question: Request, kind: Kind, name: str) -> LiveTarget:
        target = Target(self._admitted_group(question), kind, name)
        for live in self._population.existing():
            if live.target == target:
                return live
        raise not_found(f"{kind.capitalize()} ID {name} not found", path=question.path)

    def _admitted_group(self, question: Request) -> str:
        """A missing group and a foreign one get the same words, as from the gateway."""
        self._check_token(question)
        group = question.headers.get("AI-Resource-Group")
        if group is None or group not in self._population.resource_groups():
            raise RefusedError(text_answer(RBAC_DENIED, 403))
        return group

    def _check_token(self, question: Request) -> None:
        authorization = question.headers.get("Authorization", "")
        complaint = self._tokens.complaint(authorization, now_ns=self._population.now_ns())
        if complaint is not None:
            raise RefusedError(text_answer(complaint, 401))


def _client(question: Request) -> tuple[str, str]:
    """Id and secret, from the form or else from Basic authentication."""
    scheme, _, encoded = question.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return question.body.get("client_id", ""), question.body.get("client_secret", "")
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise bad_request("unreadable Basic credentials", path=question.path) from error
    client_id, _, client_secret = text.partition(":")
    return client_id, client_secret
