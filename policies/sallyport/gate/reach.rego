package sallyport.gate

# Device to device: the message names another device, so no route of the segment applies, only its reach.

grant := object.union(_reach.actions[min(_reachable)], {"upstream": concat("", ["device:", input.target.device])}) if {
	input.target.device != ""
}

# Also given for a target that nobody registered: a device that guesses names cannot tell those that exist from others.
denials contains "reach-not-allowed" if {
	_segment
	_reaching
	not _within_reach
}

denials contains "target-unknown" if {
	_segment
	_reaching
	not _target_known
}

_reaching if "device" in object.keys(input.target)

# The gateway tells the segment only of a device that is registered and active and has an address.
_target_known if {
	input.target.segment
	object.get(input.target, "state", "active") == "active"
}

_within_reach if count(_reachable) > 0

_reachable := _ranks(_reach.index) if {
	_reaching
	_reach.over[input.action.protocol]
}

_reach := _segment.reach[input.target.segment]
