package sallyport.gate_test

_with_state(state) := _decide({"device": {"state": state}, "action": {"verb": "POST", "resource": "/v1/telemetry"}})

test_active if _permits(_with_state("active"), "sensors/telemetry")

test_disabled if _with_state("disabled") == _denied(["device-disabled"])

test_quarantined if _with_state("quarantined") == _denied(["device-quarantined"])

test_retired if _with_state("retired") == _denied(["device-retired"])

test_a_state_nobody_knows if _with_state("resting") == _denied(["policy-denied"])

test_a_state_that_is_no_text if _with_state(true) == _denied(["policy-denied"])

test_unknown_segment if {
	_decide({"device": {"segment": "attic"}}) == _denied(["unknown-segment"])
}

test_unknown_segment_that_reaches_out if {
	changes := {"device": {"segment": "attic"}, "target": {"device": "camera-2", "segment": "cameras"}}
	_decide(changes) == _denied(["unknown-segment"])
}
