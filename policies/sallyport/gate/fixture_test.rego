# What the tests beside it decide about: a small configuration, written as src/policy/data.ts writes it.
package sallyport.gate_test

_any_protocol := {"https": true, "websocket": true, "coaps": true, "mqtt": true}

_both := {"toCloud": true, "toDevice": true}

_plain(name) := {
	"over": _any_protocol,
	"direction": _both,
	"obligations": {"route": concat("/", ["sensors", name]), "upstream": "cloud"},
}

_nothing := {"literal": {}, "shapes": {}, "rest": []}

configuration := {"segments": {
	"sensors": {
		"index": {
			"literal": {
				"/v1/telemetry": {"POST": [0]},
				"/v1/anything": {"*": [1]},
				"/v1/frames": {"WS": [2]},
				"/v1/commands": {"WS": [3]},
				"/v1/twice": {"GET": [4, 5]},
				"/v1/day": {"GET": [6]},
				"/v1/narrow": {"WS": [7]},
				"/v1/answers": {"GET": [12]},
			},
			"shapes": {
				"5": [{
					"own": [3],
					"any": [],
					"keep": [1, 2, 4],
					"wild": false,
					"table": {"v1/devices/config": {"GET": [8]}},
				}],
				"3": [
					{"own": [2], "any": [], "keep": [1], "wild": false, "table": {"files": {"GET": [9]}}},
					{"own": [], "any": [2], "keep": [1], "wild": true, "table": {"files": {"GET": [10]}}},
				],
			},
			"rest": [{
				"prefix": 2,
				"own": [],
				"any": [],
				"keep": [1],
				"wild": true,
				"table": {"files": {"GET": [11]}},
			}],
		},
		"routes": [
			{
				"over": _any_protocol,
				"direction": _both,
				"obligations": {
					"route": "sensors/telemetry",
					"upstream": "cloud",
					"privacy": "readings",
					"rate": {"bucket": "sensors/telemetry", "per_second": 10, "burst": 20},
				},
			},
			_plain("anything"),
			{"over": _any_protocol, "direction": {"toCloud": true}, "obligations": _plain("frames").obligations},
			{"over": _any_protocol, "direction": {"toDevice": true}, "obligations": _plain("commands").obligations},
			{"over": {"coaps": true}, "direction": _both, "obligations": _plain("first").obligations},
			_plain("second"),
			{
				"over": _any_protocol,
				"direction": _both,
				"when": {"Monday": [[360, 1320]], "Tuesday": [[0, 60], [1380, 1440]], "Wednesday": [[90, 100]]},
				"obligations": _plain("day").obligations,
			},
			{
				"over": {"mqtt": true},
				"direction": {"toCloud": true},
				"when": {},
				"obligations": _plain("narrow").obligations,
			},
			_plain("config"),
			_plain("own-file"),
			_plain("one-file"),
			_plain("files"),
			{"over": _any_protocol, "direction": {"toDevice": true}, "obligations": _plain("answers").obligations},
		],
		"reach": {"cameras": {
			"index": object.union(_nothing, {"literal": {"/v1/still": {"GET": [0]}}}),
			"over": _any_protocol,
			"actions": [{"route": "sensors/reach/cameras", "privacy": "frames"}],
		}},
	},
	"cameras": {"index": _nothing, "routes": [], "reach": {}},
}}

_message := {
	"v": 7,
	"device": {
		"id": "thermo-1",
		"segment": "sensors",
		"labels": {},
		"state": "active",
		"auth": {"method": "certificate", "issuer": "CN=Sallyport", "serial": "5F0A", "not_after": "2027-01-01T00:00:00Z"},
	},
	"action": {
		"protocol": "https",
		"verb": "GET",
		"resource": "/",
		"content_type": "",
		"bytes": 0,
		"direction": "toCloud",
	},
	"target": {},
	"context": {"time": "2026-11-23T12:00:00Z", "listener": "https", "gateway": "plant-7", "revision": "7"},
}

# The verdict for the message above, with these changes. 2026-11-23 is a Monday.
_decide(changes) := verdict if {
	verdict := data.sallyport.gate.verdict with input as object.union(_message, changes)
		with data.configuration as configuration
}

_request(verb, resource) := _decide({"action": {"verb": verb, "resource": resource}})

_denied(reasons) := {"v": 7, "allow": false, "reasons": reasons, "obligations": {}}

_permits(verdict, route) if {
	verdict.v == 7
	verdict.allow == true
	verdict.reasons == []
	verdict.obligations.route == route
}
