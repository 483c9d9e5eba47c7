import pytest

from tailer.aicore.connect import proxy_for

API = "https://api.ai.example.com/v2"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:2"}, "http://low:1"),
        ({"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ({"HTTP_PROXY": "http://plain:1"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost,.example.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "ai.Example.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ple.com, ,other.com"}, "http://p:1"),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(
    environ: dict[str, str], proxy: str | None
) -> None:
    assert proxy_for(API, environ) == proxy


def test_plain_http_listens_to_the_lower_case_name_only() -> None:
    environ = {"HTTP_PROXY": "http://header-of-a-request:1"}

    assert proxy_for("http://127.0.0.1:80/v2", environ) is None
    assert proxy_for("http://127.0.0.1:80/v2", {"http_proxy": "http://p:1"}) == "http://p:1"


def test_an_exemption_may_name_a_port() -> None:
    environ = {"http_proxy": "http://p:1", "NO_PROXY": "127.0.0.1:8080"}

    assert proxy_for("http://127.0.0.1:8080/v2", environ) is None
    assert proxy_for("http://127.0.0.1:8081/v2", environ) == "http://p:1"
