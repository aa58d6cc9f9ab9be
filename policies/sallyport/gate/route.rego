package sallyport.gate

# METADATA
# title: Grant
# description: |
#   What would allow this message, as obligations. Of several routes that hold, the most specific one decides where the
#   message goes and what is taken out of it; an added route never takes away what another one allows.
grant := _segment.routes[min(_holding)].obligations

denials contains "no-route" if count(_matching) == 0

denials contains "protocol-not-allowed" if {
	count(_holding) == 0
	some rank in _matching
	not _spoken(_segment.routes[rank])
}

denials contains "direction-not-allowed" if {
	count(_holding) == 0
	some rank in _matching
	not _carried(_segment.routes[rank])
}

denials contains "outside-schedule" if {
	count(_holding) == 0
	some rank in _matching
	not _open(_segment.routes[rank])
}

# Routes whose verb and path match, by rank: the most specific one has the lowest. Undefined if no route applies at all,
# because the segment is unknown or the message is for another device.
_matching := _ranks(_segment.index) if not _reaching

# Those of them whose every condition is met.
_holding contains rank if {
	some rank in _matching
	route := _segment.routes[rank]
	_spoken(route)
	_carried(route)
	_open(route)
}

_spoken(route) if route.over[input.action.protocol]

_carried(route) if route.direction[input.action.direction]

# A channel may be opened whichever way it carries. Opening it brings no payload, and nor does an empty message.
_carried(_) if {
	input.action.verb == "WS"
	input.action.bytes == 0
}
