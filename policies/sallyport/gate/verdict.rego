# METADATA
# scope: package
# title: The gate
# description: |
#   Decides one message of one device. Whatever is not allowed by a route or a reach of the device's segment is denied,
#   and so is whatever this package does not understand.
#
#   It reads three documents (../../*.schema.json describe them, and `sallyport policy check` holds these files to them):
#     input                 facts about this message, the same for every protocol
#     data.configuration    what sallyport.yaml says, indexed so that a decision costs the same with ten routes or ten thousand
#     data.sallyport.custom further denials, written by whoever runs the gateway
#
#   Fields of input:
#     input.v                    a mark of the caller, echoed: an answer to another question cannot pass for one to this
#     input.device.id            the proven identity, never what a message claims
#     input.device.segment       the segment it was registered in
#     input.device.labels        what the operator wrote about it: text to text
#     input.device.manufacturer  as registered, like model and firmware
#     input.device.state         "active", or why it may do nothing: "disabled", "quarantined", "retired"
#     input.device.auth          how it proved itself: method, issuer, serial (text), not_after (RFC 3339)
#     input.action.protocol      "https", "websocket", "coaps", "mqtt" or "egress"
#     input.action.verb          HTTP method, or "WS" for opening a WebSocket and for each of its messages
#     input.action.resource      raw path: one leading slash, percent-encoding kept, no query
#     input.action.content_type  media type in lowercase, or ""
#     input.action.bytes         length of the payload; -1 when it is streamed and nobody knows
#     input.action.direction     "toCloud" (the device speaks) or "toDevice" (the device is spoken to)
#     input.payload              the decoded payload, if a route of the segment says `inspect: true`
#     input.target.device        the device to be reached, if this is not for the cloud
#     input.target.segment       its segment; absent unless it is registered and active and has an address
#     input.target.host, .port   where it is reached
#     input.target.upstream      reserved
#     input.context.time         RFC 3339, UTC
#     input.context.listener     name of the listener
#     input.context.gateway      name of the gateway
#     input.context.revision     revision of policy, data and configuration
# schemas:
#   - input: schema.input
#   - data.configuration: schema.configuration
package sallyport.gate

default verdict := {"v": null, "allow": false, "reasons": ["policy-denied"], "obligations": {}}

# METADATA
# title: Verdict
# description: |
#   v           input.v
#   allow       true or false
#   reasons     why not, the most useful first; empty when allowed
#   obligations what the gateway must do with the message: route, upstream, and where the route says so privacy, stream,
#               rate and quiet; empty when denied
# entrypoint: true
verdict := {"v": input.v, "allow": true, "reasons": [], "obligations": grant} if {
	allow
} else := {"v": input.v, "allow": false, "reasons": reasons, "obligations": {}}

# METADATA
# title: Allow
# description: An active device, something that allows the message, and nothing that speaks against it.
default allow := false

allow if {
	input.device.state == "active"
	count(denials) == 0
	grant
}

# METADATA
# title: Reasons
# description: |
#   The denials in order, the most useful one first: the peer is told the first, the ledger keeps all. A denial without a
#   known reason is still a denial.
default reasons := ["policy-denied"]

reasons := ordered if {
	ordered := [reason | some reason in _order; reason in denials]
	count(ordered) > 0
}

denials contains reason if {
	some reason in data.sallyport.custom.deny
	reason in _order
}

denials contains "policy-denied" if {
	some reason in data.sallyport.custom.deny
	not reason in _order
}

# Every reason there is. What concerns the device as a whole comes before what concerns this message.
_order := [
	"unknown-identity",
	"identity-mismatch",
	"certificate-not-for-clients",
	"certificate-expired",
	"device-disabled",
	"device-quarantined",
	"device-retired",
	"unknown-segment",
	"protocol-not-allowed",
	"direction-not-allowed",
	"outside-schedule",
	"reach-not-allowed",
	"target-unknown",
	"no-route",
	"rate-limited",
	"payload-not-covered",
	"stream-not-allowed",
	"policy-denied",
]
