package sallyport.gate

# A route without `when` is always open. Time is looked at only for the others.
_open(route) if not route.when

_open(route) if {
	week := route.when
	moment := time.parse_rfc3339_ns(input.context.time)
	[hour, minute, _] := time.clock(moment)
	now := (hour * 60) + minute
	some window in week[time.weekday(moment)]
	window[0] <= now
	now < window[1]
}
