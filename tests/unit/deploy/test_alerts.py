"""Each alert fires at what it is for, and none where all is well, as Prometheus itself evaluates them."""

import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from b2b_chat.contract.errors import ACCOUNT_FAULTS
from support.processes.programs import needed_tool

RULES: Final = Path(__file__).parents[3] / "deploy/prometheus/alerts.yml"
MINUTES: Final = 30
SAMPLES: Final = 4 * MINUTES
"""Four a minute."""

Series = dict[str, str]
"""Values by series, as promtool writes them: `a+bxn` is a, then n times b more; `axn` is a, and n times the same."""

PRODUCT: Final = 'job="product_api", instance="ru:9464"'
GATEWAY: Final = 'job="gateway_api", instance="us:9465"'
STILL: Final = f"0x{SAMPLES}"
STEADY: Final = f"0+10x{SAMPLES}"
ONCE: Final = f"0x{SAMPLES - 20} 1x20"
SOME: Final = f"0+1x{SAMPLES}"


def always(value: float) -> str:
    return f"{value}x{SAMPLES}"


def slower_than(metric: str, labels: str, seconds: str) -> Series:
    """A histogram, nine tenths of which are above a bucket."""
    return {
        f'{metric}_bucket{{{labels}, le="{seconds}"}}': SOME,
        f'{metric}_bucket{{{labels}, le="100"}}': STEADY,
        f'{metric}_bucket{{{labels}, le="+Inf"}}': STEADY,
    }


def quicker_than(metric: str, labels: str, seconds: str) -> Series:
    """A histogram, all of which is in the bucket."""
    return dict.fromkeys(slower_than(metric, labels, seconds), STEADY)


WELL: Final[Series] = {
    f"up{{{PRODUCT}}}": always(1),
    f"up{{{GATEWAY}}}": always(1),
    f'b2b_chat_requests_total{{{PRODUCT}, status="200"}}': STEADY,
    f'b2b_chat_requests_total{{{PRODUCT}, status="500"}}': STILL,
    f'product_answers_total{{{PRODUCT}, status="completed", code=""}}': STEADY,
    f'product_answers_total{{{PRODUCT}, status="error", code="client_disconnected"}}': STEADY,
    f'product_answers_total{{{PRODUCT}, status="error", code="gateway_timeout"}}': STILL,
    f'product_answer_restarts_total{{{PRODUCT}, code="answer_cut"}}': SOME,
    f"product_charged_credits_total{{{PRODUCT}}}": STEADY,
    f"product_abandoned_credits_total{{{PRODUCT}}}": SOME,
    **quicker_than("product_first_delta_seconds", PRODUCT, "8"),
    f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="ok"}}': f"0+100x{SAMPLES}",
    f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="abandoned"}}': f"0+100x{SAMPLES}",
    f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="upstream_authentication"}}': STILL,
    f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="upstream_timeout"}}': STILL,
    # What people ask wrongly is no failure of OpenAI.
    f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="content_filtered"}}': f"0+60x{SAMPLES}",
    f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="upstream_empty"}}': f"0+60x{SAMPLES}",
    f'gateway_breaker_open{{{GATEWAY}, upstream="primary"}}': always(0),
    f'gateway_refusals_total{{{GATEWAY}, code="invalid_signature"}}': STILL,
    f'gateway_refusals_total{{{GATEWAY}, code="replayed_nonce"}}': STILL,
    f"gateway_nonces{{{GATEWAY}}}": always(10),
    f"gateway_nonces_max{{{GATEWAY}}}": always(100),
    f"product_wrong_login_codes_total{{{PRODUCT}}}": ONCE,
    f'product_masking_failures_total{{{PRODUCT}, problem="detector"}}': STILL,
    f"product_outbox_oldest_seconds{{{PRODUCT}}}": always(5),
    f"product_outbox_mails{{{PRODUCT}}}": always(3),
    f'product_mails_total{{{PRODUCT}, outcome="sent"}}': STEADY,
    f'product_mails_total{{{PRODUCT}, outcome="dead"}}': STILL,
    f'b2b_chat_database_connections{{{PRODUCT}, pool="chat"}}': always(3),
    f'b2b_chat_database_connections_max{{{PRODUCT}, pool="chat"}}': always(16),
    f"product_sweeper_last_run_timestamp_seconds{{{PRODUCT}}}": f"0+15x{SAMPLES}",
    f"product_sweeper_interrupted_total{{{PRODUCT}}}": STILL,
    **quicker_than("b2b_chat_event_loop_lag_seconds", PRODUCT, "0.25"),
    f"b2b_chat_background_failures_total{{{PRODUCT}}}": STILL,
    f"b2b_chat_draining{{{PRODUCT}}}": always(0),
    f"b2b_chat_valkey_away{{{GATEWAY}}}": always(0),
    **quicker_than("b2b_chat_valkey_seconds", GATEWAY, "0.1"),
    f"product_relay_down{{{PRODUCT}}}": always(0),
    f"product_relay_gaps_total{{{PRODUCT}}}": STILL,
}
WRONG: Final[dict[str, Series]] = {
    "ProcessDown": {f"up{{{GATEWAY}}}": always(0)},
    "RequestsFail": {f'b2b_chat_requests_total{{{PRODUCT}, status="500"}}': SOME},
    "AnswersFail": {f'product_answers_total{{{PRODUCT}, status="error", code="gateway_timeout"}}': STEADY},
    "AnswersRestart": {f'product_answer_restarts_total{{{PRODUCT}, code="answer_cut"}}': f"0+3x{SAMPLES}"},
    "AnswersGivenUp": {f"product_abandoned_credits_total{{{PRODUCT}}}": f"0+3x{SAMPLES}"},
    "AnswersSlow": slower_than("product_first_delta_seconds", PRODUCT, "8"),
    "UpstreamRefusesUs": {
        f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="upstream_authentication"}}': SOME
    },
    "UpstreamFails": {
        f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="upstream_timeout"}}': f"0+100x{SAMPLES}"
    },
    "BreakerOpen": {f'gateway_breaker_open{{{GATEWAY}, upstream="primary"}}': always(1)},
    "SignaturesRefused": {f'gateway_refusals_total{{{GATEWAY}, code="invalid_signature"}}': SOME},
    "NoncesReplayed": {f'gateway_refusals_total{{{GATEWAY}, code="replayed_nonce"}}': ONCE},
    "NoncesNearlyFull": {f"gateway_nonces{{{GATEWAY}}}": always(90)},
    "LoginCodesGuessed": {f"product_wrong_login_codes_total{{{PRODUCT}}}": STEADY},
    "MaskingFails": {f'product_masking_failures_total{{{PRODUCT}, problem="detector"}}': ONCE},
    "MailWaits": {f"product_outbox_oldest_seconds{{{PRODUCT}}}": always(301)},
    "MailQueueGrows": {f"product_outbox_mails{{{PRODUCT}}}": f"0+2x{SAMPLES}"},
    "MailDead": {f'product_mails_total{{{PRODUCT}, outcome="dead"}}': ONCE},
    "DatabasePoolFull": {f'b2b_chat_database_connections{{{PRODUCT}, pool="chat"}}': always(16)},
    "SweeperSilent": {f"product_sweeper_last_run_timestamp_seconds{{{PRODUCT}}}": always(0)},
    "AnswersInterrupted": {f"product_sweeper_interrupted_total{{{PRODUCT}}}": ONCE},
    "EventLoopLags": slower_than("b2b_chat_event_loop_lag_seconds", PRODUCT, "0.25"),
    "BackgroundWorkFails": {f"b2b_chat_background_failures_total{{{PRODUCT}}}": SOME},
    "DrainingLong": {f"b2b_chat_draining{{{PRODUCT}}}": always(1)},
    "ValkeyAway": {f"b2b_chat_valkey_away{{{GATEWAY}}}": always(1)},
    "ValkeySlow": slower_than("b2b_chat_valkey_seconds", GATEWAY, "0.1"),
    "RelayDown": {f"product_relay_down{{{PRODUCT}}}": always(1)},
    "RelayLosesText": {f"product_relay_gaps_total{{{PRODUCT}}}": SOME},
}


def case(firing: str | None, series: Series) -> dict[str, Any]:
    """A test of promtool's: what fires in the end."""
    samples = [] if firing is None else [{"labels": f'{{alertname="{firing}"}}', "value": 1}]
    fires = 'group by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": fires, "eval_time": f"{MINUTES - 1}m", "exp_samples": samples}],
    }


def judged(folder: Path, *cases: dict[str, Any]) -> tuple[int, str]:
    """What promtool says of these tests of our rules."""
    promtool = needed_tool("promtool", package="prometheus")
    file = folder / "cases.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": list(cases)}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_each_has_its_case() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    assert list(WRONG) == [rule["alert"] for rule in group["rules"]]
    for series in WRONG.values():
        assert series.keys() <= WELL.keys()


def test_each_alert_fires_for_its_own_cause_alone(tmp_path: Path) -> None:
    code, said = judged(tmp_path, case(None, WELL), *(case(alert, WELL | series) for alert, series in WRONG.items()))
    assert code == 0, said


def test_every_fault_of_an_account_is_reported(tmp_path: Path) -> None:
    faults = [
        f'gateway_upstream_attempts_total{{{GATEWAY}, upstream="primary", code="{code}"}}'
        for code in sorted(ACCOUNT_FAULTS)
    ]
    code, said = judged(tmp_path, *(case("UpstreamRefusesUs", WELL | {fault: SOME}) for fault in faults))
    assert code == 0, said


def test_the_judge_would_notice(tmp_path: Path) -> None:
    assert judged(tmp_path, case("MailWaits", WELL))[0] != 0
    assert judged(tmp_path, case(None, WELL | WRONG["MailWaits"]))[0] != 0
