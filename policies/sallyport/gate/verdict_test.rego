package sallyport.gate_test

import data.sallyport.gate

test_permit_carries_what_the_route_demands if {
	_request("POST", "/v1/telemetry") == {
		"v": 7,
		"allow": true,
		"reasons": [],
		"obligations": {
			"route": "sensors/telemetry",
			"upstream": "cloud",
			"privacy": "readings",
			"rate": {"bucket": "sensors/telemetry", "per_second": 10, "burst": 20},
		},
	}
}

test_what_is_not_said_is_denied if {
	_request("GET", "/admin") == _denied(["no-route"])
}

test_no_input_is_denied if {
	gate.verdict == {"v": null, "allow": false, "reasons": ["policy-denied"], "obligations": {}}
}

test_half_an_input_is_denied if {
	verdict := gate.verdict with input as {"v": 7, "device": {"state": "active"}} with data.configuration as configuration
	verdict == _denied(["unknown-segment"])
}

test_no_configuration_is_denied if {
	verdict := gate.verdict with input as _message with data.configuration as {}
	verdict == _denied(["unknown-segment"])
}

test_empty_action_is_denied if {
	verdict := gate.verdict with input as object.union(object.remove(_message, ["action"]), {"v": 7})
		with data.configuration as configuration
	verdict.allow == false
}

test_custom_denial_with_a_known_reason if {
	verdict := gate.verdict with input as object.union(_message, {"action": {"verb": "POST", "resource": "/v1/telemetry"}})
		with data.configuration as configuration
		with data.sallyport.custom.deny as {"outside-schedule"}
	verdict == _denied(["outside-schedule"])
}

test_custom_denial_with_a_word_of_its_own if {
	verdict := gate.verdict with input as object.union(_message, {"action": {"verb": "POST", "resource": "/v1/telemetry"}})
		with data.configuration as configuration
		with data.sallyport.custom.deny as {"full-moon", {"not": "text"}}
	verdict == _denied(["policy-denied"])
}

test_custom_policy_cannot_allow if {
	verdict := gate.verdict with input as object.union(_message, {"action": {"resource": "/admin"}})
		with data.configuration as configuration
		with data.sallyport.custom as {"allow": true, "deny": set(), "grant": {"route": "a", "upstream": "cloud"}}
	verdict == _denied(["no-route"])
}

test_reasons_come_in_order if {
	changes := {"device": {"state": "quarantined"}, "action": {"protocol": "https", "verb": "WS", "resource": "/v1/narrow", "bytes": 5, "direction": "toDevice"}}
	_decide(changes) == _denied(["device-quarantined", "protocol-not-allowed", "direction-not-allowed", "outside-schedule"])
}
