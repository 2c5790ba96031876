from prometheus_client import REGISTRY

from b2b_chat.contract.errors import ACCOUNT_FAULTS
from b2b_chat.gateway import telemetry
from b2b_chat.gateway.upstream import open_upstreams
from support.gateway.app import gateway_settings


async def test_what_alerts_wait_for_is_there_before_it_happens() -> None:
    upstreams = open_upstreams(gateway_settings(upstream_breaker_failures=2))
    telemetry.watch(lambda: 7, upstreams)
    (upstream,) = upstreams
    assert REGISTRY.get_sample_value("gateway_calls") == 7
    for code in ACCOUNT_FAULTS:
        labels = {"upstream": "primary", "code": code}
        assert REGISTRY.get_sample_value("gateway_upstream_attempts_total", labels) is not None
    opened = []
    for _ in range(2):
        opened.append(REGISTRY.get_sample_value("gateway_breaker_open", {"upstream": "primary"}))
        upstream.breaker.failed()
    opened.append(REGISTRY.get_sample_value("gateway_breaker_open", {"upstream": "primary"}))
    assert opened == [0, 0, 1]
    await upstream.close()
