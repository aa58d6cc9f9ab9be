package sallyport.gate_test

_camera := {"device": "camera-2", "segment": "cameras", "host": "10.0.3.17", "port": 443}

_to(target, verb, resource) := _decide({"action": {"verb": verb, "resource": resource}, "target": target})

test_reach if {
	_to(_camera, "GET", "/v1/still") == {
		"v": 7,
		"allow": true,
		"reasons": [],
		"obligations": {"route": "sensors/reach/cameras", "upstream": "device:camera-2", "privacy": "frames"},
	}
}

test_other_actions_are_not_in_reach if {
	_to(_camera, "GET", "/v1/reboot") == _denied(["reach-not-allowed"])
	_to(_camera, "POST", "/v1/still") == _denied(["reach-not-allowed"])
}

test_other_segments_are_not_in_reach if {
	_to({"device": "valve-1", "segment": "valves"}, "GET", "/v1/still") == _denied(["reach-not-allowed"])
}

test_routes_to_the_cloud_say_nothing_about_devices if {
	_to(_camera, "POST", "/v1/telemetry") == _denied(["reach-not-allowed"])
}

test_reach_says_nothing_about_the_cloud if {
	_request("GET", "/v1/still") == _denied(["no-route"])
}

# The first reason is the one a device is told: the same for a name nobody has and for a device it may not reach.
test_an_unknown_target_looks_like_one_out_of_reach if {
	_to({"device": "nobody"}, "GET", "/v1/still") == _denied(["reach-not-allowed", "target-unknown"])
}

test_a_target_that_is_not_active if {
	target := object.union(_camera, {"state": "quarantined"})
	_to(target, "GET", "/v1/still") == _denied(["target-unknown"])
}

test_a_target_that_is_no_name if {
	every device in ["", null, false, 5] {
		target := {"device": device, "segment": "cameras"}
		_to(target, "GET", "/v1/still").allow == false
		_to(target, "POST", "/v1/telemetry").allow == false
	}
}

test_reach_is_for_messages_alone if {
	changes := {"action": {"protocol": "egress", "resource": "/v1/still"}, "target": _camera}
	_decide(changes) == _denied(["reach-not-allowed"])
}
