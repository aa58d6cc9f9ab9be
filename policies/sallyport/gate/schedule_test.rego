package sallyport.gate_test

_at(time) := _decide({"action": {"resource": "/v1/day"}, "context": {"time": time}})

test_open if {
	every time in ["2026-11-23T06:00:00Z", "2026-11-23T21:59:59.999Z", "2026-11-24T00:30:00Z", "2026-11-24T23:00:00Z"] {
		_permits(_at(time), "sensors/day")
	}
}

test_closed if {
	every time in ["2026-11-23T05:59:59.999Z", "2026-11-23T22:00:00Z", "2026-11-24T01:00:00Z", "2026-11-25T12:00:00Z"] {
		_at(time) == _denied(["outside-schedule"])
	}
}

test_minutes_count if {
	_permits(_at("2026-11-25T01:39:00Z"), "sensors/day")
	_at("2026-11-25T01:29:00Z") == _denied(["outside-schedule"])
	_at("2026-11-25T01:40:00Z") == _denied(["outside-schedule"])
}

test_a_time_that_is_none if {
	every time in ["", "noon", "2026-13-45T00:00:00Z"] {
		_at(time) == _denied(["outside-schedule"])
	}
}
