package sallyport.gate_test

test_bytes_are_compared_as_they_are if {
	every resource in [
		"/v1/%74elemetry",
		"/v1/Telemetry",
		"/v1/telemetry/",
		"/v1//telemetry",
		"//v1/telemetry",
		"/v1/telemetry ",
		"/v1/./telemetry",
		"/v1/telemetry%00",
		"/v1/telemetry;x=1",
		"v1/telemetry",
		"",
	] {
		_request("POST", resource) == _denied(["no-route"])
	}
}

test_verbs_are_compared_as_they_are if {
	every verb in ["GET", "post", "POST ", "", "*", "WS"] {
		_request(verb, "/v1/telemetry") == _denied(["no-route"])
	}
}

test_any_method_is_not_a_websocket if {
	_permits(_request("GET", "/v1/anything"), "sensors/anything")
	_permits(_request("DELETE", "/v1/anything"), "sensors/anything")
	_request("WS", "/v1/anything") == _denied(["no-route"])
}

test_own_id if _permits(_request("GET", "/v1/devices/thermo-1/config"), "sensors/config")

test_other_ids if {
	every id in ["thermo-2", "thermo-1x", "THERMO-1", "{device.id}", "*", "", "thermo%2D1"] {
		_request("GET", concat("", ["/v1/devices/", id, "/config"])) == _denied(["no-route"])
	}
}

test_id_with_a_dot if {
	changes := {"device": {"id": "a.b"}, "action": {"resource": "/v1/devices/a.b/config"}}
	_permits(_decide(changes), "sensors/config")
	other := {"device": {"id": "a.b"}, "action": {"resource": "/v1/devices/axb/config"}}
	_decide(other) == _denied(["no-route"])
}

test_id_that_is_a_word_of_the_template if {
	changes := {"device": {"id": "devices"}, "action": {"resource": "/v1/devices/devices/config"}}
	_permits(_decide(changes), "sensors/config")
}

test_the_most_specific_route_decides if {
	_permits(_request("GET", "/files/thermo-1"), "sensors/own-file")
	_permits(_request("GET", "/files/thermo-2"), "sensors/one-file")
	_permits(_request("GET", "/files/a/b"), "sensors/files")
}

test_one_segment_is_not_empty_and_the_rest_may_be if {
	_permits(_request("GET", "/files/"), "sensors/files")
	_request("GET", "/files") == _denied(["no-route"])
}

test_wildcards_take_nothing_ambiguous if {
	every resource in [
		"/files/%2e%2e/admin",
		"/files/%2E./admin",
		"/files/..",
		"/files/./x",
		"/files/../admin",
		"/files/..;/admin",
		"/files/.;a/x",
		"/files/a%2fb",
		"/files/a%5Cb",
		`/files/a\b`,
		"/files/%252e%252e/admin",
		"/files/a%00",
		"/files//a",
	] {
		_request("GET", resource) == _denied(["no-route"])
	}
}

test_wildcards_take_other_encodings if _permits(_request("GET", "/files/caf%C3%A9"), "sensors/one-file")
