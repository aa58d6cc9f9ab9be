package sallyport.gate

# Ranks of the templates in one index that match verb and path of this message. Nothing is scanned but the few shapes of
# templates with as many segments as the path has; see `configuration` in schemas/ for how an index is built.
_ranks(index) := _literal(index) | (_shaped(index) | _open_ended(index))

_literal(index) := {rank |
	some verb in _verbs
	some rank in index.literal[input.action.resource][verb]
}

_shaped(index) := {rank |
	some shape in index.shapes[format_int(count(_path), 10)]
	some rank in _found(shape)
}

# `**` stands for one segment or more.
_open_ended(index) := {rank |
	some shape in index.rest
	count(_path) > shape.prefix
	some rank in _found(shape)
}

_found(shape) := {rank |
	every position in shape.own { _path[position] == input.device.id }
	every position in shape.any { _path[position] != "" }
	_clear(shape)
	key := concat("/", [_path[position] | some position in shape.keep])
	some verb in _verbs
	some rank in shape.table[key][verb]
}

# The path between its slashes. The first segment is empty: a path begins with a slash.
_path := split(input.action.resource, "/")

# A WebSocket is never covered by "any method".
_verbs := {input.action.verb, "*"} if input.action.verb != "WS"

_verbs := {"WS"} if input.action.verb == "WS"

_clear(shape) if not shape.wild

_clear(shape) if {
	shape.wild
	not _ambiguous
}

# A wildcard takes no path that a server behind us might read as another one, for instance /files/%2e%2e/admin.
_ambiguous if {
	lowered := lower(input.action.resource)
	some trick in _tricks
	contains(lowered, trick)
}

_ambiguous if {
	some segment in _path
	segment in {".", ".."}
}

# Encoded dot, slash, backslash, percent sign and NUL; a raw backslash; an empty segment; dot segments with parameters.
_tricks := ["%2e", "%2f", "%5c", "%25", "%00", `\`, "//", "/.;", "/..;"]
