package sallyport.gate_test

test_over if {
	_decide({"action": {"protocol": "egress", "verb": "POST", "resource": "/v1/telemetry"}}) == _denied(["protocol-not-allowed"])
}

# Of two routes with the same template the first is for CoAP only.
test_a_route_that_does_not_hold_leaves_the_others_alone if {
	_permits(_decide({"action": {"protocol": "https", "resource": "/v1/twice"}}), "sensors/second")
	_permits(_decide({"action": {"protocol": "coaps", "resource": "/v1/twice"}}), "sensors/first")
}

_frame(resource, direction, bytes) := _decide({"action": {
	"protocol": "websocket",
	"verb": "WS",
	"resource": resource,
	"direction": direction,
	"bytes": bytes,
}})

test_up_only if {
	_permits(_frame("/v1/frames", "toCloud", 5), "sensors/frames")
	_frame("/v1/frames", "toDevice", 5) == _denied(["direction-not-allowed"])
}

test_down_only if {
	_permits(_frame("/v1/commands", "toDevice", 5), "sensors/commands")
	_frame("/v1/commands", "toCloud", 5) == _denied(["direction-not-allowed"])
}

test_a_channel_may_be_opened_whichever_way_it_carries if {
	_permits(_frame("/v1/commands", "toCloud", 0), "sensors/commands")
	_frame("/v1/commands", "toCloud", -1) == _denied(["direction-not-allowed"])
}

# Only a WebSocket is opened; a request without a payload is a message like any other.
test_a_request_is_no_channel if {
	_request("GET", "/v1/answers") == _denied(["direction-not-allowed"])
	_permits(_decide({"action": {"resource": "/v1/answers", "direction": "toDevice"}}), "sensors/answers")
}
